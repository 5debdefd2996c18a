/**
 * Copies of the files that services name, as the last good HAProxy read them: the files on disk may break
 * later, and a new process would not start with it. Private, as there are keys among them: 0600 in a folder of 0700.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { keptFilesFolder } from '../../config/paths.ts';
import type { Config } from '../../config/schema.ts';
import { AppError, hasCode } from '../../errors.ts';
import { type NamedFile, namedFiles, withOtherFiles } from '../../haproxy/text/named-files.ts';
import { isThere, makeFolder, readIfThere, writeDurably, writeFailed, writeSynced } from '../../lib/files/files.ts';
import type { Section } from '../../model.ts';

/** The part of this that a reconcile uses. */
export type KeptFiles = {
  /** The sections, where those of `service` name copies instead of the files, as far as copies exist. */
  withCopies(sections: readonly Section[], service: string): readonly Section[];
  /** Whether these sections name copies. */
  areNamedBy(sections: readonly Section[]): boolean;
  /** Whether these sections name a file that has no copy yet. */
  lacksSome(sections: readonly Section[]): boolean;
  /** Copies the files that these sections name, as they are now, if HAProxy accepts them. */
  during<T>(sections: readonly Section[], ask: () => Promise<T>, isTaken: (outcome: T) => boolean): Promise<T>;
  /** Removes the copies of what these sections, which are live, do not name. */
  keepOnly(sections: readonly Section[]): Promise<void>;
};

/** Keeps no copies: `keepFiles` is off, or there is no HAProxy to ask. */
export const nothingKept: KeptFiles = {
  withCopies: (sections) => sections,
  areNamedBy: () => false,
  lacksSome: () => false,
  during: (_, ask) => ask(),
  keepOnly: async () => {},
};

export async function openKeptFiles(
  config: Pick<Config, 'state' | 'haproxy'>,
  onTrouble: (error: unknown) => void,
): Promise<KeptFiles> {
  const { control, keepFiles } = config.haproxy;
  const folder = keptFilesFolder(config);
  // Keys must not stay there after `keepFiles` is switched off.
  if (!keepFiles) await rm(folder, { recursive: true, force: true }).catch(onTrouble);
  return keepFiles && control !== 'none' ? KeptFilesFolder.open(folder, onTrouble) : nothingKept;
}

type Copy = {
  /** Stamp of the original; while the stamp is the same, the copy is current. */
  readonly stamp: string;
  /** Below the folder. */
  readonly path: string;
};

const shape: z.ZodType<readonly (readonly [path: string, copy: Copy])[]> = z.array(
  z.tuple([z.string(), z.object({ stamp: z.string(), path: z.string() })]),
);

/** Limit for all files that one path names together. */
const mostBytes = 16 * 1024 * 1024;
/** What HAProxy looks for beside a certificate. */
const companions = ['.key', '.ocsp', '.sctl', '.issuer', '.rsa', '.ecdsa', '.dsa'];

export class KeptFilesFolder implements KeptFiles {
  readonly #folder: string;
  readonly #onTrouble: (error: unknown) => void;
  /** By the path that is named. */
  #copies: ReadonlyMap<string, Copy>;

  private constructor(folder: string, onTrouble: (error: unknown) => void, copies: ReadonlyMap<string, Copy>) {
    this.#folder = folder;
    this.#onTrouble = onTrouble;
    this.#copies = copies;
  }

  static async open(folder: string, onTrouble: (error: unknown) => void): Promise<KeptFilesFolder> {
    const copies = await readIndex(folder).catch((error: unknown) => {
      onTrouble(error);
      return new Map<string, Copy>();
    });
    return new KeptFilesFolder(folder, onTrouble, copies);
  }

