/** The HAProxy that serves: which process it is, what it was started with, and how it is shown to others. */
import { type BinaryIdentity, sameBinary } from '../haproxy/binary.ts';
import type { Version } from '../haproxy/version.ts';
import type { Moment, Section } from '../model.ts';
import type { Running, RunningProcess } from './control.ts';
import type { Generation, Proof } from './generation.ts';
import type { ProcessId } from './processes.ts';

export type Serving = {
  readonly generation: Generation;
  readonly id: ProcessId;
  /** The executable that it was started from; null where that is not known. */
  readonly binary: BinaryIdentity | null;
  readonly view: Running & { readonly process: RunningProcess };
};

type Facts = {
  readonly sections: readonly Section[];
  readonly version: Version;
  readonly binary: BinaryIdentity | null;
  readonly since: Moment;
};

export function serving(generation: Generation, id: ProcessId, { sections, version, binary, since }: Facts): Serving {
  const process = { ...id, version, socket: generation.socket };
  return { generation, id, binary, view: { sections, generation: generation.number, since, process } };
}

export function proofOf({ id, binary, view }: Serving): Proof {
  return { ...id, version: view.process.version.text, binary, since: view.since };
}

/** Whether the executable is another one than the process was started from. */
export function isReplaced({ binary }: Serving, now: BinaryIdentity | null): boolean {
  return binary !== null && now !== null && !sameBinary(binary, now);
}
