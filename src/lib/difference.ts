/** What differs between two maps of thousands of entries, of which one or a few change at a time. */

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
