/** The entries of a map, as HAProxy reads them in its file. */
import type { Section } from '../../../model.ts';

export type Entries = {
  /** The first value of each key, in the order of the file. */
  readonly values: ReadonlyMap<string, string>;
  /** Keys that stand there more than once. Which of them counts depends on how the map is asked. */
  readonly repeated: ReadonlySet<string>;
};

/** Maps have ten thousand entries and more, of which one changes at a time. */
const known = new WeakMap<Section, Entries>();

export function entriesOf(section: Section): Entries {
  let entries = known.get(section);
  if (entries === undefined) {
    entries = collect(linesOf(section.text).flatMap((line) => readEntry(line) ?? []));
    known.set(section, entries);
  }
  return entries;
}

export type Entry = { readonly key: string; readonly value: string };

export function collect(entries: readonly Entry[]): Entries {
  const values = new Map<string, string>();
  const repeated = new Set<string>();
  for (const { key, value } of entries)
    if (values.has(key)) repeated.add(key);
    else values.set(key, value);
  return { values, repeated };
}

/** null for a blank line and for a comment. */
export function readEntry(line: string): Entry | null {
  const text = line.trim();
  if (text === '' || text.startsWith('#')) return null;
  const end = text.search(/[ \t]/);
  return end === -1 ? { key: text, value: '' } : { key: text.slice(0, end), value: text.slice(end).trimStart() };
}

export function lineOf({ key, value }: Entry): string {
  return `${key} ${value}\n`;
}

export function linesOf(text: string): readonly string[] {
  return text.split('\n');
}
