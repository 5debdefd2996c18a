/** A file that a program reads, and what may become of a new version of it. */
import { copyFile, link, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError, hasCode } from '../../errors.ts';
import type { Timestamp } from '../../model.ts';
import { isThere, readIfThere, removeIfThere, syncFolder, writeDurably, writeFailed, writeSynced } from './files.ts';

/**
 * The file that HAProxy reads, say, and what may become of a new version of it: a candidate beside it is accepted in its
 * place, and stays there, or gives way to the previous one again; a refused one is kept as `.rejected` to be looked at.
 * Each is a link and a rename: putting back needs neither space nor the old bytes in memory.
 */
export type ConfigFile = ReturnType<typeof configFile>;

type ConfigFileOptions = {
  readonly mode?: number;
  /** It stands in a folder all files of which somebody reads. */
  readonly isAmongOthers?: boolean;
};

export function configFile(path: string, { mode, isAmongOthers = false }: ConfigFileOptions = {}) {
  const folder = dirname(path);
  // Where whole folders are read, names that begin with a dot are left out.
  const beside = isAmongOthers ? join(folder, `.${basename(path)}`) : path;
  const candidate = `${beside}.candidate`;
  const previous = `${beside}.previous`;
  const rejected = `${beside}.rejected`;

  async function step<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof AppError ? error : writeFailed(path, error);
    }
  }

  return {
    path,
    candidate,

    async read(): Promise<string | null> {
      return (await readIfThere(path))?.toString('utf8') ?? null;
    },

    /** Writes the bytes that HAProxy is asked about; they are live only once accepted. */
    async propose(text: string): Promise<void> {
      const bytes = Buffer.from(text);
      try {
        await rm(candidate, { force: true });
        // Where they stand in place, as after HAProxy has ended by itself, they are there whatever the disk has room for.
        if ((await readIfThere(path))?.equals(bytes) && (await isLinked(path, candidate))) return;
        await writeSynced(candidate, bytes, mode);
      } catch (error) {
        await removeIfThere(candidate);
        throw writeFailed(path, error);
      }
    },

    /** The candidate takes the file's place; what stood there is kept until it is settled which of the two stays. */
    accept: () =>
      step(async () => {
        await rm(previous, { force: true });
        await keepAs(path, previous);
        await rename(candidate, path);
        // Where both were one file already, the rename did nothing.
        await rm(candidate, { force: true });
        await syncFolder(folder);
      }),

    /** What is in place stays. */
    settle: () =>
      step(async () => {
        await rm(previous, { force: true });
        await rm(candidate, { force: true });
      }),

    /** The candidate is refused before it was accepted. */
    reject: () => step(() => rename(candidate, rejected)),

    /** What was accepted is refused after all. */
    rejectAccepted: () =>
      step(async () => {
        try {
          await rm(rejected, { force: true });
          await keepAs(path, rejected);
        } finally {
          // Whatever keeps it from being kept: what is not proved must not stay in place.
          await putBack();
        }
      }),

    /** What is left of a candidate that nobody judged. */
    discard: () => removeIfThere(candidate),

    /** Undoes an acceptance: the previous file is in its place again, or none if there was none. */
    putBack: () => step(putBack),

    /** Whether a candidate was accepted and nothing settled: whoever did it was killed in the middle. */
    isUnsettled: () => isThere(previous),

    write: (text: string) => writeDurably(path, text),

    /** Since when the bytes that are there have been in their place, at the latest; null where there is no file. */
    async placedAt(): Promise<Timestamp | null> {
      // Not the time of writing: a candidate is written before it takes the place.
      return stat(path).then(
        ({ ctimeMs }) => ctimeMs,
        () => null,
      );
    },

    /** Another text whenever somebody has written or replaced the file, or taken it away. */
    async stamp(): Promise<string> {
      return stat(path).then(
        ({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`,
        () => 'none',
      );
    },
  };

  async function putBack(): Promise<void> {
    // A rename, not a copy: the place is never empty, and a full disk does not matter.
    if (await isThere(previous)) await rename(previous, path);
    else await rm(path, { force: true });
    // Where both were one file still, the rename did nothing.
    await rm(previous, { force: true });
    await syncFolder(folder);
  }
}

/** Gives the file a second name; false where the file system or the file's owner allows no links. */
async function isLinked(path: string, name: string): Promise<boolean> {
  try {
    await link(path, name);
    return true;
  } catch (error) {
    if (hasCode(error, ...withoutLinks)) return false;
    throw error;
  }
}

const withoutLinks = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

/** A second name for the file, if there is one; a copy where the file system or the file's owner allows no links. */
async function keepAs(path: string, name: string): Promise<void> {
  try {
    await link(path, name);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    if (!hasCode(error, ...withoutLinks)) throw error;
    await copyFile(path, name);
  }
}

/** Asks about a candidate that is not to be accepted. */
export async function tryOut<T>(file: ConfigFile, text: string, ask: () => Promise<T>): Promise<T> {
  try {
    await file.propose(text);
    return await ask();
  } finally {
    await file.discard();
  }
}
