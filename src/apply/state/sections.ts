/** What the drivers do with sections: compare them, and recognise them in a file. */
import { isFile, withoutFiles } from '../../haproxy/text/layout/files.ts';
import { sectionsIn } from '../../haproxy/text/layout/layout.ts';
import type { Section } from '../../model.ts';

/** Whether HAProxy would have nothing to do. */
export function isBlank(sections: readonly Section[]): boolean {
  return withoutFiles(sections).every(({ text }) => text.trim() === '');
}

export function sameText(a: readonly Section[], b: readonly Section[]): boolean {
  return a.length === b.length && a.every((section, at) => section === b[at] || isWrittenAlike(section, b[at]));
}

function isWrittenAlike({ text, sharesOptions }: Section, other: Section | undefined): boolean {
  return text === other?.text && sharesOptions === other.sharesOptions;
}

/** The record of a section beside its text; Myelin up to 0.9 recorded only the service. */
export type Owner = string | null | Required<Pick<Section, 'service' | 'queryKey'>>;

export function ownerOf({ service, queryKey }: Section): Owner {
  return queryKey === undefined ? service : { service, queryKey };
}

/** The sections of a file; each gets back the service that it was written for, where that was recorded. */
export function sectionsOf(text: string, owners: readonly Owner[] | null): readonly Section[] {
  const sections = sectionsIn(text);
  if (sections.length !== owners?.length) return sections;
  return sections.map((section, at) => {
    const owner = owners[at] ?? null;
    return typeof owner === 'string' || owner === null ? { ...section, service: owner } : { ...section, ...owner };
  });
}

/**
 * The sections of a file that is not as recorded, because one of the two could not be written: each is of the service that has
 * its name in the record. `files` are those of the record that are there.
 */
export function sectionsLike(
  text: string,
  recorded: readonly Section[],
  files: ReadonlySet<Section>,
): readonly Section[] {
  const known = new Map(recorded.map((section) => [keyOf(section), section]));
  const sections = sectionsIn(text).map((section): Section => {
    const its = known.get(keyOf(section));
    // Another text may be of another query.
    return its?.text === section.text ? { ...section, ...its } : { ...section, service: its?.service ?? null };
  });
  const places = new Map(sections.map((section, at) => [keyOf(section), at]));
  const all = [...sections];
  let at = all.length;
  for (const section of recorded.toReversed())
    if (!isFile(section)) at = places.get(keyOf(section)) ?? at;
    else if (files.has(section)) all.splice(at, 0, section);
  return all;
}

function keyOf({ kind, name }: Section): string {
  return `${kind} ${name}`;
}

/** A file beside the config as it is recorded, with its place among all sections. */
export type FileRecord = Pick<Section, 'kind' | 'name' | 'text' | 'service'> & { readonly at: number };

export function fileRecordsOf(sections: readonly Section[]): readonly FileRecord[] {
  return sections.flatMap((section, at) => {
    const { kind, name, text, service } = section;
    return isFile(section) ? [{ at, kind, name, text, service }] : [];
  });
}

/** `sections` of the config with the files where they stood. */
export function withFileRecords(sections: readonly Section[], files: readonly FileRecord[]): readonly Section[] {
  if (files.length === 0) return sections;
  const all = [...sections];
  for (const { at, ...file } of files) all.splice(at, 0, file);
  return all;
}
