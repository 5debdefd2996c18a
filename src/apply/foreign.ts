/**
 * A HAProxy that somebody else started in place of ours, from a file that names our stats socket: a reload by hand
 * from an old file, for example. It holds our addresses, and hands them on as our own HAProxy does.
 */
import type { Config } from '../config/schema.ts';
import { AppError } from '../errors.ts';
import { readInfo } from '../haproxy/cli/info.ts';
import type { ReloadReason } from '../model.ts';
import { identifyProcess, type ProcessId } from './system/processes.ts';

export type ForeignProcess = { readonly pid: number; readonly id: ProcessId; readonly socket: string };

/** Several tries, because old workers of ours may listen at the same socket. */
const attempts = 5;

/** null where no other process answers at any of the sockets, or only one that is stopping. */
export async function findForeign(
  sockets: readonly string[],
  ours: ReadonlySet<number>,
): Promise<ForeignProcess | null> {
  for (const socket of sockets)
    for (let attempt = 0; attempt < attempts; attempt++) {
      const info = await readInfo(socket, { timeoutMs: 500 }).catch(() => null);
      if (info === null) break;
      const id = info.stopping || ours.has(info.pid) ? null : identifyProcess(info.pid);
      if (id !== null) return { pid: id.pid, id, socket };
    }
  return null;
}

/** The detail of a reason for a reload. */
export function startedByOthers(pid: number): string {
  return `process ${pid} was started by somebody else`;
}

/** With `drift: report` a foreign HAProxy is only reported, until an operator orders a reload. */
export function isLeft({ drift }: Pick<Config, 'drift'>, reasons: readonly ReloadReason[]): boolean {
  return drift === 'report' && !reasons.some(({ code }) => code === 'operator_request');
}

/** The error that reports it where `drift: report` leaves it in place. */
export function leftInPlace(pid: number): AppError {
  return new AppError(
    'MYELIN_HAPROXY_UNAVAILABLE',
    `${startedByOthers(pid)} and serves in the place of ours; with drift: report it is left in place`,
    { remedy: '`myelin reload` puts the wanted config in its place' },
  );
}
