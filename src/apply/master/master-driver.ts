/**
 * Control `master`: HAProxy runs elsewhere in master-worker mode, started by systemd or in another container. The file
 * is written here, the master is told to reload over its command line, and servers are changed over it too, in the
 * worker that they are meant for. What was proved last is kept in `state`, with the worker that it was proved with, so
 * that neither a restart of Myelin nor one of HAProxy has to lead to a reload.
 */
import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import timers from 'node:timers/promises';
import { lockFile } from '../../config/paths.ts';
import { AppError } from '../../errors.ts';
import { type Binary, findBinary } from '../../haproxy/binary/binary.ts';
import { parseVersion, type Version } from '../../haproxy/binary/version.ts';
import { parseProcesses } from '../../haproxy/cli/master.ts';
import { nobodyListens } from '../../haproxy/cli/socket.ts';
import { now, pastFromWallClock } from '../../lib/clock.ts';
import { type ConfigFile, configFile, makeFolder, tryOut } from '../../lib/files.ts';
import { createMutex } from '../../lib/mutex.ts';
import { poll } from '../../lib/poll.ts';
import type { Moment, Ms, Plan, Problem, ReloadReason, Rendered, Section } from '../../model.ts';
import { applying } from '../applying.ts';
import { ConfigFileSync } from '../config-file-sync.ts';
import type { Driver, DriverOptions, OldWorkerView, Outcome, Running, Runtime } from '../driver.ts';
import { forgetHealth } from '../files/health-file.ts';
import { isLeft, leftInPlace, startedByOthers } from '../foreign.ts';
import {
  type Generation,
  readLeaving,
  readProof,
  readSections,
  recordIn,
  removeProof,
  writeProof,
  writeSections,
} from '../generation.ts';
import { ReloadPolicy } from '../reload-policy.ts';
import type { ReloadSlot } from '../reload-slot.ts';
import { runtimeOf } from '../runtime/apply-commands.ts';
import { Liveness } from '../runtime/liveness.ts';
import { reap } from '../runtime/reap.ts';
import { sameText, textOf } from '../sections.ts';
import { acquireLock } from '../system/lock.ts';
import { asRecorded, loadedBy } from './loaded.ts';
import { MasterFleet, type Seen } from './master-fleet.ts';
import { prepareForMaster } from './prepare.ts';
import { checkHere, replaceWorker } from './reload.ts';
import { idOf, isProved, isSame, type MasterServing, proofOf, viewOf, type WorkerId } from './serving.ts';

const lookEveryMs: Ms = 200;
const looksPerInspection = 10;
/** A master that runs itself anew listens again sooner than this, but for one that takes long to read its config. */
const goneAfterMs: Ms = 1000;
const workerPauseMs: Ms = 20;

export async function openMasterDriver(options: DriverOptions, signal: AbortSignal): Promise<Driver> {
  const { haproxy, state: stateFolder } = options.config;
  const { masterSocket } = haproxy;
  if (masterSocket === undefined)
    throw new AppError('MYELIN_CONFIG_INVALID', 'haproxy.masterSocket is missing; `control: master` needs it');
  await makeFolder(stateFolder);
  await using opened = new AsyncDisposableStack();
  opened.use(await acquireLock(lockFile(options.config)));
  await makeFolder(dirname(haproxy.config));
  const record = recordIn(await realpath(stateFolder));
  await makeFolder(record.folder);
  await forgetHealth(options.config);
  const parts = {
    socket: masterSocket,
    file: configFile(haproxy.config),
    record,
    version: parseVersion((await readProof(record))?.version ?? ''),
    // Only of use where it is of the branch that runs elsewhere.
    binary: await findBinary(haproxy.binary, options.env.PATH, { signal }).catch(() => null),
    now: options.now ?? now,
  };
  signal.throwIfAborted();
  const control = new MasterDriver(options, parts, opened.move());
  await control.begin();
  control.watch(signal);
  return control;
}

type Parts = {
  readonly socket: string;
  readonly file: ConfigFile;
  readonly record: Generation;
  /** Of the HAProxy that was proved last; null where that is not known. */
  readonly version: Version | null;
  readonly binary: Binary | null;
  readonly now: () => Moment;
};

type Stranger = WorkerId & {
  /** Somebody had it reloaded while ours served. */
  readonly isByHand: boolean;
};

