/** Writes files so that a crash at any moment leaves the old bytes or the new ones, never less. */
import { constants, existsSync } from 'node:fs';
import {
  access,
  copyFile,
  type FileHandle,
  link,
  mkdir,
  open,
  readFile,
  rename,
  rmdir,
  stat,
  unlink,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError, describe, hasCode } from '../../errors.ts';

const mode = 0o640;

/** Temp file in the same folder, fsync, rename, fsync of the folder. Equal bytes are not written again: returns false. */
export function writeDurably(path: string, content: string | Buffer, itsMode = mode): Promise<boolean> {
  return writeIfOther(path, content, { itsMode, isSynced: true });
}

/** The same without syncing, for what matters only as long as a process lives: with the machine, it may be lost or old. */
export function writeWhole(path: string, content: string | Buffer, itsMode = mode): Promise<boolean> {
  return writeIfOther(path, content, { itsMode, isSynced: false });
}

type Placing = { readonly itsMode: number; readonly isSynced: boolean };

async function writeIfOther(path: string, content: string | Buffer, placing: Placing): Promise<boolean> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  if (await holds(path, bytes)) return false;
  await place(path, [bytes], placing);
  return true;
}

/** Whether the file can be read, and has these bytes. Most that have others have more or fewer. */
async function holds(path: string, bytes: Buffer): Promise<boolean> {
  const size = await stat(path).then(
    (stats) => stats.size,
    () => null,
  );
  return size === bytes.length && (await readIfPossible(path))?.equals(bytes) === true;
}

/** The same for what is long, without comparing: piece by piece, between which others have their turn. Returns its bytes. */
export async function writeInPieces(path: string, texts: Iterable<string>): Promise<number> {
  let written = 0;
  await place(path, pieces(), { itsMode: mode, isSynced: true });
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

async function place(path: string, content: Iterable<Buffer>, { itsMode, isSynced }: Placing): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.tmp`);
  try {
    await write(temp, content, { itsMode, isSynced });
    await moveTo(path, temp);
    if (isSynced) await syncFolder(dirname(path));
  } catch (error) {
    await removeIfThere(temp);
    throw writeFailed(path, error);
  }
}

/** An empty folder in the place of the file gives way: it holds nothing. */
async function moveTo(path: string, temp: string): Promise<void> {
  try {
    await rename(temp, path);
  } catch (error) {
    if (!hasCode(error, 'EISDIR')) throw error;
    await rmdir(path);
    await rename(temp, path);
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

/** Throws as `makeFolder` and a write there would, and makes nothing. */
export async function assertWritable(folder: string): Promise<void> {
  try {
    await access(nearest(folder), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw writeFailed(folder, error);
  }
}

/** The folder, or the nearest above it that is there. */
function nearest(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : nearest(dirname(folder));
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
    throw readFailed(path, error);
  }
}

/**
 * null also where it cannot be read. For what we wrote for ourselves, and can find out again or write anew: somebody else's
 * rights to it, or a folder in its place, must not keep Myelin from its work.
 */
export function readIfPossible(path: string): Promise<Buffer | null> {
  return readIfThere(path).catch(() => null);
}

/** A file that had another name in older versions: after a downgrade both are there, and the newer one counts. */
export async function readNewer(path: string, formerPath: string): Promise<Buffer | null> {
  const [changedAt, formerChangedAt] = await Promise.all([path, formerPath].map(changeTime));
  const isFormerNewer = (formerChangedAt ?? 0) > (changedAt ?? 0);
  const [first, second] = isFormerNewer ? [formerPath, path] : [path, formerPath];
  return (await readIfThere(first)) ?? (await readIfThere(second));
}

async function changeTime(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}

export function writeSynced(path: string, content: Buffer | Iterable<Buffer>, itsMode = mode): Promise<void> {
  return write(path, content, { itsMode, isSynced: true });
}

async function write(path: string, content: Buffer | Iterable<Buffer>, { itsMode, isSynced }: Placing): Promise<void> {
  await using file = await openFresh(path, itsMode);
  // The mode that was asked for, whatever the umask made of it.
  await file.chmod(itsMode);
  await file.writeFile(content);
  if (isSynced) await file.sync();
}

/** Never through a link that somebody else left at this name. */
async function openFresh(path: string, itsMode: number): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  const openNew = (): Promise<FileHandle> => open(path, O_WRONLY | O_CREAT | O_EXCL, itsMode);
  try {
    return await openNew();
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    await removeFile(path);
    return openNew();
  }
}

/** If it is there. In one call: `rm` looks twice at what it is to remove. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
  }
}

/** What was renamed or linked in it is so after a crash too. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

/** Gives the file a second name; false where the file system or the file's owner allows no links. */
export async function isLinked(path: string, name: string): Promise<boolean> {
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
export async function keepAs(path: string, name: string): Promise<void> {
  try {
    if (!(await isLinked(path, name))) await copyFile(path, name);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

/** Tidying up after a failure; a second failure says nothing that the first did not. */
export async function removeIfThere(path: string): Promise<void> {
  await removeFile(path).catch(() => {});
}

/** Throws an AppError where that cannot be seen, as in a folder without the right to search it. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
    throw readFailed(path, error);
  }
}

function readFailed(path: string, cause: unknown): AppError {
  return new AppError('MYELIN_WRITE_FAILED', `${path} cannot be read: ${describe(cause)}`, {
    cause,
    remedy: remedyFor(cause, path),
  });
}

export function writeFailed(path: string, cause: unknown): AppError {
  // The system's words name a path again, and not the folder that it is about.
  const isForbidden = hasCode(cause, 'EACCES', 'EPERM');
  const why = `this user (uid ${process.getuid?.()}) may not read and write in ${nearest(path)}`;
  return new AppError('MYELIN_WRITE_FAILED', `${path} cannot be written: ${isForbidden ? why : describe(cause)}`, {
    ...(!isForbidden && { cause }),
    remedy: remedyFor(cause, path),
  });
}

function remedyFor(error: unknown, path: string): string {
  const folder = dirname(path);
  if (hasCode(error, 'ENOSPC', 'EDQUOT')) return `make room on the file system of ${folder}`;
  if (hasCode(error, 'EROFS')) return `mount ${folder} writable, or move the file to a folder that is`;
  if (hasCode(error, 'EACCES', 'EPERM'))
    return `give the user that runs Myelin the right to read and write in ${nearest(folder)}`;
  if (hasCode(error, 'ENOENT')) return `create the folder ${folder}`;
  return `see what is wrong with ${folder}`;
}
