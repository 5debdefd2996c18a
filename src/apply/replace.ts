/**
 * Replaces the HAProxy that serves, step by step: propose, examine, accept, start, prove, dismiss. Up to the proof every
 * failure leaves the old process and its file as they were; killed between any two steps, Myelin finds its way at its
 * next start (`recover.ts`).
 */
import { handedOnSocket } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import type { Binary } from '../haproxy/binary.ts';
import { checkConfig } from '../haproxy/check.ts';
import { readServersState } from '../haproxy/info.ts';
import type { Moment, Problem, Section, ServerOrder } from '../model.ts';
import type { Outcome } from './control.ts';
import { type ConfigFile, keepSocket, pointTo, together } from './files.ts';
import type { Fleet } from './fleet.ts';
import { type Generation, generationAt, prepareGeneration, writeDisplaced, writeProof } from './generation.ts';
import { forgetHealth, noteHealth } from './health-file.ts';
import { preflight } from './preflight.ts';
import { startFailed, toProblems } from './problems.ts';
import { textOf } from './sections.ts';
import { proofOf, serving, viewOf } from './serving.ts';
import { type Start, startHaproxy } from './start.ts';
import type { Stray } from './stray.ts';

export type Replacement = {
  readonly sections: readonly Section[];
  readonly generation: Generation;
  readonly binary: Binary;
  readonly config: Pick<Config, 'haproxy' | 'reload' | 'state'>;
  readonly file: ConfigFile;
  readonly fleet: Fleet;
  /** Where nothing of ours serves: who does instead, and makes room for it. */
  readonly stray: Stray | null;
  readonly orders: ReadonlyMap<string, ServerOrder>;
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => Moment;
  /** For what must neither undo an apply nor keep one from happening. */
  readonly tolerate: (work: Promise<unknown>) => Promise<void>;
  readonly signal: AbortSignal;
};

export async function replace(replacement: Replacement): Promise<Outcome> {
  const { sections, generation, file, fleet, stray, config } = replacement;
  await together(file.propose(textOf(sections)), prepareGeneration(generation, sections));
  const { problems, inTheWay } = await examine(replacement);
  if (problems.length > 0) {
    await file.reject();
    return { kind: 'refused', problems };
  }
  if (fleet.serving !== null) await fleet.makeRoom(config.reload.maxOldWorkers);
  const socket = socketBefore(replacement);
  await noteHealth({ ...replacement, readState: socket === null ? null : () => readServersState(socket) });
  if (stray !== null) await writeDisplaced(generation, stray.id);
  await file.accept();
  const start = await startAccepted(replacement, inTheWay);
  if (start.kind === 'proved') return takeOver(replacement, start);
  await file.rejectAccepted();
  return startFailed(start, sections, file.path);
}

/** Of the process that hands its listening sockets on. It may end meanwhile. */
function socketBefore({ fleet, stray }: Replacement): string | null {
  return fleet.serving?.generation.socket ?? stray?.socket ?? null;
}

async function examine({ sections, generation, binary, config, file, fleet, stray, signal }: Replacement) {
  const limits = { timeoutMs: config.reload.startTimeout, signal };
  const [complaints, { problems, inTheWay }] = await Promise.all([
    checkConfig(binary.path, [file.candidate, generation.socketConfig], limits),
    preflight(sections, fleet.serving?.worker.sections ?? [], { handingOn: stray?.id.pid ?? null }),
  ]);
  const all: readonly Problem[] = [...toProblems(complaints, sections, [file.candidate]), ...problems];
  return { problems: all, inTheWay };
}

async function startAccepted(replacement: Replacement, inTheWay: readonly string[]): Promise<Start> {
  const { binary, file, generation, env, config, signal } = replacement;
  try {
    return await startHaproxy({
      binary: binary.path,
      config: file.path,
      generation,
      takeOverFrom: () => socketBefore(replacement),
      inTheWay,
      env,
      timeoutMs: config.reload.startTimeout,
      signal,
    });
  } catch (error) {
    await file.putBack();
    throw error;
  }
}

async function takeOver(replacement: Replacement, start: Extract<Start, { kind: 'proved' }>): Promise<Outcome> {
  const { sections, generation, binary, config, file, fleet, stray, now, tolerate } = replacement;
  const { version } = start.info;
  const next = serving(generation, start.id, {
    sections,
    started: sections,
    version,
    binary: binary.identity,
    since: now(),
    now,
  });
  // From here on a Myelin that was killed finds the new one proved, and dismisses the old one itself.
  await tolerate(writeProof(generation, proofOf(next)));
  // While two processes share a socket, either may answer on it; behind this path only the new one does.
  await tolerate(keepSocket(config.haproxy.statsSocket, handedOnSocket(config)));
  await tolerate(pointTo(config.haproxy.statsSocket, generation.socket));
  await tolerate(fleet.replace(next));
  if (stray !== null) await tolerate(fleet.displace(stray.id, generationAt(config.state, 0)));
  start.child.once('exit', () => void tolerate(fleet.lookAtServing()));
  await tolerate(file.settle());
  await tolerate(forgetHealth(config));
  return { kind: 'applied', running: viewOf(next), tookMs: 0 };
}
