/** Keeps a watcher running: passes on its updates and reports, between them, each start and failure. */
import { AppError, describe } from '../errors.ts';
import { now } from '../lib/time/clock.ts';
import { longestRetryAfterMs, type Patience, pause, Retries } from '../lib/time/retry.ts';
import type { Ms, SourceEvent, Update } from '../model.ts';

export type Supervision = {
  readonly signal: AbortSignal;
  /**
   * A source is usually an agent on this machine or nearby: one try a second is cheap, and a late one costs more. A
   * server with many clients, such as an API server, is tried that often for a minute or two only.
   */
  readonly patience?: Patience;
  /** A failure counts as the first one again when the watcher ran for this long before it. */
  readonly healthyAfterMs?: Ms;
};

/** Starts the watcher again whenever it fails, until `signal` aborts. A watcher that ends by itself has failed, too. */
export async function* supervise(
  watcher: string,
  start: (signal: AbortSignal) => AsyncIterable<Update> | Promise<AsyncIterable<Update>>,
  { signal, patience = { baseMs: 100, capMs: 1500, longestMs: 30_000, share: 1 / 8 }, healthyAfterMs }: Supervision,
): AsyncGenerator<SourceEvent, void, undefined> {
  const retries = new Retries(patience, healthyAfterMs);
  while (!signal.aborted) {
    yield { watcher, kind: 'started' };
    try {
      for await (const update of await start(signal)) yield { watcher, ...update };
      if (signal.aborted) return;
      throw new AppError('MYELIN_SOURCE_FAILED', 'the watcher ended although nobody stopped it');
    } catch (error) {
      if (signal.aborted) return;
      const retryInMs = retries.failed(now(), retryAfterMs(error));
      yield { watcher, kind: 'failed', reason: describe(error), retryInMs };
      await pause(retryInMs, signal);
    }
  }
}

/** The delay that the server asked for; the watcher of a user may throw any error with this property. */
function retryAfterMs(error: unknown): Ms {
  if (!(error instanceof Error && 'retryAfterMs' in error)) return 0;
  const wanted = error.retryAfterMs;
  return typeof wanted === 'number' && wanted > 0 ? Math.min(wanted, longestRetryAfterMs) : 0;
}
