/** The HAProxy process that serves: its identity, what it was started with, and the view of it that the driver shows. */

import { type BinaryIdentity, sameBinary } from '../../haproxy/binary/binary.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import { HeldConnection } from '../../haproxy/cli/held-connection.ts';
import { toWallClock } from '../../lib/time/clock.ts';
import type { Moment, Section } from '../../model.ts';
import type { Active, Running } from '../driver.ts';
import { Worker } from '../runtime/worker.ts';
import type { Generation } from '../state/generation.ts';
import type { ReadyRecord } from '../state/records.ts';
import type { ProcessId } from '../system/processes.ts';

export type Serving = {
  readonly generation: Generation;
  readonly id: ProcessId;
  /** The process's executable; null where that is not known. */
  readonly binary: BinaryIdentity | null;
  readonly version: Version;
  readonly since: Moment;
  /** Sends commands to the process, and holds what runs in it. */
  readonly worker: Worker;
  /** The connection that the worker uses while the process serves. */
  readonly connection: HeldConnection;
};

type Facts = {
  readonly sections: readonly Section[];
  /** The sections that it was started with; null where they are not known. */
  readonly started: readonly Section[] | null;
  readonly version: Version;
  readonly binary: BinaryIdentity | null;
  readonly since: Moment;
  readonly now: () => Moment;
};

export function serving(generation: Generation, id: ProcessId, facts: Facts): Serving {
  const { sections, started, version, binary, since, now } = facts;
  const connection = new HeldConnection(generation.socket);
  const worker = new Worker({ pid: id.pid, version, started, running: { sections }, now, ask: connection.ask });
  return { generation, id, binary, version, since, worker, connection };
}

function viewOf(serving: Serving): Running {
  const { generation, id, version, since, worker } = serving;
  const process = { ...id, version, socket: generation.socket };
  return { sections: worker.sections, generation: generation.number, since, process };
}

/** How the driver shows the process. */
export function activeOf(serving: Serving): Active {
  const { worker, generation } = serving;
  return { running: viewOf(serving), worker, record: { generation, ready: readyRecordOf(serving) } };
}

export function readyRecordOf({ id, binary, version, since }: Serving): ReadyRecord {
  return { ...id, version: version.text, binary, since: toWallClock(since) };
}

/** Whether the executable on disk is another one than that of the process. */
export function isReplaced({ binary }: Serving, now: BinaryIdentity | null): boolean {
  return binary !== null && now !== null && !sameBinary(binary, now);
}
