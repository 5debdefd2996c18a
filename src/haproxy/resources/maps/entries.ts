/** The entries of a map, as HAProxy reads them in its file. */
import { SortedMap } from '../../../lib/sorted-map.ts';
import type { Section } from '../../../model.ts';

export type Entries = {
  /** The first value of each key. */
  readonly values: ReadonlyMap<string, string>;
  /** How often keys occur that do so more than once. Which entry counts depends on how the map is looked up. */
  readonly repeated: ReadonlyMap<string, number>;
};

export type Entry = { readonly key: string; readonly value: string };

/** Cached: maps have ten thousand entries and more, of which one changes at a time. */
const known = new WeakMap<Section, Entries>();

export function entriesOf(section: Section): Entries {
  let entries = known.get(section);
  if (entries === undefined) {
    const { values, repeated } = collect(entriesIn(section.text));
    entries = { values: SortedMap.of(values), repeated };
    known.set(section, entries);
  }
  return entries;
}

/** The entries of both, and the keys whose values may differ or be missing in one of them. */
export function entriesOfBoth(old: Section, now: Section): Both {
  const before = entriesOf(old);
  const [a, b] = trim(old.text, now.text);
  const [was, is] = [collect(entriesIn(a)), collect(entriesIn(b))];
  const derived = known.has(now) ? null : derive(before, was, is);
  if (derived !== null) known.set(now, derived);
  const after = entriesOf(now);
  const keys = [is, was].flatMap(({ values }) => [...values.keys()]);
  return { before, after, keys: new Set([...keys, ...before.repeated.keys(), ...after.repeated.keys()]) };
}

type Both = { readonly before: Entries; readonly after: Entries; readonly keys: ReadonlySet<string> };

/** null where the whole map has to be read. */
function derive({ values, repeated }: Entries, was: Entries, is: Entries): Entries | null {
  if (repeated.size + was.repeated.size + is.repeated.size > 0) return null;
  const rest = (values instanceof SortedMap ? values : SortedMap.of(values)).with(
    [...was.values.keys()].map((key) => [key, undefined] as const),
  );
  for (const key of is.values.keys()) if (rest.has(key)) return null;
  return { values: rest.with(is.values), repeated };
}

/** Compared at once, since maps are long. */
const block = 4096;

/** Removes the lines that both begin with, or end with. */
function trim(a: string, b: string): readonly [string, string] {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start + block <= shorter && a.slice(start, start + block) === b.slice(start, start + block)) start += block;
  while (start < shorter && a.charCodeAt(start) === b.charCodeAt(start)) start++;
  start = a.lastIndexOf('\n', start - 1) + 1;
  let end = 0;
  const [atEnd, atOther] = [
    (from: number): string => a.slice(a.length - from - block, a.length - from),
    (from: number): string => b.slice(b.length - from - block, b.length - from),
  ];
  while (end + block <= shorter - start && atEnd(end) === atOther(end)) end += block;
  while (end < shorter - start && a.charCodeAt(a.length - 1 - end) === b.charCodeAt(b.length - 1 - end)) end++;
  const feed = a.indexOf('\n', Math.max(0, a.length - end - 1));
  end = feed === -1 ? 0 : a.length - feed - 1;
  return [a.slice(start, a.length - end), b.slice(start, b.length - end)];
}

export function collect(entries: Iterable<Entry>): Entries {
  const values = new Map<string, string>();
  const repeated = new Map<string, number>();
  for (const { key, value } of entries)
    if (values.has(key)) repeated.set(key, (repeated.get(key) ?? 1) + 1);
    else values.set(key, value);
  return { values, repeated };
}

export function* entriesIn(text: string): Generator<Entry> {
  for (let at = 0; at < text.length; ) {
    const feed = text.indexOf('\n', at);
    const end = feed === -1 ? text.length : feed;
    const entry = readEntry(text.slice(at, end));
    if (entry !== null) yield entry;
    at = end + 1;
  }
}

/** null for a blank line and for a comment. */
export function readEntry(line: string): Entry | null {
  const text = line.trim();
  if (text === '' || text.startsWith('#')) return null;
  const [blank, tab] = [text.indexOf(' '), text.indexOf('\t')];
  const end = tab === -1 || (blank !== -1 && blank < tab) ? blank : tab;
  return end === -1 ? { key: text, value: '' } : { key: text.slice(0, end), value: text.slice(end).trimStart() };
}

export function lineOf({ key, value }: Entry): string {
  return `${key} ${value}\n`;
}
