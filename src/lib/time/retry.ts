/** Waiting before another try: exponential, capped, with full jitter, so that many who failed together do not return together. */
import timers from 'node:timers/promises';
import type { Moment, Ms } from '../../model.ts';

/** The longest delay that a server may ask for; timers also hold no more than 24 days. */
export const longestRetryAfterMs: Ms = 300_000;

export type Backoff = { readonly baseMs: Ms; readonly capMs: Ms };

/** How long to wait after the `attempt`th failure in a row, counted from 0. */
export function backoffMs(attempt: number, { baseMs, capMs }: Backoff, random: () => number = Math.random): Ms {
  return random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
}

export type Patience = Backoff & {
  /** After long trouble, tries become rarer: the cap grows up to this. */
  readonly longestMs: Ms;
  /** The cap as a part of the trouble's duration: after a short absence, a server is found again soon. */
  readonly share: number;
};

/** A failure so long after the wait for this try is the first one of another trouble. */
const healthyAfterMs: Ms = 10_000;

/** Waits between the tries of one trouble: the retries of a fleet must not keep its server down. */
export class Retries {
  readonly #patience: Patience;
  readonly #healthyAfterMs: Ms;
  #failures = 0;
  #since: Moment = 0;
  #triedAt: Moment = Number.NEGATIVE_INFINITY;

  constructor(patience: Patience, healthyAfter: Ms = healthyAfterMs) {
    this.#patience = patience;
    this.#healthyAfterMs = healthyAfter;
  }

  /** Another failure, `at` of a clock that only goes forward; returns how long to wait: what the server asked for, and more. */
  failed(at: Moment, askedMs: Ms = 0, random: () => number = Math.random): Ms {
    if (at - this.#triedAt >= this.#healthyAfterMs) {
      this.#failures = 0;
      this.#since = at;
    }
    const { capMs, longestMs, share, baseMs } = this.#patience;
    const grown = Math.min(longestMs, (at - this.#since) * share);
    const waitMs = askedMs + backoffMs(this.#failures, { baseMs, capMs: Math.max(capMs, grown) }, random);
    this.#failures += 1;
    this.#triedAt = at + waitMs;
    return waitMs;
  }
}

/** Resolves after `ms`, or at once when `signal` aborts. */
export async function pause(ms: Ms, signal: AbortSignal): Promise<void> {
  try {
    await timers.setTimeout(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
