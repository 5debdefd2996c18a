/** Looks again and again at what happens by itself. */
import timers from 'node:timers/promises';
import type { Ms } from '../model.ts';

type Polling = {
  readonly everyMs: Ms;
  /** `looks` counts from 1; `signal` tells a look that takes long that nobody waits for what it sees. */
  readonly look: (looks: number, signal: AbortSignal) => Promise<void>;
  /** What it throws costs one look. */
  readonly onError: (error: unknown) => void;
};

/** Goes on until `signal` aborts or it is disposed of, which waits for a look that is under way. */
export function poll({ everyMs, look, onError }: Polling, signal: AbortSignal): AsyncDisposable {
  const disposed = new AbortController();
  const ended = AbortSignal.any([signal, disposed.signal]);
  const looking = run();

  async function run(): Promise<void> {
    for (let looks = 1; !ended.aborted; looks++) {
      try {
        await timers.setTimeout(everyMs, undefined, { signal: ended });
        await look(looks, ended);
      } catch (error) {
        if (!ended.aborted) onError(error);
      }
    }
  }

  return {
    async [Symbol.asyncDispose]() {
      disposed.abort();
      await looking;
    },
  };
}
