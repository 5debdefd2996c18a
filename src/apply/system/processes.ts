/** Processes as the system shows them. PID and start time together identify a process: PIDs alone are used again. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import timers from 'node:timers/promises';
import { hasCode } from '../../errors.ts';
import type { Ms } from '../../model.ts';

export type ProcessId = { readonly pid: number; readonly startTime: string };

const hasProc = process.platform === 'linux';

/** null where there is no such process, or only a zombie. */
export function identifyProcess(pid: number): ProcessId | null {
  const startTime = hasProc ? startTimeFromProc(pid) : ps(['-o', 'lstart=', '-p', `${pid}`])[0]?.trim();
  return startTime ? { pid, startTime } : null;
}

export function isAlive({ pid, startTime }: ProcessId): boolean {
  // Without /proc, asking for the start time costs a process each time; a PID that is used again is noticed later.
  return hasProc ? startTimeFromProc(pid) === startTime : isThere(pid);
}

/** Sends the signal if the PID still belongs to this process; returns whether it did. */
export function sendSignal(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    return process.kill(id.pid, signal);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false;
    throw error;
  }
}

/** Waits until the process is gone; returns whether it is. */
export async function waitForEnd(id: ProcessId, timeoutMs: Ms): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(id)) {
    if (performance.now() > deadline) return false;
    await timers.setTimeout(5);
  }
  return true;
}

/** Every process with its command line, the arguments separated by NUL (by blanks where there is no /proc). */
export function commandLines(): readonly { readonly pid: number; readonly command: string }[] {
  if (!hasProc)
    return ps(['-axo', 'pid=,command=']).map((line) => {
      const [, pid, command = ''] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
      return { pid: Number(pid), command };
    });
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), command: readProc(`/proc/${name}/cmdline`) ?? '' }));
}

/** null where it is not known. */
export function parentOf(pid: number): number | null {
  const text = hasProc ? statFields(pid)?.[1] : ps(['-o', 'ppid=', '-p', `${pid}`])[0];
  return text === undefined ? null : Number(text);
}

/**
 * Whether the process finds the same file at this path as we do: in another container it may differ. null where
 * the system hides that.
 */
export function findsSame(pid: number, path: string): boolean | null {
  if (!hasProc) return true;
  try {
    // A `chroot` after the start changes what the process finds now, but not the path that it was given.
    if (readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt')) return true;
    const [theirs, ours] = [`/proc/${pid}/root${path}`, path].map((each) => statSync(each, { bigint: true }));
    return theirs?.dev === ours?.dev && theirs?.ino === ours?.ino;
  } catch (error) {
    if (hasCode(error, 'EACCES', 'EPERM')) return null;
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ESRCH')) return false;
    throw error;
  }
}

/** The name of its program, for messages: a process may call itself anything, as Node does (`MainThread`). */
export function commandName(pid: number): string {
  const path = hasProc ? programOf(pid) : ps(['-o', 'comm=', '-p', `${pid}`])[0];
  return basename(path?.trim() ?? '').replace(/ \(deleted\)$/, '') || 'a process';
}

function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined;
    throw error;
  }
}

/** The 22nd field of /proc/PID/stat. */
function startTimeFromProc(pid: number): string | undefined {
  const fields = statFields(pid);
  return fields?.[0] === 'Z' || fields?.[0] === 'X' ? undefined : fields?.[19];
}

/** The fields of /proc/PID/stat from the third on, the state: the name in the second may hold blanks and brackets. */
function statFields(pid: number): readonly string[] | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

/** null where the process is gone or hidden from us. */
function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return null;
    throw error;
  }
}

function ps(args: readonly string[]): readonly string[] {
  const { stdout } = spawnSync('ps', args, { encoding: 'utf8' });
  return (stdout ?? '').split('\n').filter((line) => line.trim() !== '');
}
