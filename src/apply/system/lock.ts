/** Keeps a second Myelin out of a state folder; a dead Myelin keeps nobody out. */
import { once } from 'node:events';
import { access, link, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { AppError, describe, hasCode } from '../../errors.ts';
import { identifyProcess, isAlive, type ProcessId } from './processes.ts';

/**
 * The lock is a folder with a claim for everyone who wants it: a socket on which its process listens for as long as it
 * lives. A process first publishes its claim and then looks at the others, so of two at least one sees the other: never
 * do both hold the lock, and no claim is ever taken from a living process. The kernel shows whether a process lives, by
 * accepting a connection: a PID would say nothing of a process in another container that shares the folder.
 */
export async function acquireLock(folder: string): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  let name = `${process.pid}-${Math.random().toString(36).slice(2, 10)}`;
  let place: string;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    place = await shortPath(folder, stack);
    const server = createServer((connection) => connection.destroy()).unref();
    // Listens under a hidden name first: a claim that does not listen yet would count as dead.
    server.listen(join(place, `.${name}`));
    await once(server, 'listening');
    stack.defer(() => void server.close());
    name = await publish(folder, name);
    stack.defer(() => rm(join(folder, name), { force: true }));
  } catch (cause) {
    throw new AppError(
      'MYELIN_WRITE_FAILED',
      `the state folder ${dirname(folder)} cannot be used: ${describe(cause)}`,
      {
        cause,
        remedy: hasCode(cause, 'EACCES', 'EPERM')
          ? `give ${dirname(folder)} and all that is in it to the user who runs Myelin; whoever ran it as another left files`
          : 'let `state` in myelin.yaml name a folder of this machine that the user who runs Myelin may write in',
      },
    );
  }
  for (const other of await readdir(folder)) {
    if (other === name || other.startsWith('.')) continue;
    if (await isHeld(join(place, other), other)) throw refused(folder, other);
    await rm(join(folder, other), { force: true });
  }
  return stack.move();
}

/**
 * Uses the name that an older Myelin gave its claim, an empty file, to keep that out too. Where another container
 * has a process of the same number and age, uses a unique name. Returns the name.
 */
async function publish(folder: string, name: string): Promise<string> {
  const hidden = join(folder, `.${name}`);
  const self = identifyProcess(process.pid);
  const known = self === null ? name : nameOf(self);
  try {
    await link(hidden, join(folder, known));
    await rm(hidden);
    return known;
  } catch {
    await rename(hidden, join(folder, name));
    return name;
  }
}

function nameOf({ pid, startTime }: ProcessId): string {
  return `${pid}-${encodeURIComponent(startTime)}`;
}

/** The process that the name stands for, where it can be seen from here. */
function readName(name: string): ProcessId | null {
  const [, pid, startTime] = /^(\d+)-(.+)$/.exec(name) ?? [];
  return startTime === undefined ? null : { pid: Number(pid), startTime: decodeURIComponent(startTime) };
}

function refused(folder: string, holder: string): AppError {
  const state = dirname(folder);
  const pid = holder.replace(/-.*/, '');
  return new AppError('MYELIN_LOCKED', `the state folder ${state} is in use by another Myelin (pid ${pid})`, {
    remedy: 'stop that one first, or give this one its own `state`, `haproxy.config` and sockets',
  });
}

/** A socket path may have only about a hundred characters. */
async function shortPath(folder: string, stack: AsyncDisposableStack): Promise<string> {
  const handle = stack.use(await open(folder, 'r'));
  const short = `/proc/self/fd/${handle.fd}`;
  return access(short).then(
    () => short,
    () => folder,
  );
}

/** Whether its process lives, even one that hangs. */
async function isHeld(path: string, name: string): Promise<boolean> {
  const isFile = await lstat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
  const older = isFile ? readName(name) : null;
  if (older !== null) return isAlive(older);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const connection = createConnection(path);
  connection.once('connect', () => resolve(true));
  connection.once('error', (error) => resolve(!hasCode(error, 'ECONNREFUSED', 'ENOENT', 'ENOTSOCK')));
  try {
    return await promise;
  } finally {
    connection.destroy();
  }
}
