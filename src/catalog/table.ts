/**
 * An immutable map of many entries of which one changes at a time. Copying ten thousand entries at each of ten
 * thousand events would take seconds of a start; here a change copies one small bucket and the list of buckets.
 */

export type Table<V> = readonly ReadonlyMap<string, V>[];

const buckets = 1024;

export function emptyTable<V>(): Table<V> {
  return Array<ReadonlyMap<string, V>>(buckets).fill(new Map());
}

export function tableOf<V>(entries: Iterable<readonly [string, V]>): Table<V> {
  const filled = Array.from({ length: buckets }, () => new Map<string, V>());
  for (const [key, value] of entries) filled[bucketOf(key)]?.set(key, value);
  return filled;
}

export function lookUp<V>(table: Table<V>, key: string): V | undefined {
  return table[bucketOf(key)]?.get(key);
}

export function put<V>(table: Table<V>, key: string, value: V): Table<V> {
  const at = bucketOf(key);
  return table.with(at, new Map(table[at]).set(key, value));
}

export function drop<V>(table: Table<V>, key: string): Table<V> {
  const at = bucketOf(key);
  if (!table[at]?.has(key)) return table;
  const bucket = new Map(table[at]);
  bucket.delete(key);
  return table.with(at, bucket);
}

export function entriesOf<V>(table: Table<V>): (readonly [string, V])[] {
  return table.flatMap((bucket) => [...bucket]);
}

/** The entries of `now` that `before` does not have, without looking at more than what changed. */
export function news<V>(before: Table<V>, now: Table<V>): (readonly [string, V])[] {
  return now.flatMap((bucket, at) =>
    bucket === before[at] ? [] : [...bucket].filter(([key, value]) => before[at]?.get(key) !== value),
  );
}

/** FNV-1a, its upper half mixed in: keys that differ in the last character alone differ little in the lowest bits. */
function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return ((hash >>> 16) ^ hash) & (buckets - 1);
}
