/** One timer for the next moment at which something is due though nothing changes. */
import timers from 'node:timers';
import type { Moment } from '../../model.ts';
import { now } from './clock.ts';

export type Deadline = { set(moments: readonly (Moment | null)[]): void };

/** Calls `wake` at the earliest of the moments. Each `set` replaces the one before; a null is no moment. */
export function createDeadline(wake: () => void, signal: AbortSignal): Deadline {
  let timer: NodeJS.Timeout | undefined;
  signal.addEventListener('abort', () => timers.clearTimeout(timer), { once: true });
  return {
    set(moments) {
      timers.clearTimeout(timer);
      const next = moments.reduce<Moment>(
        (first, moment) => Math.min(first, moment ?? first),
        Number.POSITIVE_INFINITY,
      );
      if (signal.aborted || next === Number.POSITIVE_INFINITY) return;
      // Longer than a day is beyond what a timer takes, and looking once more then costs nothing.
      timer = timers.setTimeout(wake, Math.min(Math.max(next - now(), 1), 86_400_000));
    },
  };
}
