/** Keeps a second Myelin out of a state folder, and lets nobody be kept out by a dead one. */
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError, describe, hasCode } from '../errors.ts';
import { identifyProcess, isAlive, type ProcessId } from './processes.ts';

/**
 * The lock is a folder with a claim for everyone who wants it: an empty file named by PID and start time. A claim is
 * laid down first and the others are looked at afterwards, so of two at least one sees the other: never do both hold
 * the lock, and no claim is ever taken from a living process. A dead one's claim counts for nothing.
 */
export async function acquireLock(folder: string): Promise<AsyncDisposable> {
  const self = identifyProcess(process.pid);
  if (self === null) throw new Error('this process cannot find itself');
  const own = join(folder, nameOf(self));
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await (await open(own, 'wx', 0o600)).close();
  } catch (cause) {
    if (hasCode(cause, 'EEXIST')) throw refused(folder, self, cause);
    throw new AppError(
      'MYELIN_WRITE_FAILED',
      `the state folder ${dirname(folder)} cannot be used: ${describe(cause)}`,
      {
        cause,
        remedy: 'let `state` in myelin.yaml name a folder that the user who runs Myelin may write in',
      },
    );
  }
  for (const name of await readdir(folder)) {
    const other = readName(name);
    if (other === null || name === nameOf(self)) continue;
    if (isAlive(other)) {
      await rm(own, { force: true });
      throw refused(folder, other);
    }
    await rm(join(folder, name), { force: true });
  }
  return { [Symbol.asyncDispose]: () => rm(own, { force: true }) };
}

function refused(folder: string, holder: ProcessId, cause?: unknown): AppError {
  const state = dirname(folder);
  return new AppError('MYELIN_LOCKED', `the state folder ${state} is in use by another Myelin (pid ${holder.pid})`, {
    cause,
    remedy: 'stop that one first, or give this one its own `state`, `haproxy.config` and sockets',
  });
}

function nameOf({ pid, startTime }: ProcessId): string {
  return `${pid}-${encodeURIComponent(startTime)}`;
}

function readName(name: string): ProcessId | null {
  const [, pid, startTime] = /^(\d+)-(.+)$/.exec(name) ?? [];
  return startTime === undefined ? null : { pid: Number(pid), startTime: decodeURIComponent(startTime) };
}
