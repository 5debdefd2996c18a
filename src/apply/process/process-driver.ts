/**
 * Control `process`: HAProxy is started here. A new one starts beside the old one, takes over its listening sockets,
 * proves itself on a socket of its own, and only then is the old one told to leave. Whatever fails before that costs
 * the old one nothing.
 */
import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formerHandedOnSocket, generationsFolder, handedOnSocket, lockFile } from '../../config/paths.ts';
import { AppError } from '../../errors.ts';
import { type Binary, type BinaryIdentity, findBinary } from '../../haproxy/binary/binary.ts';
import { checkConfig } from '../../haproxy/binary/check.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import { now, wallClock } from '../../lib/clock.ts';
import { type ConfigFile, configFile, isThere, linkSocket, makeFolder, pointTo, tryOut } from '../../lib/files.ts';
import { poll } from '../../lib/poll.ts';
import type { Moment, Ms, Plan, Problem, ReloadReason, Rendered, Section } from '../../model.ts';
import { applying } from '../applying.ts';
import { ConfigFileSync } from '../config-file-sync.ts';
import type { Driver, DriverOptions, OldWorkerView, Outcome, Running, Runtime } from '../driver.ts';
import { forgetHealth } from '../files/health-file.ts';
import { type ForeignProcess, findForeign, isLeft, leftInPlace, startedByOthers } from '../foreign.ts';
import { type Generation, generationAt, removeGeneration } from '../generation.ts';
import { asAppError, toProblems } from '../problems.ts';
import { ReloadPolicy } from '../reload-policy.ts';
import type { ReloadSlot } from '../reload-slot.ts';
import { runtimeOf } from '../runtime/apply-commands.ts';
import { Liveness } from '../runtime/liveness.ts';
import { reap } from '../runtime/reap.ts';
import { textOf } from '../sections.ts';
import { acquireLock } from '../system/lock.ts';
import { isAlive } from '../system/processes.ts';
import { Fleet } from './fleet.ts';
import { assertOwn, findPredecessor, type Predecessor, removeIfEmpty, removeLeftovers } from './handover.ts';
import { sectionsInPlace, startWithEither } from './in-place.ts';
import { type Recovered, recover } from './recover.ts';
import { replace } from './replace.ts';
import { isReplaced, proofOf, type Serving, viewOf } from './serving.ts';

const lookEveryMs: Ms = 400;
const looksPerInspection = 5;
const looksPerQuestion = 4;

export async function openProcessDriver(options: DriverOptions, signal: AbortSignal): Promise<Driver> {
  const { haproxy, reload, state: stateFolder } = options.config;
  await makeFolder(stateFolder);
  await using opened = new AsyncDisposableStack();
  opened.use(await acquireLock(lockFile(options.config)));
  const generations = generationsFolder(options.config);
  for (const path of [generations, dirname(haproxy.config), dirname(haproxy.statsSocket)]) await makeFolder(path);
  const binary = await findBinary(haproxy.binary, options.env.PATH, { signal }).catch(asAppError);
  signal.throwIfAborted();
  const known = binary instanceof AppError ? null : binary;
  const parts = {
    // HAProxy's command line is looked for this path, however it is spelled in the config.
    generations: await realpath(generations),
    file: configFile(haproxy.config),
    now: options.now ?? now,
  };
  const { onEvent } = options;
  if (haproxy.handover !== undefined) {
    await assertOwn(parts.generations);
    await removeLeftovers(parts.generations, wallClock()).catch((error: unknown) =>
      onEvent({ kind: 'trouble', error }),
    );
  }
  const startTimeoutMs = reload.startTimeout;
  const recovered = await recover({
    ...parts,
    state: parts.generations,
    startTimeoutMs,
    binary: known?.identity ?? null,
    onEvent,
    signal,
  });
  // What runs is more than what could be started; without either there is nothing to do here.
  if (binary instanceof AppError && recovered.serving === null) throw binary;
  await forgetHealth(options.config);
  const onTrouble = (error: unknown): void => onEvent({ kind: 'trouble', error });
  await linkSocket(formerHandedOnSocket(options.config), handedOnSocket(options.config)).catch(onTrouble);
  if (recovered.serving !== null)
    await pointTo(haproxy.statsSocket, recovered.serving.generation.socket).catch(onTrouble);
  const control = new ProcessDriver(options, parts, recovered, known, opened.move());
  control.watch(signal);
  return control;
}

