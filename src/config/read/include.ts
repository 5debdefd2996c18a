/** Finds and reads the files that `include` names, and adds their services to those of the main file. */
import { glob } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import type { Report } from '../problems.ts';
import { Judge } from '../validate/judge.ts';
import type { Reader } from './reader.ts';
import { isRecord, markAt, type Tree } from './tree.ts';

export type Included = {
  readonly trees: readonly Tree[];
  /** Folders in which a new file may match. */
  readonly folders: readonly string[];
};

/** `report` gets problems within the files, `reportPattern` those of a pattern that could not be read at all. */
export async function readIncluded(
  patterns: readonly string[],
  mainPath: string,
  reader: Reader,
  report: Report,
  reportPattern: (index: number, message: string) => void,
): Promise<Included> {
  const folder = dirname(mainPath);
  const seen = new Set([resolve(mainPath)]);
  const trees: Tree[] = [];
  for (const [index, pattern] of patterns.entries()) {
    for (const file of await filesOf(pattern, folder)) {
      if (seen.has(resolve(folder, file))) continue;
      seen.add(resolve(folder, file));
      const tree = await reader.readTree(
        file,
        resolve(file) === file ? file : join(folder, file),
        (place, path, message) =>
          place.line === 0 ? reportPattern(index, `the file ${file} ${message}`) : report(place, path, message),
      );
      if (tree !== null) trees.push(tree);
    }
  }
  return { trees, folders: [...new Set(patterns.filter(hasWildcard).map((pattern) => fixedFolder(pattern, folder)))] };
}

/** The main tree with the services of the others; a name that is taken is reported, and keeps its first meaning. */
export function joinServices(main: Tree, others: readonly Tree[], report: Report): Tree {
  if (!isRecord(main.value)) return main;
  const services = main.mark.children.get('services') ?? main.mark;
  const marks = new Map(main.mark.children.get('services')?.children);
  const values = isRecord(main.value.services) ? Object.entries(main.value.services) : [];
  for (const { value, mark } of others) {
    const judge = new Judge(mark, report);
    const included = judge.part(includedFile, [], value)?.services ?? {};
    for (const [name, service] of Object.entries(included)) {
      const path = ['services', name];
      const ownMark = markAt(mark, path);
      const taken = marks.get(name)?.key;
      if (taken !== undefined)
        judge.report(path, `is defined already at ${taken.file}:${taken.line}:${taken.column}: keep one of them`);
      if (taken !== undefined || ownMark === undefined) continue;
      marks.set(name, ownMark);
      values.push([name, service]);
    }
  }
  // The schema refuses anything that is not a map.
  const isMap = isRecord(main.value.services) || (main.value.services ?? null) === null;
  return {
    value: isMap ? { ...main.value, services: Object.fromEntries(values) } : main.value,
    mark: { ...main.mark, children: new Map(main.mark.children).set('services', { ...services, children: marks }) },
  };
}

const includedFile = z.strictObject({ services: z.record(z.string(), z.unknown()) });

/** A pattern may match nothing; a plain name is a file that must be there. */
async function filesOf(pattern: string, folder: string): Promise<string[]> {
  if (!hasWildcard(pattern)) return [pattern];
  const files: string[] = [];
  for await (const file of glob(pattern, { cwd: folder })) files.push(file);
  return files.sort();
}

function hasWildcard(pattern: string): boolean {
  return /[*?]/.test(pattern);
}

/** The folder before the first wildcard. */
function fixedFolder(pattern: string, folder: string): string {
  return resolve(folder, dirname(pattern.slice(0, pattern.search(/[*?]/)).concat('x')));
}
