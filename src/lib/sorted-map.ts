/**
 * An immutable map in the order of its keys, for thousands of entries of which one or a few change at a time. Entries stand in
 * chunks; a change copies one chunk and the list of chunks, and what is made of a chunk holds as long as the chunk is the same.
 * Where a chunk begins depends on its first key alone: equal maps have equal chunks, whatever they were made from.
 */

export type Chunk<V> = { readonly keys: readonly string[]; readonly values: readonly V[] };

/** undefined: without the key. */
type Edit<V> = readonly [key: string, value: V | undefined];

export class SortedMap<V> implements ReadonlyMap<string, V> {
  readonly size: number;
  readonly chunks: readonly Chunk<V>[];

  private constructor(chunks: readonly Chunk<V>[], size: number) {
    this.chunks = chunks;
    this.size = size;
  }

  static of<V>(entries: Iterable<readonly [string, V]>): SortedMap<V> {
    // Of a key that occurs twice the last value counts.
    const sorted = [...new Map(entries)].sort(([a], [b]) => (a < b ? -1 : 1));
    const chunks: { keys: string[]; values: V[] }[] = [];
    for (const [key, value] of sorted) {
      let chunk = chunks.at(-1);
      if (chunk === undefined || beginsChunk(key)) {
        chunk = { keys: [], values: [] };
        chunks.push(chunk);
      }
      chunk.keys.push(key);
      chunk.values.push(value);
    }
    return new SortedMap(chunks, sorted.length);
  }

  /** The same map where nothing changes. */
  with(edits: Iterable<Edit<V>>): SortedMap<V> {
    let [chunks, size] = [this.chunks, this.size];
    for (const [key, value] of edits) {
      const before = chunks;
      chunks = value === undefined ? without(chunks, key) : put(chunks, key, value);
      if (chunks !== before) size = value === undefined ? size - 1 : size + (isIn(before, key) ? 0 : 1);
    }
    return chunks === this.chunks ? this : new SortedMap(chunks, size);
  }

  get(key: string): V | undefined {
    const chunk = this.chunks[chunkFor(this.chunks, key)];
    return chunk?.values[placeIn(chunk.keys, key)];
  }

  has(key: string): boolean {
    return isIn(this.chunks, key);
  }

  *entries(): Generator<[string, V], undefined, unknown> {
    for (const { keys, values } of this.chunks) for (const [at, key] of keys.entries()) yield [key, values[at] as V];
    return undefined;
  }

  *keys(): Generator<string, undefined, unknown> {
    for (const { keys } of this.chunks) yield* keys;
    return undefined;
  }

  *values(): Generator<V, undefined, unknown> {
    for (const { values } of this.chunks) yield* values;
    return undefined;
  }

  [Symbol.iterator](): Generator<[string, V], undefined, unknown> {
    return this.entries();
  }

  forEach(each: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this) each(value, key, this);
  }
}

/** The entries of each that the other does not have. Looks only into chunks that differ. */
export function differenceOfSorted<V>(
  before: SortedMap<V>,
  now: SortedMap<V>,
): { readonly gone: readonly (readonly [string, V])[]; readonly come: readonly (readonly [string, V])[] } {
  const [old, fresh] = [new Set(before.chunks), new Set(now.chunks)];
  return { gone: entriesBeyond(before, fresh, now), come: entriesBeyond(now, old, before) };
}

function entriesBeyond<V>(
  map: SortedMap<V>,
  same: ReadonlySet<Chunk<V>>,
  other: SortedMap<V>,
): readonly (readonly [string, V])[] {
  const found: (readonly [string, V])[] = [];
  for (const chunk of map.chunks) {
    if (same.has(chunk)) continue;
    for (const [at, key] of chunk.keys.entries()) {
      const value = chunk.values[at] as V;
      if (other.get(key) !== value) found.push([key, value]);
    }
  }
  return found;
}

function put<V>(chunks: readonly Chunk<V>[], key: string, value: V): readonly Chunk<V>[] {
  const at = chunkFor(chunks, key);
  const chunk = chunks[at];
  if (chunk === undefined) {
    // Before all others: it takes in those that do not begin a chunk themselves.
    const [first, ...rest] = chunks;
    const alone = { keys: [key], values: [value] };
    if (first === undefined) return [alone];
    return beginsChunk(first.keys[0] ?? '') ? [alone, ...chunks] : [joined(alone, first), ...rest];
  }
  const place = placeIn(chunk.keys, key);
  if (place >= 0)
    return chunk.values[place] === value
      ? chunks
      : chunks.with(at, { keys: chunk.keys, values: chunk.values.with(place, value) });
  const from = -1 - place;
  const whole = { keys: chunk.keys.toSpliced(from, 0, key), values: chunk.values.toSpliced(from, 0, value) };
  return beginsChunk(key) ? chunks.toSpliced(at, 1, ...divided(whole, from)) : chunks.with(at, whole);
}

function without<V>(chunks: readonly Chunk<V>[], key: string): readonly Chunk<V>[] {
  const at = chunkFor(chunks, key);
  const chunk = chunks[at];
  const place = chunk === undefined ? -1 : placeIn(chunk.keys, key);
  if (chunk === undefined || place < 0) return chunks;
  const rest = { keys: chunk.keys.toSpliced(place, 1), values: chunk.values.toSpliced(place, 1) };
  if (place > 0) return chunks.with(at, rest);
  // What began the chunk is gone: the rest belongs to the one before.
  const before = chunks[at - 1];
  if (before !== undefined) return chunks.toSpliced(at - 1, 2, joined(before, rest));
  return rest.keys.length === 0 ? chunks.slice(1) : chunks.with(at, rest);
}

function joined<V>(a: Chunk<V>, b: Chunk<V>): Chunk<V> {
  return { keys: [...a.keys, ...b.keys], values: [...a.values, ...b.values] };
}

function divided<V>({ keys, values }: Chunk<V>, at: number): readonly Chunk<V>[] {
  const [a, b] = [0, at].map((from, half) => {
    const end = half === 0 ? at : keys.length;
    return { keys: keys.slice(from, end), values: values.slice(from, end) };
  });
  return [a, b].filter((chunk) => chunk !== undefined && chunk.keys.length > 0) as readonly Chunk<V>[];
}

function isIn<V>(chunks: readonly Chunk<V>[], key: string): boolean {
  const chunk = chunks[chunkFor(chunks, key)];
  return chunk !== undefined && placeIn(chunk.keys, key) >= 0;
}

/** The last chunk that does not begin behind the key; -1: there is none. */
function chunkFor<V>(chunks: readonly Chunk<V>[], key: string): number {
  let [low, high] = [0, chunks.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((chunks[middle]?.keys[0] ?? '') <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Where the key is; where it is not, -1 minus the place that it would have. */
function placeIn(keys: readonly string[], key: string): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return keys[low] === key ? low : -1 - low;
}

/** Whether a chunk begins at this key: chunks have 32 entries on average. Whoever chooses names so that none begins a chunk makes changes as slow as a copy. */
export function beginsChunk(key: string): boolean {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return ((hash ^ (hash >>> 15)) & 31) === 0;
}
