/**
 * Control `process`: HAProxy is started here. A new process starts beside the old, takes over its listening sockets,
 * proves itself on its own socket, and only then does Myelin tell the old process to leave. A failure before that costs
 * the old process nothing.
 */
import { formerHandedOnSocket, handedOnSocket } from '../../config/paths.ts';
import { type Binary, type BinaryIdentity, findBinary } from '../../haproxy/binary/binary.ts';
import { checkConfig } from '../../haproxy/binary/check.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import { layoutOf } from '../../haproxy/text/layout/layout.ts';
import { tryOut } from '../../lib/files/config-file.ts';
import { linkSocket, pointTo } from '../../lib/files/socket-links.ts';
import type { Ms, Problem, ReloadReason, Section } from '../../model.ts';
import type { Active, Driver, DriverContext, OldWorkerView, Outcome, Trouble } from '../driver.ts';
import { type ForeignProcess, findForeign, isLeft, leftInPlace } from '../foreign.ts';
import { toProblems } from '../problems.ts';
import { reap } from '../runtime/reap.ts';
import type { Worker } from '../runtime/worker.ts';
import type { Generation } from '../state/generation.ts';
import { isAlive } from '../system/processes.ts';
import { Folders } from './folders.ts';
import { type Found, find } from './found.ts';
import { findPredecessor, type Predecessor, removeIfEmpty } from './handover.ts';
import { sectionsInPlace, startWithEither, withFilesInPlace } from './in-place.ts';
import { Outdated } from './outdated.ts';
import { Processes } from './processes.ts';

import { replace } from './replace.ts';
import { activeOf, type Serving } from './serving.ts';

const pollEveryMs: Ms = 400;
const pollsPerInspection = 5;
const pollsPerQuestion = 4;

export async function openProcessDriver(context: DriverContext, signal: AbortSignal): Promise<Driver> {
  const { config, tolerate, atEnd } = context;
  const found = await find(context, signal);
  const { statsSocket } = config().haproxy;
  await tolerate(linkSocket(formerHandedOnSocket(config()), handedOnSocket(config())));
  const { serving } = found.recovered;
  if (serving !== null) await tolerate(pointTo(statsSocket, serving.generation.socket));
  const driver = new ProcessDriver(context, found);
  atEnd(() => driver.forget());
  return driver;
}

class ProcessDriver implements Driver {
  readonly found: readonly Section[] | null;
  readonly polling = { everyMs: pollEveryMs, poll: this.#poll.bind(this) };
  readonly #context: DriverContext;
  readonly #root: string;
  readonly #processes: Processes;
  readonly #folders: Folders;
  readonly #outdated = new Outdated();
  #binary: Binary | null;
  readonly masterTrouble = null;
  /** A process of ours has served, so a different process in its place was started by hand. */
  #hasServed: boolean;

  constructor(context: DriverContext, { root, recovered, binary }: Found) {
    const { config, now, onEvent, onChange, tolerate } = context;
    this.#context = context;
    this.#root = root;
    this.#binary = binary;
    this.found = recovered.found;
    this.#hasServed = recovered.hasServed;
    this.#folders = new Folders(root, recovered, tolerate);
    this.#processes = new Processes(recovered, {
      hardStopAfterMs: () => config().reload.hardStopAfter,
      now,
      onEvent,
      tolerate,
      onChange,
      onLost: (lost) => void tolerate(this.#lost(lost)),
    });
    this.#compareBinary(binary?.identity ?? null);
  }

  get version(): Version | null {
    return this.#binary?.version ?? this.#processes.serving?.version ?? null;
  }

  get active(): Active | null {
    const { serving } = this.#processes;
    return serving === null ? null : activeOf(serving);
  }

  get unresponsive(): Trouble | null {
    return this.#processes.tracker.unresponsive;
  }

  get forced(): readonly ReloadReason[] {
    const { serving, tracker } = this.#processes;
    return serving === null ? tracker.whyNone : this.#outdated.reasons(serving);
  }

