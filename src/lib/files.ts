/** Writes files so that a crash at any moment leaves the old bytes or the new ones, never less. */
import { constants } from 'node:fs';
import { access, copyFile, link, lstat, mkdir, open, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError, describe, hasCode } from '../errors.ts';
import type { Timestamp } from '../model.ts';

const mode = 0o640;

/** Temp file in the same folder, fsync, rename, fsync of the folder. Equal bytes are not written again: returns false. */
export async function writeDurably(path: string, text: string): Promise<boolean> {
  const bytes = Buffer.from(text);
  if ((await readIfThere(path))?.equals(bytes)) return false;
  await place(path, [bytes]);
  return true;
}

/** The same for what is long, without comparing: piece by piece, between which others have their turn. Returns its bytes. */
export async function writeInPieces(path: string, texts: Iterable<string>): Promise<number> {
  let written = 0;
  await place(path, pieces());
  return written;

  function* pieces(): Generator<Buffer> {
    let piece = '';
    for (const text of texts) {
      piece += text;
      if (piece.length < pieceLength) continue;
      yield counted(piece);
      piece = '';
    }
    yield counted(piece);
  }

  function counted(piece: string): Buffer {
    const bytes = Buffer.from(piece);
    written += bytes.length;
    return bytes;
  }
}

const pieceLength = 65_536;

async function place(path: string, content: Iterable<Buffer>): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.tmp`);
  try {
    await writeSynced(temp, content);
    await rename(temp, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await removeIfThere(temp);
    throw writeFailed(path, error);
  }
}

/** Where `path` is a socket itself, and not what leads to one, it is found by this name too. */
export async function keepSocket(path: string, name: string): Promise<void> {
  const isSocket = await lstat(path).then(
    (stats) => stats.isSocket(),
    () => false,
  );
  if (!isSocket) return;
  try {
    await rm(name, { force: true });
    await link(path, name);
  } catch (error) {
    throw writeFailed(name, error);
  }
}

/** Gives the socket a second name, unless there is one already, or cannot be. */
export async function linkSocket(path: string, name: string): Promise<void> {
  await link(path, name).catch((error: unknown) => {
    if (!hasCode(error, 'ENOENT', 'EEXIST', 'EXDEV')) throw writeFailed(name, error);
  });
}

/** `path` leads to `target` from one moment to the next. */
export async function pointTo(path: string, target: string): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.tmp`);
  try {
    await rm(temp, { force: true });
    await symlink(target, temp);
    await rename(temp, path);
  } catch (error) {
    throw writeFailed(path, error);
  }
}

/** With those above it. Only for us: what stands in it says what runs. */
export async function makeFolder(path: string, itsMode = 0o750): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: itsMode });
  } catch (error) {
    throw writeFailed(path, error);
  }
}

/** Waits for all of them, also where one fails: what comes after must not meet the others still at work. */
export async function together(...works: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(works)) if (result.status === 'rejected') throw result.reason;
}

/** null where there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw new AppError('MYELIN_WRITE_FAILED', `${path} cannot be read: ${describe(error)}`, {
      cause: error,
      remedy: remedyFor(error, path),
    });
  }
}

/**
 * The file that HAProxy reads, and what may become of a new version of it: a candidate beside it is accepted in its
 * place, and stays there, or gives way to the previous one again; a refused one is kept as `.rejected` to be looked at.
 * Each is a link and a rename: putting back needs neither space nor the old bytes in memory.
 */
export type ConfigFile = ReturnType<typeof configFile>;
export function configFile(path: string) {
  const candidate = `${path}.candidate`;
  const previous = `${path}.previous`;
  const rejected = `${path}.rejected`;
  const folder = dirname(path);

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
        await writeSynced(candidate, bytes);
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

export async function writeSynced(path: string, content: Buffer | Iterable<Buffer>, itsMode = mode): Promise<void> {
  // Never through a link that somebody else left at this name.
  await rm(path, { force: true });
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  await using file = await open(path, O_WRONLY | O_CREAT | O_EXCL, itsMode);
  // The mode that was asked for, whatever the umask made of it.
  await file.chmod(itsMode);
  await file.writeFile(content);
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

/** Tidying up after a failure; a second failure says nothing that the first did not. */
async function removeIfThere(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => {});
}

export async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
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

export function writeFailed(path: string, cause: unknown): AppError {
  return new AppError('MYELIN_WRITE_FAILED', `${path} cannot be written: ${describe(cause)}`, {
    cause,
    remedy: remedyFor(cause, path),
  });
}

function remedyFor(error: unknown, path: string): string {
  const folder = dirname(path);
  if (hasCode(error, 'ENOSPC', 'EDQUOT')) return `make room on the file system of ${folder}`;
  if (hasCode(error, 'EROFS')) return `mount ${folder} writable, or move the file to a folder that is`;
  if (hasCode(error, 'EACCES', 'EPERM'))
    return `give the user that runs Myelin the right to read and write in ${folder}`;
  if (hasCode(error, 'ENOENT')) return `create the folder ${folder}`;
  return `see what is wrong with ${folder}`;
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
