/**
 * Replaces the serving HAProxy, step by step: propose, examine, accept, start, await, drain. Until it is ready, each
 * failure leaves the old process and its file as they were; a Myelin killed between any two steps recovers at its
 * next start (`recover.ts`).
 */
import { generationsFolder, handedOnSocket } from '../../config/paths.ts';
import type { Config } from '../../config/schema.ts';
import type { Binary } from '../../haproxy/binary/binary.ts';
import { checkConfig } from '../../haproxy/binary/check.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import { readServersState } from '../../haproxy/cli/info.ts';
import { layoutOf } from '../../haproxy/text/layout/layout.ts';
import { notOurs } from '../../haproxy/text/own-process.ts';
import { environmentFor } from '../../lib/environment.ts';
import type { ConfigFile } from '../../lib/files/config-file.ts';
import { isThere, together } from '../../lib/files/files.ts';
import { keepSocket, pointTo } from '../../lib/files/socket-links.ts';
import type { Moment, Problem, Section } from '../../model.ts';
import { preflight } from '../checks/preflight.ts';
import type { Outcome } from '../driver.ts';
import type { DriverEvent } from '../driver-event.ts';
import { forgetHealth, noteHealth } from '../files/health-file.ts';
import type { ForeignProcess } from '../foreign.ts';
import { outOfReach, startFailed, toProblems } from '../problems.ts';
import { type Generation, generationAt, prepareGeneration } from '../state/generation.ts';
import { writeReady, writeReplaces } from '../state/records.ts';
import { heldByPredecessor, type Predecessor } from './handover.ts';
import type { Processes } from './processes.ts';
import { readyRecordOf, serving } from './serving.ts';
import { type Moves, type Start, startHaproxy } from './start/start.ts';

export type Replacement = {
  readonly sections: readonly Section[];
  readonly generation: Generation;
  readonly binary: Binary;
  readonly config: Pick<Config, 'haproxy' | 'reload' | 'state'>;
  readonly file: ConfigFile;
  readonly processes: Processes;
  /** The process that serves where none of ours does; it makes room for the new one. */
  readonly foreign: ForeignProcess | null;
  /** The process whose sockets can be taken over, where none of ours serves; null: there is none. */
  readonly findPredecessor: () => Promise<Predecessor | null>;
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => Moment;
  readonly onEvent: (event: DriverEvent) => void;
  /** For work whose failure must neither undo nor prevent an apply. */
  readonly tolerate: (work: Promise<unknown>) => Promise<void>;
  readonly signal: AbortSignal;
};

export async function replace(replacement: Replacement): Promise<Outcome> {
  const { sections, generation, file, processes, foreign } = replacement;
  const { text, files } = layoutOf(sections);
  await together(file.propose(text, files), prepareGeneration(generation, sections));
  const before = await handingOver(replacement);
  const { problems, moves } = await examine(replacement, before);
  if (problems.length > 0) {
    await file.reject();
    return { kind: 'refused', problems };
  }
  // A process of another Myelin must not lose an address, not even for a moment.
  if (processes.serving === null && moves.inTheWay.length > 0)
    return { kind: 'failed', error: heldByPredecessor(moves.inTheWay), problems: [] };
  const readState = before === null ? null : () => readServersState(before.socket);
  await noteHealth({ ...replacement, running: before?.sections ?? [], readState });
  if (foreign !== null) await writeReplaces(generation, foreign.id);
  await file.accept();
  const start = await startAccepted(replacement, moves);
  if (start.kind === 'ready') return takeOver(replacement, start, moves);
  await file.rejectAccepted();
  return startFailed(start, sections, file.path);
}

/** The process whose listening sockets the new one takes over. */
type Before = {
  readonly socket: string;
  /** What the process runs, as far as is known. */
  readonly sections: readonly Section[];
  /** null where the process may be in another container, where PIDs mean something else. */
  readonly pid: number | null;
};