type Parts = { readonly generations: string; readonly file: ConfigFile; readonly now: () => Moment };

class ProcessDriver implements Driver {
  readonly found: readonly Section[] | null;
  readonly #options: DriverOptions;
  readonly #parts: Parts;
  readonly #fleet: Fleet;
  readonly #policy: ReloadPolicy;
  readonly #onDisk: ConfigFileSync;
  readonly #liveness: Liveness;
  readonly #atEnd: AsyncDisposableStack;
  #config: DriverOptions['config'];
  #binary: Binary | null;
  #isBinaryReplaced = false;
  /** Where the process that serves was asked, and can be asked no more once the connection that is held ends. */
  #lostSocket: string | null = null;
  #whyNothingRuns: ReloadReason = { code: 'first_start' };
  /** One of ours served at some time, so that another in its place was started by hand. */
  #hasServed: boolean;
  #lastNumber: number;
  /** The folder of the process that served and has ended, from which the next one is started. */
  #fallen: Generation | null;

  constructor(
    options: DriverOptions,
    parts: Parts,
    recovered: Recovered,
    binary: Binary | null,
    atEnd: AsyncDisposableStack,
  ) {
    const { config, onEvent, onChange, random = Math.random } = options;
    this.#options = options;
    this.#config = config;
    this.#parts = parts;
    this.#binary = binary;
    this.#atEnd = atEnd;
    this.found = recovered.found;
    this.#hasServed = recovered.hasServed;
    this.#lastNumber = recovered.lastNumber;
    this.#fallen = recovered.fallen;
    this.#policy = new ReloadPolicy(random);
    this.#fleet = new Fleet(recovered, {
      hardStopAfterMs: () => this.#config.reload.hardStopAfter,
      now: parts.now,
      onEvent,
      onChange,
      onExit: (lost) => void this.#tolerate(this.#lost(lost)),
    });
    this.#onDisk = new ConfigFileSync({
      file: parts.file,
      runs: () => {
        const { serving } = this.#fleet;
        return (
          serving && {
            sections: serving.worker.intended,
            leaving: serving.worker.removedServers.toRecord,
            record: serving.generation,
            proof: proofOf(serving),
          }
        );
      },
      maxLagMs: () => this.#config.file.maxLag,
      now: parts.now,
      onEvent,
    });
    this.#liveness = new Liveness({ now: parts.now, onEvent });
    this.#compareBinary(binary?.identity ?? null);
  }

  get version(): Version | null {
    return this.#binary?.version ?? this.#fleet.serving?.version ?? null;
  }

  get running(): Running | null {
    const { serving } = this.#fleet;
    return serving === null ? null : viewOf(serving);
  }

  get forced(): readonly ReloadReason[] {
    const { serving } = this.#fleet;
    if (serving === null) return [this.#whyNothingRuns];
    const reasons: ReloadReason[] = this.#isBinaryReplaced ? [{ code: 'binary_changed' }] : [];
    const { socket } = serving.generation;
    if (this.#lostSocket === socket) reasons.push({ code: 'socket_removed', detail: socket });
    return reasons;
  }

  get oldWorkers(): readonly OldWorkerView[] {
    return this.#fleet.oldWorkers.map(({ id, generation, since, connections }) => {
      return { pid: id.pid, generation: generation.number, since, connections };
    });
  }

  get runtime(): Runtime | null {
    const { serving } = this.#fleet;
    if (serving === null) return null;
    return runtimeOf({
      worker: serving.worker,
      onDisk: this.#onDisk,
      serves: () => this.#fleet.serving === serving,
      leaving: this.#fleet.oldWorkers.flatMap(({ worker }) => worker ?? []),
    });
  }

  get unresponsive(): Driver['unresponsive'] {
    return this.#fleet.serving === null ? null : this.#liveness.unresponsive;
  }

  get fileTrouble(): Driver['fileTrouble'] {
    return this.#onDisk.trouble;
  }

  use(config: DriverOptions['config']): void {
    this.#config = config;
  }

  reloadAt({ sections }: Rendered, since: Moment): ReloadSlot {
    const isStart = this.#fleet.serving === null;
    const oldWorkers = this.#fleet.leaving.length;
    return this.#policy.slot(this.#config.reload, sections, { since, isStart, oldWorkers });
  }

  async apply({ sections }: Rendered, plan: Plan, signal: AbortSignal): Promise<Outcome> {
    const { now } = this.#parts;
    const about = { sections, plan, policy: this.#policy, isStart: this.#fleet.serving === null, now, signal };
    return applying(about, () => this.#attempt(sections, plan, signal));
  }

  async check({ sections }: Rendered, signal: AbortSignal): Promise<readonly Problem[]> {
    const { file } = this.#parts;
    const binary = await this.#findBinary(signal);
    const { haproxy, reload } = this.#config;
    const limits = { timeoutMs: reload.startTimeout, signal, passEnv: haproxy.passEnv };
    return tryOut(file, textOf(sections), async () => {
      return toProblems(await checkConfig(binary.path, [file.candidate], limits), sections, [file.candidate]);
    });
  }

  async stop(): Promise<void> {
    await this.#fleet.stop(this.#config.haproxy.stopGrace);
    if (this.#fallen !== null) await removeGeneration(this.#fallen);
    if (this.#config.haproxy.handover !== undefined) await removeIfEmpty(this.#parts.generations);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tolerate(this.#onDisk.close());
    await this.#atEnd.disposeAsync();
  }

  /** Sees by itself when a process ends or the executable changes, until `signal` or disposal ends it. */
  watch(signal: AbortSignal): void {
    const onError = (error: unknown): void => this.#options.onEvent({ kind: 'trouble', error });
    this.#atEnd.defer(() => this.#fleet.forget());
    this.#atEnd.use(poll({ everyMs: lookEveryMs, look: (looks, ended) => this.#look(looks, ended), onError }, signal));
  }

  async #look(looks: number, signal: AbortSignal): Promise<void> {
    if (looks % looksPerQuestion === 0) await this.#feelPulse();
    await this.#fleet.look();
    const { serving, oldWorkers } = this.#fleet;
    const workers = [this.unresponsive === null ? serving?.worker : null, ...oldWorkers.map(({ worker }) => worker)];
    await reap(workers, this.#config.drainTimeout, this.#options.onEvent);
    if (looks % looksPerInspection === 0) await this.#inspect(signal);
  }

  /** Sees whether the process that serves hangs, and, where that is wanted, ends it: it cannot hand over any more. */
  async #feelPulse(): Promise<void> {
    const { serving } = this.#fleet;
    if (serving === null) return this.#liveness.none();
    const askedAt = this.#parts.now();
    const whose = { pid: serving.id.pid, generation: serving.generation.number };
    const error: unknown = await serving.worker.look().then(
      () => null,
      (cause: unknown) => cause,
    );
    if (this.#fleet.serving !== serving) return this.#liveness.none();
    if (error === null) return this.#liveness.answered(whose);
    this.#liveness.missed(whose, askedAt, error);
    if (this.#liveness.isHopeless && this.#config.haproxy.onHang === 'replace') await this.#fleet.kill('on_hang');
  }

  async #inspect(signal: AbortSignal): Promise<void> {
    await this.#fleet.trimOutput();
    await this.#onDisk.inspect();
    if (await this.#losesSocket()) this.#options.onChange();
    // While there is none, or one that does not run, as in the middle of an upgrade, nothing follows from that.
    const binary = await this.#findBinary(signal).catch(() => null);
    if (binary !== null && this.#compareBinary(binary.identity)) this.#options.onChange();
  }

  /** Whether it turned out to be lost just now, and another process can take over from this one. */
  async #losesSocket(): Promise<boolean> {
    const { serving } = this.#fleet;
    const before = this.#lostSocket;
    const socket = serving?.generation.socket ?? null;
    const isLost = socket !== null && !(await isThere(socket)) && (await isThere(handedOnSocket(this.#config)));
    this.#lostSocket = isLost ? socket : null;
    return isLost && before !== socket;
  }

  async #findBinary(signal: AbortSignal): Promise<Binary> {
    const known = this.#binary;
    this.#binary = await findBinary(this.#config.haproxy.binary, this.#options.env.PATH, { known, signal });
    return this.#binary;
  }

  /** Whether it turned out to be another one just now. */
  #compareBinary(identity: BinaryIdentity | null): boolean {
    const current = this.#fleet.serving;
    const before = this.#isBinaryReplaced;
    this.#isBinaryReplaced = current !== null && isReplaced(current, identity);
    if (before || !this.#isBinaryReplaced || identity === null) return false;
    this.#options.onEvent({ kind: 'binary_changed', path: identity.path });
    return true;
  }

  async #attempt(sections: readonly Section[], plan: Plan, signal: AbortSignal): Promise<Outcome> {
    if (plan.kind !== 'reload') {
      const commands = plan.kind === 'runtime' ? plan.commands : [];
      // It has ended since this was planned: to start another one has to be planned, and has its turn.
      return this.runtime?.applyCommands(commands, { sections }) ?? { kind: 'superseded' };
    }
    const foreign = await this.#findForeign();
    if (foreign !== null && isLeft(this.#config, plan))
      return { kind: 'failed', error: leftInPlace(foreign.id.pid), problems: [] };
    return this.#onDisk.during(() => this.#replace(sections, foreign, signal));
  }

  async #replace(sections: readonly Section[], foreign: ForeignProcess | null, signal: AbortSignal): Promise<Outcome> {
    const binary = await this.#findBinary(signal);
    this.#lastNumber += 1;
    const { generations, file, now } = this.#parts;
    // What stands in the folder of the one that has ended needs no room on the disk once more.
    const fallen = this.#fallen;
    const generation = { ...(fallen ?? generationAt(generations, this.#lastNumber)), number: this.#lastNumber };
    const { env, onEvent } = this.#options;
    const tolerate = (work: Promise<unknown>): Promise<void> => this.#tolerate(work);
    const fleet = this.#fleet;
    let predecessor: Predecessor | null = null;
    const start = (its: readonly Section[]): Promise<Outcome> =>
      replace({
        sections: its,
        generation,
        binary,
        config: this.#config,
        file,
        fleet,
        foreign,
        findPredecessor: async () => {
          const isWanted = this.#config.haproxy.handover !== undefined;
          predecessor = isWanted ? await findPredecessor(generations) : null;
          if (predecessor !== null) this.#assertTakeover();
          return predecessor;
        },
        env,
        now,
        onEvent,
        tolerate,
        signal,
      });
    try {
      const inPlace = fleet.serving === null ? await sectionsInPlace(file, fallen) : null;
      const outcome = await startWithEither(sections, inPlace, start);
      if (outcome.kind === 'applied') this.#tellOfTakeover(predecessor);
      // What commands can do for it need not wait.
      else if (inPlace !== null && fleet.serving !== null) this.#options.onChange();
      return outcome;
    } finally {
      if (this.#fleet.has(generation)) this.#fallen = null;
      else if (fallen === null) await removeGeneration(generation);
      if (this.#fleet.serving?.generation !== generation) await file.discard();
      this.#isBinaryReplaced = fleet.serving !== null && isReplaced(fleet.serving, binary.identity);
      this.#hasServed ||= fleet.serving !== null;
    }
  }

  async #lost({ worker, since, id, generation }: Serving): Promise<void> {
    if (!isAlive(id)) this.#fallen = generation;
    this.#whyNothingRuns = { code: 'haproxy_exited' };
    this.#policy.crashed(worker.sections, since, this.#parts.now());
    const foreign = await this.#findForeign();
    if (foreign !== null) {
      this.#whyNothingRuns = { code: 'haproxy_exited', detail: startedByOthers(foreign.id.pid) };
      this.#policy.resetBackOff();
    }
    this.#options.onChange();
  }

  /** Who serves in the place of ours; null: nobody, as far as is known. */
  async #findForeign(): Promise<ForeignProcess | null> {
    if (this.#fleet.serving !== null) return null;
    const { haproxy } = this.#config;
    const leaving = new Set(this.#fleet.leaving.map(({ id }) => id.pid));
    // Who answers at the second one was ours, or was handed the socket by one of ours.
    const sockets = this.#hasServed ? [haproxy.statsSocket] : [];
    return findForeign([...sockets, handedOnSocket(this.#config)], leaving);
  }

  #assertTakeover(): void {
    const why = this.#options.whyNoTakeover();
    if (why !== null) throw new AppError('MYELIN_SOURCE_TIMEOUT', `nothing is taken over: ${why}`);
  }

  #tellOfTakeover(from: Predecessor | null): void {
    if (from !== null) this.#options.onEvent({ kind: 'taken_over', folder: from.generation.folder });
  }

  /** For what must neither undo an apply nor keep one from happening. */
  async #tolerate(work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => this.#options.onEvent({ kind: 'trouble', error }));
  }
}
