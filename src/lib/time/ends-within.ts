import timers from 'node:timers';
import type { Ms } from '../../model.ts';

/** Waits for `work`, but no longer than `ms`; false: it goes on. Rejects where it does in time. */
export async function endsWithin(work: Promise<unknown>, ms: Ms): Promise<boolean> {
  const { promise: timeout, resolve } = Promise.withResolvers<false>();
  const timer = timers.setTimeout(resolve, ms, false);
  try {
    return await Promise.race([work.then(() => true), timeout]);
  } finally {
    timers.clearTimeout(timer);
  }
}
