/** The backends of services, by whom they are read back. */
import type { Rendered, Section } from '../../../model.ts';
import { partsOfKind } from '../parts.ts';
import type { Owner } from '../resource.ts';
import { isOurs } from './plan/section.ts';

/** `among`: only those of these owners. */
export function partsOf(running: Rendered, among?: Iterable<Owner>): ReadonlyMap<Owner, Section> {
  return partsOfKind('backend', running, among, isOurs);
}
