/** A heavy load that lasts as long as what it watches: 200 connections that are kept, with pauses between their requests. */
import assert from 'node:assert/strict';
import type { Ms } from '../../../src/model.ts';
import { type Load, wrk } from '../../servers/load.ts';

type KeptLoad = AsyncDisposable & {
  /** Ends the load, and asserts that it was one and that nothing failed; how many requests there were. */
  endsWithoutFailure(): Promise<number>;
};

/** `port` on 127.0.0.1 must answer already. Whoever does not end it finds it ended, and failed, after `withinMs`. */
export function keptLoad(port: number, { withinMs = 600_000 }: { readonly withinMs?: Ms } = {}): KeptLoad {
  const ended = new AbortController();
  const loads: Load[] = [];
  const end = async (): Promise<void> => {
    ended.abort();
    await running;
  };
  const startedAt = performance.now();
  const load = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      if (performance.now() - startedAt > withinMs)
        throw new Error(`not over within ${withinMs} ms: the kept load on port ${port}`);
      loads.push(await wrk({ url: `http://127.0.0.1:${port}/`, concurrency: 200, seconds: 2, pauses: true }));
    }
  };
  const running = load();
  // Told by whoever waits for its end; until then it is no reason to end the test's process.
  running.catch(() => undefined);
  return {
    async endsWithoutFailure() {
      await end();
      for (const { failed, output } of loads) assert.equal(failed, 0, output);
      const complete = loads.reduce((sum, one) => sum + one.complete, 0);
      assert.ok(complete > 1000, `${complete} requests`);
      return complete;
    },
    [Symbol.asyncDispose]: end,
  };
}