/** Our process; where none of ours serves, another Myelin's, or one that others started instead of ours. */
async function handingOver({ processes, foreign, findPredecessor, config }: Replacement): Promise<Before | null> {
  const { serving } = processes;
  if (serving !== null) {
    // Where somebody has removed the process's own socket, the handed-on one is used.
    const own = serving.generation.socket;
    const handedOn = handedOnSocket(config);
    const socket = (await isThere(own)) ? own : (await isThere(handedOn)) ? handedOn : null;
    if (socket === null) throw outOfReach(serving.id.pid, [own, handedOn]);
    return { socket, sections: serving.worker.sections, pid: serving.id.pid };
  }
  const predecessor = await findPredecessor();
  if (predecessor !== null) return { socket: predecessor.generation.socket, sections: predecessor.sections, pid: null };
  return foreign === null ? null : { socket: foreign.socket, sections: [], pid: foreign.id.pid };
}

async function examine({ sections, generation, binary, config, file, signal }: Replacement, before: Before | null) {
  const limits = { timeoutMs: config.reload.startTimeout, signal, passEnv: config.haproxy.passEnv };
  const [complaints, { problems, moves }] = await Promise.all([
    checkConfig(binary.path, [file.candidate, generation.socketConfig], limits),
    preflight(sections, before?.sections ?? [], { handingOn: before?.pid ?? null }),
  ]);
  const all: readonly Problem[] = [
    ...toProblems(complaints, sections, [file.candidate]),
    ...notOurs(sections),
    ...problems,
  ];
  return { problems: all, moves };
}

/** Without a predecessor, these versions wait 5 s for stick tables, and until then teach theirs to no other process. */
function needsPredecessor({ major, minor }: Version): boolean {
  return major === 2 && minor >= 4;
}

async function startAccepted(replacement: Replacement, moves: Moves): Promise<Start> {
  const { sections, binary, file, processes, generation, env, config, signal } = replacement;
  try {
    return await startHaproxy({
      binary: binary.path,
      config: file.path,
      generation,
      // The old process may end meanwhile, or may have been replaced.
      takeOverFrom: async () => (await handingOver(replacement))?.socket ?? null,
      moves,
      takesOverTables: needsPredecessor(binary.version) && sections.some(({ kind }) => kind === 'peers'),
      drain: (id) => processes.drainOther(id, generation),
      env: await environmentFor(env, [file.path, generation.socketConfig], config.haproxy.passEnv),
      timeoutMs: config.reload.startTimeout,
      signal,
    });
  } catch (error) {
    await file.putBack();
    throw error;
  }
}

async function takeOver(
  replacement: Replacement,
  start: Extract<Start, { kind: 'ready' }>,
  moves: Moves,
): Promise<Outcome> {
  const { sections, generation, binary, config, file, processes, foreign, now, onEvent, tolerate } = replacement;
  const { version } = start.info;
  const next = serving(generation, start.id, {
    sections,
    started: sections,
    version,
    binary: binary.identity,
    since: now(),
    now,
  });
  // If Myelin is killed from here on, the next Myelin finds that the new process is ready, and drains the old one.
  await tolerate(writeReady(generation, readyRecordOf(next)));
  // While two processes share a socket, either may answer on it; at this path only the new process answers.
  await tolerate(keepSocket(config.haproxy.statsSocket, handedOnSocket(config)));
  await tolerate(pointTo(config.haproxy.statsSocket, generation.socket));
  await tolerate(processes.takeOver(next));
  if (foreign !== null) await tolerate(processes.drainOther(foreign.id, generationAt(generationsFolder(config), 0)));
  // Only now: if the new process had failed, the connections of the oldest would have been closed for nothing.
  await tolerate(processes.keepAtMost(config.reload.maxOldWorkers));
  start.child.once('exit', () => void tolerate(processes.pollServing()));
  await tolerate(file.commit());
  await tolerate(forgetHealth(config));
  if (moves.inTheWay.length > 0) onEvent({ kind: 'address_moved', frontends: moves.inTheWay });
  return { kind: 'applied', tookMs: 0 };
}
