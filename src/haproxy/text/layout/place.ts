/** Whether a backend is written with a set of shared options depends on what stands before it. */
import type { Section } from '../../../model.ts';
import { macroDepthOf } from '../inherited-config.ts';
import { type OptionSet, type SharedBackend, shareOptions } from './shared-options.ts';

/** What stands before a section and matters to how it is written. */
export type Place = {
  /** The `defaults` section that a backend inherits from here. */
  readonly nearest: Section | null;
  /** Whether that one, or another before it, depends on an `.if`. */
  readonly isConditional: boolean;
  /** Open `.if`s. */
  readonly depth: number;
};

/** Why a backend is written whole. */
export type Unshared = { readonly because: string };

export const beginning: Place = { nearest: null, isConditional: false, depth: 0 };

/** The place within this section. */
export function placeIn(place: Place, section: Section): Place {
  if (section.kind !== 'defaults') return place;
  return { ...place, nearest: section, isConditional: place.isConditional || place.depth > 0 };
}

/** The place behind it. */
export function placeAfter(within: Place, section: Section): Place {
  const depth = macroDepthOf(section);
  return depth === 0 ? within : { ...within, depth: within.depth + depth };
}

export function isSamePlace(a: Place, b: Place): boolean {
  return a.nearest === b.nearest && a.isConditional === b.isConditional && a.depth === b.depth;
}

/** Equal sets are one object in `known`, by their content. */
export function shareAt(
  { nearest, isConditional, depth }: Place,
  section: Section,
  known?: Map<string, OptionSet>,
): SharedBackend | Unshared {
  if (section.sharesOptions !== true) return { because: 'it is not written so for this HAProxy' };
  if (nearest === null) return { because: 'no `defaults` section stands before it' };
  if (isConditional || depth > 0 || macroDepthOf(section) !== 0) return { because: 'it depends on an `.if`' };
  return shareOptions(section, nearest, known);
}

/** Sorted by name, so that the order is stable when others come or go. */
export function byName<T extends { readonly name: string }>(named: readonly T[]): readonly T[] {
  return named.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
