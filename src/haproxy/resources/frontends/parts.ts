/** The frontends of ours, by whom they are read back. */
import type { Rendered, Section } from '../../../model.ts';
import { macroDepthOf } from '../../text/inherited-config.ts';
import type { Owner } from '../resource.ts';

const known = new WeakMap<readonly Section[], ReadonlyMap<Owner, Section>>();

export function ownerOf(frontend: string): Owner {
  return `frontend ${frontend}`;
}

export function frontendOf(owner: Owner): string {
  return owner.slice('frontend '.length);
}

/**
 * Those that listen from the start: rendered for a service, or shared by services, which the map tells. What HAProxy may leave out
 * (`.if`, `disabled`) is not among them.
 */
export function partsOf({ sections }: Rendered): ReadonlyMap<Owner, Section> {
  let found = known.get(sections);
  if (found === undefined) {
    found = new Map(frontendsIn(sections).map((section) => [ownerOf(section.name), section]));
    known.set(sections, found);
  }
  return found;
}

function frontendsIn(sections: readonly Section[]): readonly Section[] {
  if (sections.some((section) => section.kind === 'defaults' && mayBeDisabled(section))) return [];
  const maps = sections.filter(({ kind }) => kind === 'map').map(({ name }) => name);
  let depth = 0;
  return sections.filter((section) => {
    const isConditional = depth > 0;
    depth += macroDepthOf(section);
    if (section.kind !== 'frontend' || isConditional || mayBeDisabled(section)) return false;
    return section.service !== null || maps.some((map) => section.text.includes(map));
  });
}

function mayBeDisabled({ text }: Section): boolean {
  return text.includes('disabled');
}
