/** Tells questions apart: answers, servers and what is remembered of both belong to the question that they came of. */
import { createHash } from 'node:crypto';

type Asking = {
  readonly origins: readonly { readonly watcher: string; readonly key: string; readonly query?: unknown }[];
};

/** Most services ask the same for as long as they live. */
const known = new WeakMap<Asking, string>();

/** Equal for services that ask the same sources the same. */
export function askedBy(service: Asking): string {
  const before = known.get(service);
  if (before !== undefined) return before;
  const questions = JSON.stringify(service.origins.map(({ watcher, key, query }) => [watcher, key, query]));
  const asked = createHash('sha256').update(questions).digest('base64url').slice(0, 16);
  known.set(service, asked);
  return asked;
}
