/** Finds HAProxy's executable, and tells whether it is still the same one. */
import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { AppError, describe } from '../../errors.ts';
import { describeExit, runCommand } from '../../lib/command.ts';
import { parseVersion, type Version } from './version.ts';

/** Differs as soon as another file stands at the path: a package upgrade, a new link, a rebuilt image. */
export type BinaryIdentity = {
  readonly path: string;
  readonly inode: number;
  readonly mtimeMs: number;
  readonly size: number;
};

export type Binary = { readonly path: string; readonly version: Version; readonly identity: BinaryIdentity };

/** Looked in after PATH: unprivileged users often lack it there, and HAProxy is a daemon. */
const daemonFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

type Finding = { readonly known?: Binary | null; readonly signal?: AbortSignal };

/** Finds the executable and asks it for its version; `known` saves that call while the file is the same. */
export async function findBinary(
  name: string,
  path: string | undefined,
  { known, signal }: Finding = {},
): Promise<Binary> {
  const found = await locate(name, path);
  if (found === null)
    throw new AppError('MYELIN_HAPROXY_UNAVAILABLE', `HAProxy's executable ${JSON.stringify(name)} was not found`, {
      remedy: 'install HAProxy, or set haproxy.binary in myelin.yaml to where it is',
    });
  const identity = await identify(found);
  if (identity !== null && known && sameBinary(known.identity, identity)) return known;
  const version = await askVersion(found, signal);
  if (identity === null)
    throw new AppError('MYELIN_HAPROXY_UNAVAILABLE', `${found} vanished while it was looked at`, {
      remedy: 'it is probably being upgraded; Myelin tries again by itself',
    });
  return { path: found, version, identity };
}

/** null while there is no file, such as in the middle of an upgrade. */
async function identify(path: string): Promise<BinaryIdentity | null> {
  try {
    const real = await realpath(path);
    const { ino, mtimeMs, size } = await stat(real);
    return { path: real, inode: ino, mtimeMs, size };
  } catch {
    // The next attempt to run the file reports why it cannot be read.
    return null;
  }
}

export function sameBinary(a: BinaryIdentity, b: BinaryIdentity): boolean {
  return a.path === b.path && a.inode === b.inode && a.mtimeMs === b.mtimeMs && a.size === b.size;
}

async function locate(name: string, path: string | undefined): Promise<string | null> {
  if (name.includes('/')) return (await isExecutable(name)) ? name : null;
  for (const folder of [...(path ?? '').split(delimiter).filter((part) => part !== ''), ...daemonFolders]) {
    const candidate = join(folder, name);
    if (await isExecutable(candidate)) return candidate;
  }
  return null;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    // Missing or not executable for us: either way the search continues.
    return false;
  }
}

async function askVersion(path: string, signal: AbortSignal | undefined): Promise<Version> {
  const unusable = (why: string, cause?: unknown): AppError =>
    new AppError('MYELIN_HAPROXY_UNAVAILABLE', `${path} -v: ${why}`, {
      cause,
      remedy: 'haproxy.binary in myelin.yaml must name a HAProxy that runs on this machine',
    });
  try {
    const finished = await runCommand([path, '-v'], { timeoutMs: 10_000, signal });
    const version = parseVersion(finished.stdout);
    if (finished.status !== 0 || version === null || !/^HA-?Proxy version/im.test(finished.stdout))
      throw unusable(`is not HAProxy (${describeExit(finished)}): ${firstLine(finished.stderr || finished.stdout)}`);
    return version;
  } catch (error) {
    throw error instanceof AppError || signal?.aborted ? error : unusable(`cannot be run: ${describe(error)}`, error);
  }
}

function firstLine(output: string): string {
  return output.trim().split('\n', 1).join('').slice(0, 300);
}
