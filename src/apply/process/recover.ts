/**
 * Finds out, after a start of Myelin, what happened to the HAProxies and the file meanwhile, and brings both
 * to a consistent state, at whatever moment the previous Myelin was killed.
 */

import { AppError } from '../../errors.ts';
import type { BinaryIdentity } from '../../haproxy/binary/binary.ts';
import { parseVersion } from '../../haproxy/binary/version.ts';
import { type Info, readInfo } from '../../haproxy/cli/info.ts';
import { nobodyListens } from '../../haproxy/cli/socket.ts';
import { layoutOf } from '../../haproxy/text/layout/layout.ts';
import type { ConfigFile } from '../../lib/files/config-file.ts';
import { isThere } from '../../lib/files/files.ts';
import { pastFromWallClock, toWallClock } from '../../lib/time/clock.ts';
import type { Moment, Ms, Section } from '../../model.ts';
import type { DriverEvent } from '../driver-event.ts';
import type { Worker } from '../runtime/worker.ts';
import { withComing } from '../state/coming.ts';
import {
  type Generation,
  generationAt,
  isPrepared,
  listGenerations,
  livingGenerations,
  removeGeneration,
} from '../state/generation.ts';
import {
  isReadyRecordOf,
  type ReadyRecord,
  readLeaving,
  readReady,
  readReplaces,
  readSections,
  writeReady,
} from '../state/records.ts';
import { isAlive, type ProcessId, sendSignal } from '../system/processes.ts';
import { sectionsInPlace } from './in-place.ts';
import { OldWorker } from './old-worker.ts';
import { type Serving, serving } from './serving.ts';
import { setFrontends } from './start/frontends.ts';
import { awaitReady } from './start/start.ts';

export type Recovered = {
  readonly serving: Serving | null;
  readonly oldWorkers: readonly OldWorker[];
  /** The file on disk, where nothing serves. */
  readonly found: readonly Section[] | null;
  /** The folder of the newest process, which has ended. */
  readonly fallen: Generation | null;
  readonly lastNumber: number;
  /** A process of ours was ready once, whatever happened to it later. */
  readonly hasServed: boolean;
};

export type RecoverOptions = {
  readonly state: string;
  readonly file: ConfigFile;
  readonly startTimeoutMs: Ms;
  /** The executable as it is now. */
  readonly binary: BinaryIdentity | null;
  readonly now: () => Moment;
  readonly onEvent: (event: DriverEvent) => void;
  /** For work whose failure must not prevent Myelin from starting. */
  readonly tolerate: (work: Promise<unknown>) => Promise<void>;
  readonly signal: AbortSignal;
};

export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { state, file, tolerate } = options;
  const folders = await listGenerations(state);
  const living = await livingGenerations(state);
  const numbers = [...new Set([...folders, ...living.keys()])].sort((a, b) => b - a);
  const newest = numbers[0] === undefined ? null : generationAt(state, numbers[0]);

  let current: Serving | null = null;
  const oldWorkers: OldWorker[] = [];
  for (const number of numbers) {
    const id = living.get(number);
    const generation = generationAt(state, number);
    if (id === undefined) continue;
    // All older processes were told to leave, or were about to be.
    if (current !== null) {
      const worker = await workerOf(generation, id, options);
      oldWorkers.unshift(await OldWorker.drain({ generation, id, worker }, options.now()));
    } else {
      const recognised = await recognise(generation, id, options);
      if (typeof recognised !== 'string') current = recognised;
      else if (isAlive(id)) oldWorkers.unshift(OldWorker.found(generation, id, options.now(), recognised));
    }
  }
  const records = await Promise.all(folders.map((number) => readReady(generationAt(state, number))));
  const replaced = current === null ? null : await readReplaces(current.generation);
  // Myelin was killed before it told the replaced process to leave: both serve the same addresses now.
  const isKnown = oldWorkers.some(({ id }) => id.pid === replaced?.pid);
  if (replaced !== null && !isKnown && sendSignal(replaced, 'SIGUSR1'))
    oldWorkers.unshift(OldWorker.found(generationAt(state, 0), replaced, options.now(), 'stopping'));
  await commitFile(current, newest, options);
  const found = current === null ? await sectionsInPlace(file, newest) : null;
  const fallen = current === null && newest !== null && !living.has(newest.number) ? newest : null;
  const used = oldWorkers.map((worker) => worker.generation.number);
  const inUse = new Set([current?.generation.number, fallen?.number, ...used]);
  for (const number of folders) if (!inUse.has(number)) await tolerate(removeGeneration(generationAt(state, number)));
  const hasServed = records.some((ready) => ready !== null);
  return { serving: current, oldWorkers, found, fallen, lastNumber: numbers[0] ?? 0, hasServed };
}

