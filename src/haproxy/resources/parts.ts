/** The sections that are read back, by their owners; and what becomes of a file where some of them turn out to be different. */
import { NameIndex } from '../../lib/name-index.ts';
import type { Rendered, Section } from '../../model.ts';
import type { Owner } from './resource.ts';

/** Of the sections that were looked at last, by kind. */
const indexes = new Map<string, NameIndex<Section>>();

/** The sections of this kind; `among`: only those of these owners. `isIts`: the same function whenever a kind is asked for. */
export function partsOfKind(
  kind: string,
  { sections }: Rendered,
  among: Iterable<Owner> | undefined,
  isIts: (section: Section) => boolean = (section) => section.kind === kind,
): ReadonlyMap<Owner, Section> {
  const found = new Map<Owner, Section>();
  if (among === undefined) {
    for (const section of sections) if (isIts(section)) found.set(`${kind} ${section.name}`, section);
    return found;
  }
  const names = namesAmong(kind, among);
  if (names.size === 0) return found;
  const index = indexes.get(kind) ?? new NameIndex(isIts);
  indexes.set(kind, index);
  const all = index.of(sections);
  for (const name of names) {
    const section = all.get(name);
    if (section !== undefined) found.set(`${kind} ${name}`, section);
  }
  return found;
}

/** Whether owners of this kind may be among them. */
export function mayBeAmong(kind: string, among: Iterable<Owner> | undefined): boolean {
  return among === undefined || namesAmong(kind, among).size > 0;
}

function namesAmong(kind: string, owners: Iterable<Owner>): ReadonlySet<string> {
  const names = new Set<string>();
  const beginning = `${kind} `;
  for (const owner of owners) if (owner.startsWith(beginning)) names.add(owner.slice(beginning.length));
  return names;
}

/** `running` with other sections in the place of some; null: without them. The same object where there are none. */
export function withOthers(running: Rendered, others: ReadonlyMap<Section, Section | null>): Rendered {
  if (others.size === 0) return running;
  const sections = running.sections.flatMap((section) => {
    const other = others.get(section);
    return other === undefined ? section : (other ?? []);
  });
  return { ...running, sections };
}
