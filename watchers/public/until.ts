/** Waits on a condition. */
import timers from 'node:timers/promises';

/** Waits until `probe` gives something other than false, null or undefined, and returns it. Its last error is the cause. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { withinMs = 20_000, everyMs = 20 } = {},
): Promise<Exclude<Awaited<T>, false | null | undefined>> {
  const deadline = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== false && value !== null && value !== undefined)
        return value as Exclude<Awaited<T>, false | null | undefined>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`, { cause: last });
    await timers.setTimeout(everyMs);
  }
}