  withCopies(sections: readonly Section[], service: string): readonly Section[] {
    return withOtherFiles(sections, service, (path) => {
      const copy = this.#copies.get(path);
      return copy === undefined ? null : join(this.#folder, copy.path);
    });
  }

  areNamedBy(sections: readonly Section[]): boolean {
    return namedFiles(sections).some(({ path }) => this.#isCopy(path));
  }

  lacksSome(sections: readonly Section[]): boolean {
    return namedFiles(sections).some(({ path }) => !this.#isCopy(path) && !this.#copies.has(path));
  }

  async during<T>(sections: readonly Section[], ask: () => Promise<T>, isTaken: (outcome: T) => boolean): Promise<T> {
    const files = namedFiles(sections);
    const before = new Map(await Promise.all(files.map(async (file) => [file.path, await inspect(file)] as const)));
    const outcome = await ask();
    // A missing copy only means that the original is used.
    if (isTaken(outcome)) await this.#keep(files, before).catch((error: unknown) => this.#failed(error));
    return outcome;
  }

  async keepOnly(sections: readonly Section[]): Promise<void> {
    if (this.#copies.size === 0) return;
    await this.#keep(namedFiles(sections), new Map()).catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    this.#onTrouble(error instanceof AppError ? error : writeFailed(this.#folder, error));
  }

  #isCopy(path: string): boolean {
    return path.startsWith(`${this.#folder}/`);
  }

  async #keep(files: readonly NamedFile[], before: ReadonlyMap<string, Inspected | null>): Promise<void> {
    const named = new Set(files.map(({ path }) => path));
    const copies = new Map(
      [...this.#copies].filter(([path, copy]) => named.has(path) || named.has(join(this.#folder, copy.path))),
    );
    for (const file of files) {
      const seen = before.get(file.path) ?? null;
      if (seen === null || this.#isCopy(file.path) || copies.get(file.path)?.stamp === seen.stamp) continue;
      const path = await this.#copy(file, seen);
      if (path !== null) copies.set(file.path, { stamp: seen.stamp, path });
    }
    if (copies.size === 0 && this.#copies.size === 0) return;
    await makeFolder(this.#folder, 0o700);
    await writeDurably(indexOf(this.#folder), `${JSON.stringify([...copies])}\n`);
    this.#copies = copies;
    const used = new Set([...copies.values()].map(({ path }) => dirname(path)));
    for (const name of await readdir(this.#folder))
      if (/^[0-9a-f]{64}(\.new)?$/.test(name) && !used.has(name))
        await rm(join(this.#folder, name), { recursive: true, force: true });
  }

  /** null where the file has changed since HAProxy read it, or Myelin may not read it. */
  async #copy(file: NamedFile, { stamp, paths, isFolder }: Inspected): Promise<string | null> {
    const read = await Promise.all(paths.map(async (path) => [path, await readFile(path).catch(unreadable)] as const));
    const contents = read.flatMap(([path, bytes]) => (bytes === null ? [] : [[basename(path), bytes] as const]));
    if (contents.length < read.length || (await inspect(file))?.stamp !== stamp) return null;
    const hash = createHash('sha256');
    for (const [name, bytes] of contents) hash.update(`${name}\0${bytes.length}\0`).update(bytes);
    const name = hash.digest('hex');
    const copy = join(name, isFolder ? 'files' : basename(file.path));
    const folder = join(this.#folder, name);
    if (await isThere(join(this.#folder, copy))) return copy;
    const fresh = `${folder}.new`;
    const inside = isFolder ? join(fresh, 'files') : fresh;
    await rm(folder, { recursive: true, force: true });
    await rm(fresh, { recursive: true, force: true });
    await makeFolder(inside, 0o700);
    for (const [each, bytes] of contents) await writeSynced(join(inside, each), bytes, 0o600);
    await rename(fresh, folder);
    return copy;
  }
}

/** The files that a path names, and the stamp that shows a change. */
type Inspected = { readonly stamp: string; readonly paths: readonly string[]; readonly isFolder: boolean };

/** null where there is nothing that can be copied. */
async function inspect({ path, isCertificate }: NamedFile): Promise<Inspected | null> {
  const beside = isCertificate ? [...companions.map((end) => path + end), path.replace(/\.[^./]+$/, '.key')] : [];
  const inside = await readdir(path).catch(unreadable);
  const paths = inside?.sort().map((name) => join(path, name)) ?? [...new Set([path, ...beside])];
  const all = await Promise.all(paths.map(async (each) => [each, await stat(each).catch(unreadable)] as const));
  const files = all.flatMap(([each, stats]) => (stats?.isFile() ? [[each, stats] as const] : []));
  const bytes = files.reduce((sum, [, { size }]) => sum + size, 0);
  if (files.length === 0 || bytes > mostBytes) return null;
  const stamps = files.map(([each, { ino, size, mtimeMs, ctimeMs }]) => [each, ino, size, mtimeMs, ctimeMs].join(' '));
  return { stamp: stamps.join('\n'), paths: files.map(([each]) => each), isFolder: inside !== null };
}

/** HAProxy may read files that Myelin may not; then there is no copy, and the original is used. */
function unreadable(error: unknown): null {
  if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP')) return null;
  throw error;
}

function indexOf(folder: string): string {
  return join(folder, 'index.json');
}

/** Empty where Myelin did not write this index: the next start writes it again. */
async function readIndex(folder: string): Promise<ReadonlyMap<string, Copy>> {
  const text = (await readIfThere(indexOf(folder)))?.toString('utf8');
  try {
    return new Map(text === undefined ? [] : shape.parse(JSON.parse(text)));
  } catch {
    return new Map();
  }
}
