/**
 * An immutable map for many entries that change one at a time. To copy ten thousand entries at each of ten thousand
 * events would take seconds at the start; here a change copies one small bucket and the list of buckets.
 */

export type Table<V> = { readonly size: number; readonly buckets: readonly ReadonlyMap<string, V>[] };

const bucketCount = 1024;

export function emptyTable<V>(): Table<V> {
  return { size: 0, buckets: Array<ReadonlyMap<string, V>>(bucketCount).fill(new Map()) };
}

export function tableOf<V>(entries: Iterable<readonly [string, V]>): Table<V> {
  const buckets = Array.from({ length: bucketCount }, () => new Map<string, V>());
  for (const [key, value] of entries) buckets[bucketOf(key)]?.set(key, value);
  return { size: buckets.reduce((sum, { size }) => sum + size, 0), buckets };
}

export function lookUp<V>({ buckets }: Table<V>, key: string): V | undefined {
  return buckets[bucketOf(key)]?.get(key);
}

export function put<V>(table: Table<V>, key: string, value: V): Table<V> {
  return withBucket(table, key, (bucket) => bucket.set(key, value));
}

export function drop<V>(table: Table<V>, key: string): Table<V> {
  return lookUp(table, key) === undefined ? table : withBucket(table, key, (bucket) => bucket.delete(key));
}

export function entriesOf<V>({ size, buckets }: Table<V>): (readonly [string, V])[] {
  // Usually the table is empty, and this is called at every change.
  return size === 0 ? [] : buckets.flatMap((bucket) => [...bucket]);
}

/** The entries of `now` that `before` does not have. Reads only the buckets that changed. */
export function news<V>(before: Table<V>, now: Table<V>): (readonly [string, V])[] {
  const found: (readonly [string, V])[] = [];
  for (const [at, bucket] of now.buckets.entries()) {
    const old = before.buckets[at];
    if (bucket !== old) for (const entry of bucket) if (old?.get(entry[0]) !== entry[1]) found.push(entry);
  }
  return found;
}

function withBucket<V>({ size, buckets }: Table<V>, key: string, change: (bucket: Map<string, V>) => void): Table<V> {
  const at = bucketOf(key);
  const before = buckets[at];
  const bucket = new Map(before);
  change(bucket);
  return { size: size - (before?.size ?? 0) + bucket.size, buckets: buckets.with(at, bucket) };
}

/** FNV-1a with its upper half mixed in: keys that differ in the last character only would share their lowest bits. */
function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return ((hash >>> 16) ^ hash) & (bucketCount - 1);
}
