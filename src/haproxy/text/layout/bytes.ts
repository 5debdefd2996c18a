/**
 * The bytes of `haproxy.cfg` where one or a few of thousands of sections have changed: only the chunks that differ are laid out
 * again (`ChunkedList`). They equal those of `layout.ts`, which lays out whatever it is given.
 */
import type { ListChunk } from '../../../lib/chunked-list.ts';
import type { Section } from '../../../model.ts';
import { isFile } from './files.ts';
import { textOf } from './layout.ts';
import { beginning, byName, isSamePlace, type Place, placeAfter, placeIn, shareAt } from './place.ts';
import type { Base, OptionSet } from './shared-options.ts';

/** A chunk as it is written. */
type Part = {
  readonly place: Place;
  readonly end: Place;
  /** What stands before the first `defaults` section. */
  readonly before: Buffer;
  readonly after: Buffer;
  readonly sets: ReadonlySet<OptionSet>;
  /** The names of its own `defaults` sections. */
  readonly names: readonly string[];
};

const parts = new WeakMap<ListChunk<Section>, Part>();

/** Those of `textOf(chunks.flat())`. */
export function bytesOf(chunks: readonly ListChunk<Section>[]): Buffer {
  const all: Part[] = [];
  const names = new Set<string>();
  const sets = new Map<string, OptionSet>();
  const bases = new Map<string, Base>();
  let isAmbiguous = false;
  for (const chunk of chunks) {
    const part = partOf(chunk, all.at(-1)?.end ?? beginning);
    all.push(part);
    for (const name of part.names) names.add(name);
    for (const set of part.sets) {
      isAmbiguous ||= (sets.get(set.name) ?? set).text !== set.text;
      sets.set(set.name, set);
      bases.set(set.base.name, set.base);
    }
  }
  // Which of those that would have one name is written with it depends on all of them.
  if (isAmbiguous || [...sets.keys(), ...bases.keys()].some((name) => names.has(name)))
    return Buffer.from(textOf(chunks.flat()));
  const shared = [...byName([...bases.values()]), ...byName([...sets.values()])].map(({ text }) => text);
  return Buffer.concat([
    ...all.map(({ before }) => before),
    Buffer.from(shared.join('')),
    ...all.map(({ after }) => after),
  ]);
}

function partOf(chunk: ListChunk<Section>, place: Place): Part {
  const known = parts.get(chunk);
  if (known !== undefined && isSamePlace(known.place, place)) return known;
  let end = place;
  let [before, after] = ['', ''];
  const sets = new Set<OptionSet>();
  const options = new Map<string, OptionSet>();
  const names: string[] = [];
  for (const section of chunk) {
    if (isFile(section)) continue;
    end = placeIn(end, section);
    if (section.kind === 'defaults' && section.name !== '') names.push(section.name);
    const its = section.kind === 'backend' ? shareAt(end, section, options) : null;
    const isShared = its !== null && 'set' in its;
    if (isShared) sets.add(its.set);
    const text = isShared ? its.text : section.text;
    if (end.nearest === null) before += text;
    else after += text;
    end = placeAfter(end, section);
  }
  const part = { place, end, before: Buffer.from(before), after: Buffer.from(after), sets, names };
  parts.set(chunk, part);
  return part;
}
