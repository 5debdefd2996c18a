/** Polls for events that Myelin did not cause. */
import timers from 'node:timers/promises';
import type { Ms } from '../../model.ts';

export type Polling = {
  readonly everyMs: Ms;
  /** `polls` counts from 1; `signal` tells one that takes long that nobody waits for what it sees. */
  readonly poll: (polls: number, signal: AbortSignal) => Promise<void>;
};

/**
 * Goes on until `signal` aborts or it is disposed of, which waits for a poll that is under way. What one throws costs that one
 * alone.
 */
export function startPolling(
  { everyMs, poll }: Polling,
  onError: (error: unknown) => void,
  signal: AbortSignal,
): AsyncDisposable {
  const disposed = new AbortController();
  const ended = AbortSignal.any([signal, disposed.signal]);
  const polling = run();

  async function run(): Promise<void> {
    for (let polls = 1; !ended.aborted; polls++) {
      try {
        await timers.setTimeout(everyMs, undefined, { signal: ended });
        await poll(polls, ended);
      } catch (error) {
        if (!ended.aborted) onError(error);
      }
    }
  }

  return {
    async [Symbol.asyncDispose]() {
      disposed.abort();
      await polling;
    },
  };
}
