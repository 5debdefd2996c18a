/** Waiting before another try: exponential, capped, with full jitter, so that many who failed together do not return together. */
import timers from 'node:timers/promises';
import type { Ms } from './model.ts';

/** No server may silence its source for longer, whatever it asks for; and timers hold no more than 24 days. */
export const longestRetryAfterMs: Ms = 300_000;

export type Backoff = { readonly baseMs: Ms; readonly capMs: Ms };

/** How long to wait after the `attempt`th failure in a row, counted from 0. */
export function backoffMs(attempt: number, { baseMs, capMs }: Backoff, random: () => number = Math.random): Ms {
  return random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
}

/** Resolves after `ms`, or at once when `signal` aborts. */
export async function pause(ms: Ms, signal: AbortSignal): Promise<void> {
  try {
    await timers.setTimeout(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
