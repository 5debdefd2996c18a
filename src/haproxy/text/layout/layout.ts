/**
 * How sections are written as `haproxy.cfg`, and which of them a line of it is about. Inside Myelin each section has all its
 * lines; here the options that backends share are written once (`shared-options.ts`).
 */
import type { FileBeside } from '../../../lib/files/files-beside.ts';
import type { Section } from '../../../model.ts';
import { notableIn } from '../inherited-config.ts';
import { linesOf, splitSections } from '../text.ts';
import { filesIn, isFile } from './files.ts';
import { beginning, byName, placeAfter, placeIn, shareAt, type Unshared } from './place.ts';
import {
  type Base,
  isSharedName,
  type OptionSet,
  optionsIn,
  type SharedBackend,
  wholeBackend,
} from './shared-options.ts';

/** The bytes of `haproxy.cfg`; files beside it are not among them. */
export function textOf(sections: readonly Section[]): string {
  return piecesOf(sections)
    .map(({ text }) => text)
    .join('');
}

/** `haproxy.cfg` and the files beside it. */
export function layoutOf(sections: readonly Section[]): Layout {
  return { text: textOf(sections), files: filesIn(sections) };
}

type Layout = { readonly text: string; readonly files: readonly FileBeside[] };

/** The sections of a file, each with all its lines again; sections that Myelin has not shared stay as they are. */
export function sectionsIn(text: string): readonly Section[] {
  const written = splitSections(text);
  const sets = new Map(
    written.flatMap((section) => {
      const options = isShared(section) ? optionsIn(section.text) : null;
      return options === null ? [] : [[section.name, options]];
    }),
  );
  if (sets.size === 0) return written;
  const sections = written.flatMap((section): Section[] => {
    if (isShared(section)) return [];
    const whole = section.kind === 'backend' ? wholeBackend(section.text, (set) => sets.get(set) ?? null) : null;
    return [whole === null ? section : { ...section, text: whole, sharesOptions: true }];
  });
  return textOf(sections) === text ? sections : written;
}

/** The services whose sections have this line (1-based) of the file: a shared line belongs to each of them. */
export function servicesAtLine(sections: readonly Section[], line: number): readonly string[] {
  let last = 0;
  for (const { text, of } of piecesOf(sections)) {
    last += linesOf(text).length;
    if (line <= last) return [...new Set(of.flatMap(({ service }) => service ?? []))];
  }
  return [];
}

/** The services that have the options of this name. */
export function servicesWith(sections: readonly Section[], set: string): readonly string[] {
  const piece = isSharedName(set) ? piecesOf(sections).find(({ name }) => name === set) : undefined;
  return [...new Set((piece?.of ?? []).flatMap(({ service }) => service ?? []))];
}

/** One line of a file, and where it stands in it. */
export type PlacedLine = {
  readonly section: Section;
  readonly text: string;
  /** 1-based, in the whole file. */
  readonly number: number;
  /** Stands in an `.if` of its section or of the file: HAProxy may leave it out. */
  readonly isConditional: boolean;
};

/** The lines as they stand in the file; those that are shared are not among them. */
export function placedLines(sections: readonly Section[]): PlacedLine[] {
  let number = 0;
  let depth = 0;
  return piecesOf(sections).flatMap(({ text: whole, of: [section], name }) =>
    linesOf(whole).flatMap((text) => {
      number += 1;
      if (section === undefined || name !== null) return [];
      const [, macro] = /^[ \t\v\f]*\.(if|endif)(?![^ \t\v\f\r])/.exec(text) ?? [];
      if (macro === 'endif') depth -= 1;
      const line = { section, text, number, isConditional: depth > 0 };
      if (macro === 'if') depth += 1;
      return line;
    }),
  );
}

/** The set that a backend of these sections is written with, or why it is written whole. Nothing of the others is read for it. */
export function optionSetOf(
  section: Section,
  sections: readonly Section[],
): { readonly set: OptionSet } | { readonly because: string } {
  const place = sections.indexOf(section);
  if (place === -1) return { because: 'it is not in the file' };
  const notable = notableIn(sections);
  let at = beginning;
  for (const { at: its, section: each } of notable) {
    if (its >= place) break;
    at = placeAfter(placeIn(at, each), each);
  }
  const its = shareAt(at, section);
  if ('because' in its) return its;
  const { name, base } = its.set;
  const isTaken = notable.some(
    ({ section: other }) => other.kind === 'defaults' && [name, base.name].includes(other.name),
  );
  return isTaken ? isNamedAlike(its.set) : its;
}

/** The sets that a process knows that was started with these sections, by their names. */
export function optionSetsIn(sections: readonly Section[]): ReadonlyMap<string, OptionSet> {
  const sets = new Map<string, OptionSet>();
  piecesOf(sections, (_, its) => {
    if ('set' in its) sets.set(its.set.name, its.set);
  });
  return sets;
}

/** A part of the file, the sections that it belongs to, and the name of a shared section. */
type Piece = { readonly text: string; readonly of: readonly Section[]; readonly name: string | null };

type Note = (section: Section, its: SharedBackend | Unshared) => void;

/**
 * Shared sections stand before the first `defaults` section: a section without `from` inherits from the nearest above,
 * which must not be a shared one.
 */
function piecesOf(sections: readonly Section[], note: Note = () => {}): readonly Piece[] {
  const taken = new Set(sections.flatMap(({ kind, name }) => (kind === 'defaults' && name !== '' ? [name] : [])));
  const known = new Map<string, OptionSet>();
  const bases = new Map<string, Base>();
  const sets = new Map<string, { readonly set: OptionSet; readonly users: Section[] }>();
  const before: Piece[] = [];
  const after: Piece[] = [];
  let place = beginning;

  const shareOne = (section: Section): SharedBackend | Unshared => {
    const its = shareAt(place, section, known);
    if ('because' in its) return its;
    const { set } = its;
    const isOther = (sets.get(set.name)?.set ?? set).text !== set.text;
    return isOther || taken.has(set.name) || taken.has(set.base.name) ? isNamedAlike(set) : its;
  };

  for (const section of sections) {
    if (isFile(section)) continue;
    place = placeIn(place, section);
    let text = section.text;
    if (section.kind === 'backend') {
      const its = shareOne(section);
      note(section, its);
      if ('set' in its) {
        text = its.text;
        const entry = sets.get(its.set.name);
        if (entry === undefined) sets.set(its.set.name, { set: its.set, users: [section] });
        else entry.users.push(section);
        bases.set(its.set.base.name, its.set.base);
      }
    }
    (place.nearest === null ? before : after).push({ text, of: [section], name: null });
    place = placeAfter(place, section);
  }
  if (sets.size === 0) return [...before, ...after];
  const shared = [
    ...byName([...bases.values()]).map((base): Piece => ({ text: base.text, of: [], name: base.name })),
    ...byName([...sets.values()].map((each) => ({ ...each, name: each.set.name }))).map(
      ({ set, users, name }): Piece => ({ text: set.text, of: users, name }),
    ),
  ];
  return [...before, ...shared, ...after];
}

function isNamedAlike({ name, base }: OptionSet): Unshared {
  return { because: `another section is named ${name} or ${base.name}` };
}

function isShared({ kind, name }: Section): boolean {
  return kind === 'defaults' && isSharedName(name);
}
