/** The worker that serves under a master elsewhere: which process it is, and how it is shown to others. */

import type { Version } from '../../haproxy/binary/version.ts';
import type { Ask } from '../../haproxy/cli/ask.ts';
import type { Info } from '../../haproxy/cli/info.ts';
import { prefixOf } from '../../haproxy/cli/master.ts';
import { toWallClock } from '../../lib/time/clock.ts';
import type { Moment, Section } from '../../model.ts';
import type { Active, Running } from '../driver.ts';
import { Worker } from '../runtime/worker.ts';
import type { Generation } from '../state/generation.ts';
import type { ReadyRecord } from '../state/records.ts';

/**
 * A PID alone says little: in a container the same PIDs come back with every restart. Before 2.5 HAProxy does not say
 * when it was started, and its uptime is exact to a second or two. `startedSec` is the time of day that HAProxy says
 * (`isExact`), else on the steady clock.
 */
export type WorkerId = { readonly pid: number; readonly startedSec: number; readonly isExact: boolean };

/** The possible error of a start time that is not exact. */
export const inexactSec = 2;

export type MasterServing = {
  readonly id: WorkerId;
  readonly generation: number;
  readonly version: Version;
  readonly since: Moment;
  /** What runs in the process; commands change it. */
  readonly worker: Worker;
};

type Facts = {
  readonly info: Info;
  readonly generation: number;
  readonly sections: readonly Section[];
  /** null where it is not known what the process was started with. */
  readonly started: readonly Section[] | null;
  readonly since: Moment;
  readonly ask: Ask;
  readonly now: () => Moment;
};

export function masterServing({ info, generation, sections, started, since, ask, now }: Facts): MasterServing {
  const { pid, version } = info;
  const worker = new Worker({ pid, version, started, running: { sections }, ask, now, prefix: prefixOf(pid) });
  return { id: idOf(info, now()), generation, version, since, worker };
}

export function idOf({ pid, startTimeSec, uptimeSec }: Info, now: Moment): WorkerId {
  const isExact = startTimeSec !== null;
  return { pid, startedSec: startTimeSec ?? Math.floor(now / 1000) - uptimeSec, isExact };
}

export function isSame(a: WorkerId, b: WorkerId): boolean {
  const toleranceSec = a.isExact && b.isExact ? 0 : inexactSec;
  return a.pid === b.pid && Math.abs(a.startedSec - b.startedSec) <= toleranceSec;
}

export function readyRecordOf({ id, version, since }: MasterServing): ReadyRecord {
  return {
    pid: id.pid,
    startTime: `${startedAtSec(id)}`,
    version: version.text,
    binary: null,
    since: toWallClock(since),
  };
}

/** By the time of day. */
export function startedAtSec({ startedSec, isExact }: WorkerId): number {
  return isExact ? startedSec : Math.floor(toWallClock(startedSec * 1000) / 1000);
}

/** Whether the record is about this process. */
export function isRecordOf({ pid, startTime }: ReadyRecord, id: WorkerId): boolean {
  return isSame({ pid, startedSec: Number(startTime), isExact: id.isExact }, { ...id, startedSec: startedAtSec(id) });
}

/** How the driver shows the worker. `socket` is the master's; `record` holds what runs. */
export function activeOf(
  serving: MasterServing,
  { socket, record }: { readonly socket: string; readonly record: Generation },
): Active {
  const { worker } = serving;
  return { running: viewOf(serving, socket), worker, record: { generation: record, ready: readyRecordOf(serving) } };
}

function viewOf({ id, generation, version, since, worker }: MasterServing, socket: string): Running {
  const process = { pid: id.pid, startTime: `${id.startedSec}`, version, socket };
  return { sections: worker.sections, generation, since, process };
}
