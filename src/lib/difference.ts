/** What differs between two maps or lists of thousands of entries, of which one or a few change at a time. */
import { differenceOfSorted, SortedMap } from './sorted-map.ts';

export type Difference<Key, Value> = {
  /** New entries, and those with another value now. */
  readonly come: readonly (readonly [Key, Value])[];
  /** Entries that are not there any more, and those with another value now, as they were. */
  readonly gone: readonly (readonly [Key, Value])[];
};

/** Beyond this many changes, to rebuild what is made of a map costs no more than to follow each of them. */
const most = 64;

/** Values are compared by identity. null: there is too much. */
export function differenceOf<Key, Value>(
  before: ReadonlyMap<Key, Value>,
  now: ReadonlyMap<Key, Value>,
): Difference<Key, Value> | null {
  if (before === now) return { come: [], gone: [] };
  if (Math.abs(before.size - now.size) > most) return null;
  if (before instanceof SortedMap && now instanceof SortedMap) {
    const { come, gone } = differenceOfSorted<Value>(before, now);
    return come.length > most || gone.length > most ? null : ({ come, gone } as unknown as Difference<Key, Value>);
  }
  const come: (readonly [Key, Value])[] = [];
  const gone: (readonly [Key, Value])[] = [];
  let fresh = 0;
  for (const entry of now) {
    const [key, value] = entry;
    const old = before.get(key);
    if (old === value) continue;
    if (come.push(entry) > most) return null;
    if (old === undefined) fresh++;
    else gone.push([key, old]);
  }
  if (before.size + fresh === now.size) return { come, gone };
  for (const [key, value] of before) if (!now.has(key) && gone.push([key, value]) > most) return null;
  return { come, gone };
}

/** What two lists begin with in common, and what they end with. */
type Common = { readonly start: number; readonly end: number };

/** Items are compared by identity. */
export function commonEnds<T>(a: readonly T[], b: readonly T[]): Common {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start++;
  let end = 0;
  while (end < shorter - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return { start, end };
}

/** The items of each list that the other does not have, by identity and whatever their order. null: there is too much. */
export function differenceOfLists<T>(
  before: readonly T[],
  now: readonly T[],
): { readonly come: readonly T[]; readonly gone: readonly T[] } | null {
  const { start, end } = commonEnds(before, now);
  const [old, fresh] = [before.slice(start, before.length - end), now.slice(start, now.length - end)];
  const [inOld, inFresh] = [new Set(old), new Set(fresh)];
  const come = fresh.filter((item) => !inOld.has(item));
  const gone = old.filter((item) => !inFresh.has(item));
  return come.length > most || gone.length > most ? null : { come, gone };
}

/** Further apart than this, what both have is looked for everywhere. */
const nearby = 16;

/** How far it is from these places in each list to what both have next, or to the end of both. null: too far. */
export function nextCommon<T>(
  a: readonly T[],
  i: number,
  b: readonly T[],
  j: number,
): { readonly gone: number; readonly come: number } | null {
  for (let distance = 1; distance <= nearby; distance++)
    for (let gone = 0; gone <= distance; gone++) {
      const come = distance - gone;
      const isInside = i + gone <= a.length && j + come <= b.length;
      if (isInside && a[i + gone] === b[j + come]) return { gone, come };
    }
  return null;
}

/** A list that is made of another one item by item, as the one before where the items are the same. */
export class MappedList<A, B> {
  readonly #map: (item: A) => B;
  #of: readonly A[] = [];
  #made: readonly B[] = [];

  constructor(map: (item: A) => B) {
    this.#map = map;
  }

  of(items: readonly A[]): readonly B[] {
    if (items === this.#of) return this.#made;
    const { start, end } = commonEnds(this.#of, items);
    const middle = items.slice(start, items.length - end).map(this.#map);
    if (start + end < items.length || start + end < this.#of.length)
      this.#made = [...this.#made.slice(0, start), ...middle, ...this.#made.slice(this.#made.length - end)];
    this.#of = items;
    return this.#made;
  }
}
