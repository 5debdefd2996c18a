/** Says `synced` as soon as every query has been answered once: the same for every watcher. */
import type { Query, Update } from '../../src/model.ts';

export async function* withSynced(
  queries: readonly Query[],
  updates: AsyncIterable<Update>,
): AsyncGenerator<Update, void, undefined> {
  const unanswered = new Set(queries.map(({ key }) => key));
  let isSynced = unanswered.size === 0;
  if (isSynced) yield { kind: 'synced' };
  const offered = new Set<string>();
  for await (const update of updates) {
    yield update;
    if (isSynced || update.kind === 'synced') continue;
    // That there is no answer is one as well, and holds up no other service; trouble of the source does.
    if (update.kind !== 'stale' || update.isUnanswerable) unanswered.delete(update.key);
    if (update.kind === 'offers') {
      const keys = new Set(update.offers.map(({ key }) => key));
      for (const key of offered) if (!keys.has(key)) unanswered.delete(key);
      for (const key of keys) if (!offered.has(key)) unanswered.add(key);
      for (const key of keys) offered.add(key);
    }
    isSynced = unanswered.size === 0;
    if (isSynced) yield { kind: 'synced' };
  }
}
