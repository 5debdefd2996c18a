/** The backends of services, by whom they are read back. */
import type { Rendered, Section } from '../../../model.ts';
import type { Owner } from '../resource.ts';
import { isOurs } from './plan/section.ts';
import { ownerOf } from './read-back.ts';

const known = new WeakMap<readonly Section[], ReadonlyMap<Owner, Section>>();

/** Cached, because each look needs them and there may be ten thousand. */
export function partsOf({ sections }: Rendered): ReadonlyMap<Owner, Section> {
  let found = known.get(sections);
  if (found === undefined) {
    found = new Map(sections.filter(isOurs).map((section) => [ownerOf(section.name), section]));
    known.set(sections, found);
  }
  return found;
}
