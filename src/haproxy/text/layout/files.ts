/**
 * Files beside `haproxy.cfg` that HAProxy reads with it. Each is a section among the others, so that what compares, plans
 * and records sections need not know: the section's kind is the kind of file, its name the path, its text the content.
 */
import type { FileBeside } from '../../../lib/files/files-beside.ts';
import type { Section } from '../../../model.ts';

/** Whether a section is a file of its own, and no part of `haproxy.cfg`. */
export function isFile({ kind }: Pick<Section, 'kind'>): boolean {
  return modes.has(kind);
}

/** The sections of `haproxy.cfg`; the same list where there are no others. */
export function withoutFiles(sections: readonly Section[]): readonly Section[] {
  return sections.some(isFile) ? sections.filter((section) => !isFile(section)) : sections;
}

/** The files beside `haproxy.cfg`. */
export function filesIn(sections: readonly Section[]): readonly FileBeside[] {
  return sections.flatMap(({ kind, name, text }) => {
    const mode = modes.get(kind);
    return mode === undefined ? [] : [{ path: name, text, mode }];
  });
}

/** The same with other paths, in the files and in what names them. */
export function atOtherPaths(sections: readonly Section[], pathFor: (path: string) => string): readonly Section[] {
  const paths = new Map(filesIn(sections).map(({ path }) => [path, pathFor(path)]));
  const renamed = (text: string): string =>
    [...paths].reduce((all, [path, other]) => all.replaceAll(path, other), text);
  return sections.map((section) => {
    const text = renamed(section.text);
    const name = (isFile(section) ? paths.get(section.name) : undefined) ?? section.name;
    return text === section.text && name === section.name ? section : { ...section, name, text };
  });
}

/** Private keys are readable only by their owner. */
const modes: ReadonlyMap<string, number> = new Map([
  ['map', 0o640],
  ['crt-list', 0o640],
  ['ca-file', 0o640],
  ['certificate', 0o600],
]);
