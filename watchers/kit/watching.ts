/** The frame of a watcher: its life from the call until the signal aborts or the source fails, and when it is synced. */
import { setMaxListeners } from 'node:events';
import { Mailbox } from '../../src/lib/mailbox.ts';
import type { Query, Update, Watch } from '../../src/model.ts';

/** One call of `watch`. */
export type Watching<Settings> = {
  readonly queries: readonly Query<Settings>[];
  /** Aborts when it is over, for whatever reason. Any number of requests may listen to it. */
  readonly signal: AbortSignal;
  /** Yields an update; of those of one query that nobody has read yet, only the newest of each kind. */
  readonly emit: (update: Exclude<Update, { readonly kind: 'synced' }>) => void;
  /** Ends it: whoever reads gets what has been emitted, and then this error. */
  readonly fail: (error: unknown) => void;
};

/**
 * A watcher of a source that is told of changes by callbacks. `run` opens what it needs, and comes to its end when `signal`
 * aborts, with all of it closed; what it rejects with is a failure of the source.
 */
export function watching<Settings>(run: (call: Watching<Settings>) => Promise<void>): Watch<Settings> {
  return (queries, signal) => withSynced(queries, updatesOf(run, queries, signal));
}

async function* updatesOf<Settings>(
  run: (call: Watching<Settings>) => Promise<void>,
  queries: readonly Query<Settings>[],
  signal: AbortSignal,
): AsyncGenerator<Update, void, undefined> {
  if (signal.aborted) return;
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  signal.addEventListener('abort', () => stop.abort(), { once: true, signal: stop.signal });
  const mailbox = new Mailbox<Update>();
  const fail = (error: unknown): void => {
    mailbox.fail(error);
    stop.abort();
  };
  const emit: Watching<Settings>['emit'] = (update) =>
    // Discovered services go before the results about them, which may be unread as well.
    mailbox.put(`${slots[update.kind]} ${update.key}`, update, { inPlace: update.kind === 'discovered' });
  // `run` may be a user's own: it may throw at once as well.
  const running = (async () => run({ queries, signal: stop.signal, emit, fail }))().catch(fail);
  try {
    yield* mailbox.read(signal);
  } finally {
    stop.abort();
    await running;
  }
}

/** Of two that share one, the newer replaces the older. */
const slots = { stale: 'stale', discovered: 'discovered', endpoints: 'result', gone: 'result' } as const;

/** Says `synced` as soon as every query has been answered once. */
export async function* withSynced(
  queries: readonly Query[],
  updates: AsyncIterable<Update>,
): AsyncGenerator<Update, void, undefined> {
  const unanswered = new Set(queries.map(({ key }) => key));
  let isSynced = unanswered.size === 0;
  if (isSynced) yield { kind: 'synced' };
  const discovered = new Set<string>();
  for await (const update of updates) {
    yield update;
    if (isSynced || update.kind === 'synced') continue;
    // That there is no answer is one as well, and holds up no other service; trouble of the source does.
    if (update.kind !== 'stale' || update.isUnanswerable) unanswered.delete(update.key);
    if (update.kind === 'discovered') {
      const keys = new Set(update.services.map(({ key }) => key));
      for (const key of discovered) if (!keys.has(key)) unanswered.delete(key);
      for (const key of keys) if (!discovered.has(key)) unanswered.add(key);
      for (const key of keys) discovered.add(key);
    }
    isSynced = unanswered.size === 0;
    if (isSynced) yield { kind: 'synced' };
  }
}
