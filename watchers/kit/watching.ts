/**
 * Makes a watcher of a function with callbacks: yields its updates until the signal aborts or the source fails, and adds
 * `synced` once every query has a result.
 */
import { setMaxListeners } from 'node:events';
import { Mailbox } from '../../src/lib/mailbox.ts';
import type { Query, Update, Watch } from '../../src/model.ts';

/** One call of `watch`. */
export type Watching<Settings> = {
  readonly queries: readonly Query<Settings>[];
  /** Aborts when the watcher is stopped or has failed. Any number of listeners is fine. */
  readonly signal: AbortSignal;
  /** Yields an update. An unread update of the same query and kind is replaced. */
  readonly emit: (update: Exclude<Update, { readonly kind: 'synced' }>) => void;
  /** Ends the watcher with this error, after the updates that were emitted. */
  readonly fail: (error: unknown) => void;
};

/**
 * A watcher of a source that reports changes by callbacks. `run` opens what it needs, closes it when `signal` aborts, and then
 * ends; when it throws, the source has failed.
 */
export function watching<Settings>(run: (call: Watching<Settings>) => Promise<void>): Watch<Settings> {
  return async function* (queries, signal) {
    if (signal.aborted) return;
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    signal.addEventListener('abort', () => stop.abort(), { once: true, signal: stop.signal });
    const mailbox = new Mailbox<Exclude<Update, { readonly kind: 'synced' }>>();
    const fail = (error: unknown): void => {
      mailbox.fail(error);
      stop.abort();
    };
    const emit: Watching<Settings>['emit'] = (update) =>
      // Discovered services must stay before the results about them, which may be unread as well.
      mailbox.put(`${slots[update.kind]} ${update.key}`, update, { inPlace: update.kind === 'discovered' });
    // `run` may be a user's own: it may throw at once as well.
    const running = (async () => run({ queries, signal: stop.signal, emit, fail }))().catch(fail);
    try {
      yield* withSynced(queries, mailbox.read(signal));
    } finally {
      stop.abort();
      await running;
    }
  };
}

/** Of two unread updates of a query with the same slot, the newer one replaces the older one. */
const slots = { stale: 'stale', discovered: 'discovered', endpoints: 'result', gone: 'result' } as const;

/** Adds `synced` as soon as every query has a result. */
export async function* withSynced(
  queries: readonly Query[],
  updates: AsyncIterable<Update>,
): AsyncGenerator<Update, void, undefined> {
  const pending = new PendingQueries(queries);
  if (pending.isSynced) yield synced;
  for await (const update of updates) {
    yield update;
    if (update.kind !== 'synced' && pending.note(update)) yield synced;
  }
}

const synced: Update = { kind: 'synced' };

/** The queries without a result so far, and the discovered services without one. */
class PendingQueries {
  readonly #pending: Set<string>;
  readonly #discovered = new Set<string>();
  isSynced: boolean;

  constructor(queries: readonly Query[]) {
    this.#pending = new Set(queries.map(({ key }) => key));
    this.isSynced = this.#pending.size === 0;
  }

  /** Returns whether this update was the last one that was missing. */
  note(update: Exclude<Update, { readonly kind: 'synced' }>): boolean {
    if (this.isSynced) return false;
    // A query that cannot be answered holds up no other service; a source in trouble does.
    if (update.kind !== 'stale' || update.isUnanswerable) this.#pending.delete(update.key);
    if (update.kind === 'discovered') {
      const keys = new Set(update.services.map(({ key }) => key));
      for (const key of this.#discovered) if (!keys.has(key)) this.#pending.delete(key);
      for (const key of keys) {
        if (!this.#discovered.has(key)) this.#pending.add(key);
        this.#discovered.add(key);
      }
    }
    this.isSynced = this.#pending.size === 0;
    return this.isSynced;
  }
}
