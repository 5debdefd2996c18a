/** Identifies queries: results, servers and what is remembered of both belong to the queries that found them. */
import { createHash } from 'node:crypto';

type HasOrigins = {
  readonly origins: readonly { readonly watcher: string; readonly key: string; readonly query?: unknown }[];
};

/** Most services keep their queries for as long as they exist. */
const known = new WeakMap<HasOrigins, string>();

/** Equal for services that have the same queries to the same sources. */
export function queryKeyOf(service: HasOrigins): string {
  const before = known.get(service);
  if (before !== undefined) return before;
  const queries = JSON.stringify(service.origins.map(({ watcher, key, query }) => [watcher, key, query]));
  const key = createHash('sha256').update(queries).digest('base64url').slice(0, 16);
  known.set(service, key);
  return key;
}
