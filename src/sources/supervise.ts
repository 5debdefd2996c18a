/** Keeps a watcher running: whoever iterates sees its updates and, between them, that it started or failed. */

import { describe } from '../errors.ts';
import { now } from '../lib/time/clock.ts';
import { longestRetryAfterMs, type Patience, pause, Retries } from '../lib/time/retry.ts';
import type { Ms, SourceEvent, Update } from '../model.ts';

export type Supervision = {
  readonly signal: AbortSignal;
  /**
   * A source is usually an agent on this machine or nearby: asking it once a second is cheap, being late is not. Of one
   * that many ask, such as an API server, that holds for a minute or two.
   */
  readonly patience?: Patience;
  /** After running this long a failure counts as the first one again. */
  readonly healthyAfterMs?: Ms;
};

/** Starts the source again whenever it throws, until `signal` aborts. A source that ends keeps its last answers. */
export async function* supervise(
  watcher: string,
  start: (signal: AbortSignal) => AsyncIterable<Update>,
  { signal, patience = { baseMs: 100, capMs: 1500, longestMs: 30_000, share: 1 / 8 }, healthyAfterMs }: Supervision,
): AsyncGenerator<SourceEvent, void, undefined> {
  const retries = new Retries(patience, healthyAfterMs);
  while (!signal.aborted) {
    yield { watcher, kind: 'started' };
    try {
      for await (const update of start(signal)) yield { watcher, ...update };
      return;
    } catch (error) {
      if (signal.aborted) return;
      const retryInMs = retries.failed(now(), retryAfterMs(error));
      yield { watcher, kind: 'failed', reason: describe(error), retryInMs };
      await pause(retryInMs, signal);
    }
  }
}

/** What the error says that the server asked for; a user's own watcher may throw any error with this property. */
function retryAfterMs(error: unknown): Ms {
  if (!(error instanceof Error && 'retryAfterMs' in error)) return 0;
  const asked = error.retryAfterMs;
  return typeof asked === 'number' && asked > 0 ? Math.min(asked, longestRetryAfterMs) : 0;
}