  get oldWorkers(): readonly OldWorkerView[] {
    return this.#processes.oldWorkers.map(({ id, generation, since, connections }) => {
      return { pid: id.pid, generation: generation.number, since, connections };
    });
  }

  get leaving(): number {
    return this.#processes.leaving.length;
  }

  get followers(): readonly Worker[] {
    return this.#processes.oldWorkers.flatMap(({ worker }) => worker ?? []);
  }

  /** HAProxy has ended since this was planned: the next plan starts another one. */
  async update(): Promise<Outcome> {
    return { kind: 'superseded' };
  }

  async replace(sections: readonly Section[], reasons: readonly ReloadReason[], signal: AbortSignal): Promise<Outcome> {
    const foreign = await this.#findForeign();
    if (foreign !== null && isLeft(this.#context.config(), reasons))
      return { kind: 'failed', error: leftInPlace(foreign.id.pid), problems: [] };
    const binary = await this.#findBinary(signal);
    const processes = this.#processes;
    try {
      return await this.#folders.during(
        (generation) => this.#start(sections, { binary, generation, foreign, signal }),
        (generation) => processes.has(generation),
      );
    } finally {
      const { serving } = processes;
      await this.#context.file.discard();
      if (serving !== null) this.#outdated.compareBinary(serving, binary.identity);
      this.#hasServed ||= serving !== null;
    }
  }

  async check(sections: readonly Section[], signal: AbortSignal): Promise<readonly Problem[]> {
    const { config, file } = this.#context;
    const binary = await this.#findBinary(signal);
    const { haproxy, reload } = config();
    const limits = { timeoutMs: reload.startTimeout, signal, passEnv: haproxy.passEnv };
    return tryOut(file, layoutOf(sections), async () => {
      return toProblems(await checkConfig(binary.path, [file.candidate], limits), sections, [file.candidate]);
    });
  }

  async stop(): Promise<void> {
    const { haproxy } = this.#context.config();
    await this.#processes.stop(haproxy.stopGrace);
    await this.#folders.removeFallen();
    if (haproxy.handover !== undefined) await removeIfEmpty(this.#root);
  }

  /** The processes keep running, but are no longer watched. */
  forget(): void {
    this.#processes.forget();
  }

  async #poll(polls: number, signal: AbortSignal): Promise<void> {
    const { config, onEvent } = this.#context;
    const processes = this.#processes;
    if (polls % pollsPerQuestion === 0) {
      const isHopeless = await processes.isHopeless();
      // A hopeless process cannot hand over its sockets.
      if (isHopeless && config().haproxy.onHang === 'replace') await processes.kill('on_hang');
    }
    await processes.poll();
    const { serving } = processes;
    const workers = [this.unresponsive === null ? serving?.worker : null, ...this.followers];
    await reap(workers, config().drainTimeout, onEvent);
    if (polls % pollsPerInspection === 0) await this.#inspect(signal);
  }

  async #inspect(signal: AbortSignal): Promise<void> {
    const { config, onChange } = this.#context;
    await this.#processes.trimOutput();
    const { serving } = this.#processes;
    if (serving !== null && (await this.#outdated.losesSocket(serving, handedOnSocket(config())))) onChange();
    // A missing or broken executable, as during an upgrade, has no consequences here.
    const binary = await this.#findBinary(signal).catch(() => null);
    if (binary !== null && this.#compareBinary(binary.identity)) onChange();
  }

  async #findBinary(signal: AbortSignal): Promise<Binary> {
    const { config, env } = this.#context;
    this.#binary = await findBinary(config().haproxy.binary, env.PATH, { known: this.#binary, signal });
    return this.#binary;
  }

  /** Whether this call found that the executable has changed. */
  #compareBinary(identity: BinaryIdentity | null): boolean {
    const { serving } = this.#processes;
    if (serving === null || identity === null || !this.#outdated.compareBinary(serving, identity)) return false;
    this.#context.onEvent({ kind: 'binary_changed', path: identity.path });
    return true;
  }

  async #start(sections: readonly Section[], { binary, generation, foreign, signal }: StartOptions): Promise<Outcome> {
    const { config, file, onEvent, onChange } = this.#context;
    const processes = this.#processes;
    const from: { predecessor: Predecessor | null } = { predecessor: null };
    const findWanted = async (): Promise<Predecessor | null> => {
      from.predecessor = await findPredecessor(this.#root, this.#context);
      return from.predecessor;
    };
    const start = (its: readonly Section[]): Promise<Outcome> =>
      replace({
        ...this.#context,
        sections: its,
        generation,
        binary,
        config: config(),
        processes,
        foreign,
        findPredecessor: findWanted,
        signal,
      });
    const known = processes.serving === null ? await sectionsInPlace(file, this.#folders.fallen) : null;
    const inPlace = known === null ? null : await withFilesInPlace(known);
    const outcome = await startWithEither(sections, inPlace, start);
    const { predecessor } = from;
    if (outcome.kind === 'applied' && predecessor !== null)
      onEvent({ kind: 'taken_over', folder: predecessor.generation.folder });
    // Commands can already bring the started file closer to the desired config.
    if (outcome.kind !== 'applied' && inPlace !== null && processes.serving !== null) onChange();
    return outcome;
  }

  async #lost({ worker, since, id, generation }: Serving): Promise<void> {
    const { policy, now, onChange } = this.#context;
    if (!isAlive(id)) this.#folders.fell(generation);
    policy.crashed(worker.sections, since, now());
    if ((await this.#findForeign()) !== null) policy.resetBackOff();
    onChange();
  }

  /** The foreign process that serves instead of ours; null: none is known. */
  async #findForeign(): Promise<ForeignProcess | null> {
    const processes = this.#processes;
    if (processes.serving !== null) return null;
    const { haproxy } = this.#context.config();
    const leaving = new Set(processes.leaving.map(({ id }) => id.pid));
    // The process at the second socket was ours, or got the socket from one of ours.
    const sockets = this.#hasServed || this.#context.takesOver === true ? [haproxy.statsSocket] : [];
    const foreign = await findForeign([...sockets, handedOnSocket(this.#context.config())], leaving);
    processes.foreign(foreign, this.#hasServed);
    return foreign;
  }
}

type StartOptions = {
  readonly binary: Binary;
  readonly generation: Generation;
  readonly foreign: ForeignProcess | null;
  readonly signal: AbortSignal;
};
