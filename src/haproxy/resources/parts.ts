/** The sections that are read back, by their owners; and what becomes of a file where some of them turn out to be different. */
import type { Rendered, Section } from '../../model.ts';
import type { Owner } from './resource.ts';

/**
 * The sections of this kind; `among`: only those of these owners. To look for a few of thousands is a walk over a list, which
 * costs next to nothing beside an index of all of them.
 */
export function partsOfKind(
  kind: string,
  { sections }: Rendered,
  among: Iterable<Owner> | undefined,
  isIts: (section: Section) => boolean = (section) => section.kind === kind,
): ReadonlyMap<Owner, Section> {
  const found = new Map<Owner, Section>();
  const names = among === undefined ? null : namesAmong(kind, among);
  if (names?.size === 0) return found;
  for (const section of sections)
    if ((names === null || names.has(section.name)) && isIts(section)) found.set(`${kind} ${section.name}`, section);
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
