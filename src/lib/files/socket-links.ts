/** Other names by which a socket is found. */
import { link, lstat, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasCode } from '../../errors.ts';
import { writeFailed } from './files.ts';

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