/** The newest living process: it serves, or is starting, or leaves, or cannot be reached and may serve (`presumed`). */
async function recognise(
  generation: Generation,
  id: ProcessId,
  options: RecoverOptions,
): Promise<Serving | 'presumed' | 'stopping'> {
  const ready = await readReady(generation);
  if (isReadyRecordOf(ready, id)) {
    const info = await readInfo(generation.socket, { timeoutMs: 2000, signal: options.signal }).catch(asUnreachable);
    // A process that does not answer now may still serve: it is left alone.
    if (info === 'gone') return (await isThere(generation.socket)) ? 'stopping' : outOfReach(generation, id, options);
    if (info !== 'silent' && info.stopping) return 'stopping';
    return serve(generation, id, ready, info === 'silent' ? null : info, options);
  }
  if (!(await isPrepared(generation))) return outOfReach(generation, id, options);
  // The process was started by a Myelin that was killed before the process answered.
  const limits = { timeoutMs: options.startTimeoutMs, signal: options.signal };
  const info = (await hasLetGo(generation)) ? null : await awaitReady(generation.socket, id, limits);
  if (info === null) {
    // The process may have accepted connections, because it has the listening sockets.
    sendSignal(id, 'SIGUSR1');
    return 'stopping';
  }
  const fresh = { ...id, version: info.version.text, binary: options.binary, since: toWallClock(options.now()) };
  await writeReady(generation, fresh).catch((error: unknown) => options.onEvent({ kind: 'trouble', error }));
  return serve(generation, id, fresh, info, options);
}

/** Whether the process has stopped listening on its socket: it was told to leave before. */
async function hasLetGo({ socket }: Generation): Promise<boolean> {
  const answer = await readInfo(socket, { timeoutMs: 1000 }).catch((error: unknown) => error);
  return nobodyListens(answer) && (await isThere(socket));
}

/**
 * The folder was removed: the process may serve, but cannot be queried. Its listening sockets may be found elsewhere
 * (`findForeign`); else only the operator may end it.
 */
function outOfReach({ folder }: Generation, { pid }: ProcessId, { onEvent }: RecoverOptions): 'presumed' {
  const error = new AppError(
    'MYELIN_SOCKET_FAILED',
    `the files in ${folder} were removed while the HAProxy that uses them (pid ${pid}) runs`,
    { remedy: `if it is not replaced within moments, end it with \`kill -USR1 ${pid}\`` },
  );
  onEvent({ kind: 'trouble', error });
  return 'presumed';
}

/** What an older process runs, as it was last written down; null where it never served. */
async function workerOf(generation: Generation, id: ProcessId, { now }: RecoverOptions): Promise<Worker | null> {
  const [ready, sections] = await Promise.all([readReady(generation), readSections(generation)]);
  const version = ready === null ? null : parseVersion(ready.version);
  if (ready === null || version === null || sections === null) return null;
  return serving(generation, id, {
    ...ready,
    since: pastFromWallClock(ready.since),
    version,
    sections,
    started: null,
    now,
  }).worker;
}

async function serve(
  generation: Generation,
  id: ProcessId,
  ready: ReadyRecord,
  info: Info | null,
  { onEvent, now }: RecoverOptions,
): Promise<Serving> {
  onEvent({ kind: 'adopted', pid: id.pid, generation: generation.number });
  const adopted = serving(generation, id, {
    sections: await withComing(generation, (await readSections(generation)) ?? []),
    version: info?.version ?? parseVersion(ready.version) ?? { major: 0, minor: 0, text: ready.version },
    started: null,
    binary: ready.binary,
    since: pastFromWallClock(ready.since),
    now,
  });
  adopted.worker.recallLeaving(await readLeaving(generation));
  return adopted;
}

/** Restores the file: to what serves, or, where nothing serves, to the file before a start that was interrupted. */
async function commitFile(
  current: Serving | null,
  newest: Generation | null,
  { file, onEvent }: RecoverOptions,
): Promise<void> {
  try {
    // Also removes the files that were put in place for a candidate that was not accepted.
    await file.discard();
    if (current !== null) {
      // Myelin may have been killed while a frontend of the serving process had released its address.
      if (await file.isUncommitted()) await setFrontends(['enable'], current.generation.socket, frontendsOf(current));
      const { text, files } = layoutOf(current.worker.sections);
      const isRestored = await file.write(text, files);
      if (isRestored) onEvent({ kind: 'file_restored', path: file.path });
    } else if (newest !== null && (await readReady(newest)) === null && (await file.isUncommitted())) {
      await file.putBack();
      onEvent({ kind: 'file_restored', path: file.path });
    }
    await file.commit();
  } catch (error) {
    // The process keeps serving; the next apply meets the same trouble and reports it.
    onEvent({ kind: 'trouble', error });
  }
}

function frontendsOf({ worker }: Serving): readonly string[] {
  return worker.sections.flatMap(({ kind, name }) => (kind === 'frontend' || kind === 'listen' ? [name] : []));
}

function asUnreachable(error: unknown): 'gone' | 'silent' {
  return nobodyListens(error) ? 'gone' : 'silent';
}
