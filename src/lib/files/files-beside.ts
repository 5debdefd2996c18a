/**
 * Files that belong to another one and stand beside it, as the maps that a config names. They change with it or not at
 * all: the old files are kept until the change is committed, and otherwise put back, by the next Myelin after a kill too.
 */
import { readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { hasCode } from '../../errors.ts';
import {
  isThere,
  keepAs,
  makeFolder,
  readIfPossible,
  readIfThere,
  removeFile,
  syncFolder,
  writeDurably,
  writeSynced,
} from './files.ts';

export type FileBeside = {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
  readonly mode: number;
};

const index = z.array(z.object({ path: z.string(), wasThere: z.boolean() }));
type Kept = z.infer<typeof index>;

/** `kept` is the folder for what they were before; in `folders` nobody but us puts anything. */
export function filesBeside(kept: string, folders: readonly string[]) {
  // A folder without its index is ignored: one rename brings both, and removal begins with the index.
  const indexFile = join(kept, 'index.json');
  const fresh = `${kept}.new`;
  const keptAt = (at: number): string => join(kept, `${at}`);

  return { areInPlace, swapIn, putBack, dropOld, write, all, textsNamedIn };

  /** Whether each stands in its place as it is to be. */
  async function areInPlace(files: readonly FileBeside[]): Promise<boolean> {
    return (await changedOf(files)).length === 0;
  }

  /** Each in its place; where that fails, all are as before. */
  async function swapIn(files: readonly FileBeside[]): Promise<void> {
    const changed = await changedOf(files);
    if (changed.length === 0) return;
    try {
      await keep(changed.map(({ path }) => path));
      await write(changed);
    } catch (error) {
      await putBack();
      throw error;
    }
  }

  /** They are as before. What was put back already is left alone. */
  async function putBack(): Promise<void> {
    for (const [at, { path, wasThere }] of (await readIndex()).entries())
      if (!wasThere) await rm(path, { force: true });
      else if (await isThere(keptAt(at))) {
        await makeFolder(dirname(path));
        // A rename needs no room on the disk.
        await rename(keptAt(at), path);
        await syncFolder(dirname(path));
      }
    await dropOld();
  }

  /** Removes the old files: the new ones stay. */
  async function dropOld(): Promise<void> {
    await removeFile(indexFile);
    for (const folder of [kept, fresh]) await rm(folder, { recursive: true, force: true });
  }

  /** Writes without keeping the old files. Returns whether anything had to change. */
  async function write(files: readonly FileBeside[]): Promise<boolean> {
    let isChanged = false;
    for (const { path, text, mode } of files) {
      // Anyone who may read a file may enter its folder.
      await makeFolder(dirname(path), mode | ((mode & 0o444) >> 2));
      isChanged = (await writeDurably(path, text, mode)) || isChanged;
    }
    return isChanged;
  }

  /** The paths of all that is in the folders. */
  async function all(): Promise<readonly string[]> {
    const paths = await Promise.all(
      folders.map(async (folder) => (await namesIn(folder)).map((name) => join(folder, name))),
    );
    return paths.flat();
  }

  /** Of those whose paths stand in the text. */
  async function textsNamedIn(text: string): Promise<string> {
    let texts = '';
    for (const folder of folders)
      for (const name of await namesIn(folder)) {
        const path = join(folder, name);
        if (text.includes(path)) texts += (await readIfThere(path))?.toString('utf8') ?? '';
      }
    return texts;
  }

  async function keep(paths: readonly string[]): Promise<void> {
    await dropOld();
    await makeFolder(fresh, 0o700);
    const entries: Kept = [];
    for (const [at, path] of paths.entries()) {
      await keepAs(path, join(fresh, `${at}`));
      entries.push({ path, wasThere: await isThere(join(fresh, `${at}`)) });
    }
    await writeSynced(join(fresh, 'index.json'), Buffer.from(JSON.stringify(entries)), 0o600);
    await syncFolder(fresh);
    await rename(fresh, kept);
    await syncFolder(dirname(kept));
  }

  async function readIndex(): Promise<Kept> {
    const bytes = await readIfPossible(indexFile);
    try {
      return bytes === null ? [] : index.parse(JSON.parse(bytes.toString('utf8')));
    } catch {
      // Damaged: the new files stay, as where there is none. To fail here would be to fail at every later change too.
      return [];
    }
  }
}

async function changedOf(files: readonly FileBeside[]): Promise<readonly FileBeside[]> {
  const changed: FileBeside[] = [];
  for (const file of files) if (!(await readIfPossible(file.path))?.equals(Buffer.from(file.text))) changed.push(file);
  return changed;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