class MasterDriver implements Driver {
  readonly #options: DriverOptions;
  readonly #parts: Parts;
  readonly #fleet: MasterFleet;
  readonly #policy: ReloadPolicy;
  readonly #onDisk: ConfigFileSync;
  readonly #liveness: Liveness;
  readonly #atEnd: AsyncDisposableStack;
  /** Who came up by a reload of ours must not be taken for somebody else's. */
  readonly #mutex = createMutex();
  #config: DriverOptions['config'];
  #binary: Binary | null;
  #version: Version | null;
  #found: readonly Section[] | null = null;
  #whyNothingRuns: ReloadReason = { code: 'first_start' };
  /** Serves with a config that is not known: it is to be reloaded. */
  #stranger: Stranger | null = null;
  /** Since when the master does not answer; null while it does. */
  #silentSince: Moment | null = null;
  #isSilenceTold = false;
  /** Somebody told HAProxy to leave: it is theirs to start another. */
  #isLeaving = false;
  #isReloading = false;

  constructor(options: DriverOptions, parts: Parts, atEnd: AsyncDisposableStack) {
    const { config, onEvent, onChange, random = Math.random } = options;
    this.#options = options;
    this.#config = config;
    this.#parts = parts;
    this.#binary = parts.binary;
    this.#version = parts.version;
    this.#atEnd = atEnd;
    this.#policy = new ReloadPolicy(random);
    this.#fleet = new MasterFleet({
      socket: parts.socket,
      hardStopAfterMs: () => this.#config.reload.hardStopAfter,
      now: parts.now,
      onEvent,
      onRoom: onChange,
    });
    this.#onDisk = new ConfigFileSync({
      file: parts.file,
      runs: () => {
        const { serving } = this.#fleet;
        return (
          serving && {
            sections: serving.worker.intended,
            leaving: serving.worker.removedServers.toRecord,
            record: parts.record,
            proof: proofOf(serving),
          }
        );
      },
      maxLagMs: () => this.#config.file.maxLag,
      now: parts.now,
      onEvent,
    });
    this.#liveness = new Liveness({ now: parts.now, onEvent });
  }

  get version(): Version | null {
    return this.#version ?? this.#binary?.version ?? null;
  }

  get found(): readonly Section[] | null {
    return this.#found;
  }

  get running(): Running | null {
    const { serving } = this.#fleet;
    return serving === null ? null : viewOf(serving, this.#parts.socket);
  }

  get forced(): readonly ReloadReason[] {
    return this.#fleet.serving === null ? [this.#whyNothingRuns] : [];
  }

  get oldWorkers(): readonly OldWorkerView[] {
    return this.#fleet.oldWorkers.map(({ pid, generation, since, connections }) => {
      return { pid, generation, since, connections };
    });
  }

  get runtime(): Runtime | null {
    const { serving } = this.#fleet;
    // A worker that leaves has all its proxies stopped, and refuses what changes their servers, in every version.
    if (serving === null) return null;
    const serves = (): boolean => this.#fleet.serving === serving;
    return runtimeOf({ worker: serving.worker, onDisk: this.#onDisk, serves, leaving: [] });
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
    const oldWorkers = this.#fleet.oldWorkers.length;
    return this.#policy.slot(this.#config.reload, sections, { since, isStart, oldWorkers });
  }

  async apply({ sections }: Rendered, plan: Plan, signal: AbortSignal): Promise<Outcome> {
    const { now } = this.#parts;
    const about = { sections, plan, policy: this.#policy, isStart: this.#fleet.serving === null, now, signal };
    return applying(about, () => this.#attempt(sections, plan, signal));
  }

  async check({ sections }: Rendered, signal: AbortSignal): Promise<readonly Problem[]> {
    const { file } = this.#parts;
    const about = { sections, file, config: this.#config, signal };
    return tryOut(file, textOf(sections), async () => (await checkHere(this.#binary, this.#version, about)).problems);
  }

  /** What was started elsewhere is ended elsewhere. */
  async stop(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tolerate(this.#onDisk.close());
    await this.#atEnd.disposeAsync();
  }

  /** Finds out what became of HAProxy and of the file while nobody looked. */
  async begin(): Promise<void> {
    const { file, record } = this.#parts;
    await this.#seeWhoServes();
    if (await file.isUnsettled()) {
      // Killed in the middle of a reload: HAProxy has the one file or the other, so it is told again.
      if (this.#fleet.serving === null) await file.putBack();
      else await file.settle();
      this.#options.onEvent({ kind: 'file_restored', path: file.path });
    }
    const { serving } = this.#fleet;
    if (serving !== null) await this.#tolerate(file.write(textOf(serving.worker.sections)));
    else {
      const text = await file.read();
      this.#found = text === null ? null : asRecorded(text, await readSections(record));
    }
  }

  /** Sees by itself who serves, until `signal` or disposal ends it. */
  watch(signal: AbortSignal): void {
    const onError = (error: unknown): void => this.#options.onEvent({ kind: 'trouble', error });
    this.#atEnd.use(poll({ everyMs: lookEveryMs, look: (looks) => this.#look(looks), onError }, signal));
  }

  async #look(looks: number): Promise<void> {
    if (this.#isReloading) return;
    await this.#mutex(() => this.#seeWhoServes());
    if (this.#silentSince === null && this.unresponsive === null && !this.#isReloading)
      await reap([this.#fleet.serving?.worker ?? null], this.#config.drainTimeout, this.#options.onEvent);
    if (looks % looksPerInspection === 0) await this.#onDisk.inspect();
  }

  /** null where the master does not answer. */
  async #seeWhoServes(): Promise<Seen['kind'] | null> {
    let seen: Awaited<ReturnType<MasterFleet['look']>>;
    const askedAt = this.#parts.now();
    try {
      seen = await this.#fleet.look();
    } catch (error) {
      this.#noteSilence(error);
      this.#notePulse(askedAt, error);
      return null;
    }
    this.#isLeaving = seen.kind === 'nobody' && seen.isLeaving;
    if (seen.kind === 'nobody') {
      this.#noteSilence(null);
      return seen.kind;
    }
    this.#silentSince = null;
    this.#isSilenceTold = false;
    if (seen.kind === 'other') await this.#meet(seen);
    this.#notePulse(askedAt, seen.kind === 'silent' ? seen.error : null);
    return seen.kind;
  }

  /** A master that has just come up has a worker in a moment, and that may run what is wanted. */
  async #awaitWorker(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + this.#config.reload.startTimeout;
    while ((await this.#seeWhoServes()) === 'nobody' && !this.#isLeaving && performance.now() < deadline)
      await timers.setTimeout(workerPauseMs, undefined, { signal });
  }

  #notePulse(askedAt: Moment, error: unknown): void {
    const { serving } = this.#fleet;
    if (serving === null) {
      this.#liveness.none();
      return;
    }
    const whose = { pid: serving.id.pid, generation: serving.generation };
    if (error === null) this.#liveness.answered(whose);
    else this.#liveness.missed(whose, askedAt, error);
  }

  /** `error` is null where the master answers, and has no worker that serves. */
  #noteSilence(error: unknown): void {
    const now = this.#parts.now();
    this.#silentSince ??= now;
    if (now - this.#silentSince < goneAfterMs) return;
    if (error === null || nobodyListens(error)) this.#loseServing();
    else this.#tellSilence(error);
  }

  /** It is not known to be gone: a master that leaves may cut an answer short before nobody listens any more. */
  #tellSilence(error: unknown): void {
    if (this.#isSilenceTold) return;
    this.#isSilenceTold = true;
    this.#options.onEvent({ kind: 'trouble', error });
  }

  #loseServing(): void {
    const { serving } = this.#fleet;
    if (serving === null) return;
    const about = { pid: serving.id.pid, generation: serving.generation };
    this.#options.onEvent(this.#isLeaving ? { kind: 'dismissed', ...about } : { kind: 'exited', ...about, words: '' });
    this.#whyNothingRuns = { code: 'haproxy_exited' };
    this.#fleet.disown();
    this.#options.onChange();
  }

  /** Another worker serves, and it was not Myelin that made it: HAProxy was restarted, or reloaded by somebody. */
  async #meet({ info, isReload }: Extract<Seen, { kind: 'other' }>): Promise<void> {
    const { now, record } = this.#parts;
    const { onEvent, onChange } = this.#options;
    const id = idOf(info, now());
    if (this.#stranger !== null && isSame(this.#stranger, id)) return;
    this.#version = info.version;
    const recorded = await readSections(record);
    const proof = await readProof(record);
    if (recorded !== null && proof !== null && isProved(proof, id)) {
      const serving = this.#fleet.serve(info, recorded, null, pastFromWallClock(proof.since));
      serving.worker.removedServers.recall(await readLeaving(record));
    } else {
      const { ask } = this.#fleet;
      const loaded = await loadedBy({ info, id, file: this.#parts.file, recorded, record, ask });
      const before = this.#fleet.serving?.worker.intended ?? null;
      const isByHand = isReload && before !== null && (loaded === null || !sameText(loaded, before));
      if (loaded === null || (isByHand && this.#config.drift === 'report')) {
        if (this.#fleet.serving !== null || proof !== null)
          this.#whyNothingRuns = { code: 'haproxy_exited', detail: startedByOthers(id.pid) };
        this.#stranger = { ...id, isByHand };
        this.#fleet.disown();
        this.#policy.resetBackOff();
        onChange();
        return;
      }
      await this.#record(this.#fleet.serve(info, loaded, loaded));
    }
    this.#stranger = null;
    this.#policy.resetBackOff();
    const generation = this.#fleet.serving?.generation ?? 0;
    onEvent({ kind: 'adopted', pid: id.pid, generation });
    this.#onDisk.note();
    onChange();
  }

  async #attempt(sections: readonly Section[], plan: Plan, signal: AbortSignal): Promise<Outcome> {
    if (plan.kind !== 'reload') {
      const commands = plan.kind === 'runtime' ? plan.commands : [];
      // It has ended since this was planned: to start another one has to be planned, and has its turn.
      return this.runtime?.applyCommands(commands, { sections }) ?? { kind: 'superseded' };
    }
    if (this.#stranger?.isByHand && isLeft(this.#config, plan))
      return { kind: 'failed', error: leftInPlace(this.#stranger.pid), problems: [] };
    return this.#mutex(async () => {
      this.#isReloading = true;
      try {
        return await this.#onDisk.during(() => this.#replace(sections, plan, signal));
      } finally {
        this.#isReloading = false;
      }
    });
  }

  async #replace(sections: readonly Section[], plan: Plan, signal: AbortSignal): Promise<Outcome> {
    const { socket, file, now } = this.#parts;
    const { env } = this.#options;
    const known = this.#binary;
    this.#binary = await findBinary(this.#config.haproxy.binary, env.PATH, { known, signal }).catch(() => null);
    signal.throwIfAborted();
    const absent = await this.#whyAbsent();
    if (absent !== null)
      return prepareForMaster({
        ...this.#parts,
        sections,
        absent,
        binary: this.#binary,
        version: this.#version,
        config: this.#config,
        signal,
      });
    if (isForStart(plan)) {
      if (this.#fleet.serving === null) await this.#awaitWorker(signal);
      // It came up since this was planned: what it runs may be what is wanted.
      if (this.#fleet.serving !== null) return { kind: 'superseded' };
    }
    if (this.#isLeaving) throw toldToLeave();
    const { serving, ask } = this.#fleet;
    try {
      const replaced = await replaceWorker({
        sections,
        serving,
        version: this.#version,
        binary: this.#binary,
        socket,
        ask,
        config: this.#config,
        file,
        tolerate: (work) => this.#tolerate(work),
        signal,
      });
      if (replaced.kind === 'serves') {
        const next = this.#fleet.serve(replaced.info, sections, sections);
        this.#version = next.version;
        this.#stranger = null;
        // From here on a Myelin that was killed finds the new one proved.
        await this.#tolerate(this.#record(next));
        await this.#tolerate(file.settle());
        // Not before: had the new one failed, the connections of the oldest would have been closed for nothing.
        await this.#tolerate(this.#fleet.keepAtMost(this.#config.reload.maxOldWorkers));
        return { kind: 'applied', tookMs: 0 };
      }
      const { other, outcome } = replaced;
      if (other?.isBefore && serving !== null) {
        const again = this.#fleet.serve(other.info, serving.worker.sections, serving.worker.sections);
        await this.#tolerate(this.#record(again));
      } else if (other !== null) {
        this.#stranger = { ...idOf(other.info, now()), isByHand: false };
        this.#fleet.disown();
      }
      return outcome;
    } finally {
      await file.discard();
    }
  }

  /** null where a master answers. Throws where it is not just that nobody listens. */
  async #whyAbsent(): Promise<AppError | null> {
    try {
      const { master } = parseProcesses(await this.#fleet.ask('show proc'));
      this.#version = master.version ?? this.#version;
      return null;
    } catch (error) {
      // While it is not known to be gone it may be about to come back, with what it had.
      if (!(error instanceof AppError) || !nobodyListens(error) || this.#fleet.serving !== null) throw error;
      return error;
    }
  }

  /** The sections first: a proof says that they run. */
  async #record(serving: MasterServing): Promise<void> {
    const { record } = this.#parts;
    await removeProof(record);
    await writeSections(record, serving.worker.sections);
    await writeProof(record, proofOf(serving));
  }

  /** For what must neither undo an apply nor keep one from happening. */
  async #tolerate(work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => this.#options.onEvent({ kind: 'trouble', error }));
  }
}

/** Whether it was planned where nothing was known to serve. */
function isForStart(plan: Plan): boolean {
  return plan.kind === 'reload' && plan.reasons.some(({ code }) => code === 'first_start' || code === 'haproxy_exited');
}

function toldToLeave(): AppError {
  return new AppError(
    'MYELIN_HAPROXY_UNAVAILABLE',
    'HAProxy was told to leave, and not by Myelin, which waits for another',
    {
      remedy: 'start HAProxy again, as it was started before',
    },
  );
}
