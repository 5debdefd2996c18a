/** Reads whole files: once whatever stands there, or again and again what holds up nobody. */
import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';

export type ReadFile = (path: string) => Promise<Buffer>;

/** Also a pipe, as a shell's `<(…)`: it has its text once, and is waited for. */
export const readOnce: ReadFile = (path) => readFile(path);

/**
 * For files read while Myelin runs. Opening a pipe without a writer would never end and cannot be cancelled: not
 * even the process could end.
 */
export const readAgain: ReadFile = async (path) => {
  const stats = await stat(path);
  if (!stats.isFile() && !stats.isDirectory())
    throw new Error('it is no regular file, and such a one is read at the start only: put a file in its place');
  // It may have become one by now.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return await file.readFile();
};
