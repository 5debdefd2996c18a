/** Structure: a section without its `server` lines, a map without its entries. It identifies a failure. */
import type { Section } from '../../model.ts';
import { editServers } from './servers/amend.ts';

const known = new WeakMap<Section, string>();

function structureOf(section: Section): string {
  // Entries of maps come and go as servers do.
  if (section.kind === 'map') return '';
  if (section.kind !== 'backend' && section.kind !== 'listen') return section.text;
  const before = known.get(section);
  if (before !== undefined) return before;
  const structure = editServers(section.text, () => null);
  known.set(section, structure);
  return structure;
}

export function sameStructure(a: readonly Section[], b: readonly Section[]): boolean {
  if (a.length !== b.length) return false;
  return a.every((section, at) => {
    const other = b[at];
    return other !== undefined && (section === other || structureOf(section) === structureOf(other));
  });
}
