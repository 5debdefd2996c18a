/** Says `synced` as soon as every query has been answered once: the same for every watcher. */
import type { Query, Update } from '../src/model.ts';

export async function* withSynced(
  queries: readonly Query[],
  updates: AsyncIterable<Update>,
): AsyncGenerator<Update, void, undefined> {
  const unanswered = new Set(queries.map(({ key }) => key));
  if (unanswered.size === 0) yield { kind: 'synced' };
  for await (const update of updates) {
    yield update;
    const isAnswer = update.kind === 'endpoints' || update.kind === 'gone';
    if (isAnswer && unanswered.delete(update.key) && unanswered.size === 0) yield { kind: 'synced' };
  }
}
