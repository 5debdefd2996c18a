/** Reads the config's files, puts values into their strings, and remembers the files and secrets that it found. */
import { resolve } from 'node:path';
import { describe, hasCode } from '../../errors.ts';
import { type ReadFile, readOnce } from '../../lib/files/read-file.ts';
import type { Report } from '../problems.ts';
import type { Inserted } from './mask.ts';
import { type Expansion, expand, type FileText, filesNamed } from './substitute.ts';
import { parseYaml, stringsOf, type Tree, treeOf, withoutNotes } from './tree.ts';

export class Reader {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #readFile: ReadFile;
  readonly #files = new Set<string>();
  readonly #secrets = new Set<string>();
  readonly #inserted = new Map<string, Inserted>();

  /** Relative paths count from `folder`. */
  constructor(folder: string, env: NodeJS.ProcessEnv, readFile: ReadFile = readOnce) {
    this.#folder = folder;
    this.#env = env;
    this.#readFile = readFile;
  }

  /** Absolute paths of all files that were read or looked for. */
  get files(): readonly string[] {
    return [...this.#files];
  }

  /** The values of environment variables whose name says that they are secret. */
  get secrets(): readonly string[] {
    return [...this.#secrets];
  }

  /** The texts of the config into which something was put that may be secret. */
  get inserted(): ReadonlyMap<string, Inserted> {
    return this.#inserted;
  }

  /** Watches a file that other code reads, like the files of the config. */
  watch(path: string): void {
    this.#files.add(path);
  }

  /** The data of a YAML file, called `shownAs` in reports; null where it is empty or not YAML. */
  async readTree(path: string, shownAs: string, report: Report): Promise<Tree | null> {
    const reportFile = (message: string): null => {
      report({ file: shownAs, line: 0, column: 0 }, [], message);
      return null;
    };
    const file = await this.#readText(path);
    if ('problem' in file) return reportFile(`cannot be read: ${file.problem}`);
    const yaml = parseYaml(file.text, shownAs, report);
    if (yaml === null) return null;
    const values = { env: this.#env, files: await this.#readAll(stringsOf(yaml).flatMap(filesNamed)) };
    const expandAndKeep = (text: string): Expansion => {
      const expansion = expand(text, values);
      for (const secret of expansion.named) this.#secrets.add(secret);
      if (expansion.secrets.length > 0) this.#inserted.set(expansion.text, expansion);
      return expansion;
    };
    const tree = treeOf(yaml, expandAndKeep, report);
    return tree === null || tree.value === null ? reportFile('is empty') : withoutNotes(tree);
  }

  async #readAll(paths: readonly string[]): Promise<ReadonlyMap<string, FileText>> {
    const read = async (path: string): Promise<[string, FileText]> => {
      const file = await this.#readText(path);
      if ('text' in file) return [path, { text: file.text.replace(/[\r\n]+$/, '') }];
      return [path, { problem: `the file ${path} cannot be read: ${file.problem}` }];
    };
    return new Map(await Promise.all([...new Set(paths)].map(read)));
  }

  async #readText(path: string): Promise<FileText> {
    const absolute = resolve(this.#folder, path);
    this.#files.add(absolute);
    try {
      return { text: new TextDecoder('utf-8', { fatal: true }).decode(await this.#readFile(absolute)) };
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return { problem: 'there is no such file' };
      if (hasCode(error, 'EISDIR')) return { problem: 'it is a folder' };
      if (hasCode(error, 'EACCES', 'EPERM')) return { problem: 'this user may not read it' };
      if (hasCode(error, 'ERR_ENCODING_INVALID_ENCODED_DATA')) return { problem: 'it is not UTF-8 text' };
      return { problem: describe(error) };
    }
  }
}
