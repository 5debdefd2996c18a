/**
 * Control `master`: HAProxy runs elsewhere in master-worker mode, started by systemd or in another container. The file
 * is written here, the master reloads on a command over its command line, which also changes servers, in the
 * worker that they are meant for. What was ready last is kept in `state`, with the worker that it was made ready with, so
 * that neither a restart of Myelin nor one of HAProxy has to lead to a reload.
 */
import { realpath } from 'node:fs/promises';
import { AppError } from '../../errors.ts';
import { type Binary, findBinary } from '../../haproxy/binary/binary.ts';
import { parseVersion, type Version } from '../../haproxy/binary/version.ts';
import { parseProcesses } from '../../haproxy/cli/master.ts';
import { nobodyListens } from '../../haproxy/cli/socket.ts';
import { layoutOf } from '../../haproxy/text/layout/layout.ts';
import { tryOut } from '../../lib/files/config-file.ts';
import { makeFolder } from '../../lib/files/files.ts';
import { createMutex } from '../../lib/mutex.ts';
import type { Ms, Problem, ReloadReason, Section } from '../../model.ts';
import type { Active, Driver, DriverContext, OldWorkerView, Outcome, Trouble } from '../driver.ts';
import { isLeft, leftInPlace } from '../foreign.ts';
import { reap } from '../runtime/reap.ts';
import { type Generation, recordIn } from '../state/generation.ts';
import { readReady, readSections } from '../state/records.ts';
import { asRecorded } from './loaded.ts';
import { prepareForMaster } from './prepare.ts';
import { MasterProcesses } from './processes.ts';
import { recordReady } from './recognise.ts';
import { checkHere, type MasterReplacement, replaceWorker } from './reload.ts';
import { activeOf, idOf } from './serving.ts';
import { MasterWatch } from './watch.ts';

const pollEveryMs: Ms = 200;

export async function openMasterDriver(context: DriverContext, signal: AbortSignal): Promise<Driver> {
  const { haproxy, state } = context.config();
  const { masterSocket } = haproxy;
  if (masterSocket === undefined)
    throw new AppError('MYELIN_CONFIG_INVALID', 'haproxy.masterSocket is missing; `control: master` needs it');
  const record = recordIn(await realpath(state));
  await makeFolder(record.folder);
  const version = parseVersion((await readReady(record))?.version ?? '');
  // The local binary is only of use where the HAProxy elsewhere is of the same branch.
  const binary = await findBinary(haproxy.binary, context.env.PATH, { signal }).catch(() => null);
  signal.throwIfAborted();
  const driver = new MasterDriver(context, { socket: masterSocket, record, version, binary });
  await driver.recover();
  return driver;
}

type Parts = {
  readonly socket: string;
  readonly record: Generation;
  /** Of the HAProxy that was ready last; null where that is not known. */
  readonly version: Version | null;
  readonly binary: Binary | null;
};

class MasterDriver implements Driver {
  /** A worker that leaves has all its proxies stopped, and refuses what changes their servers, in every version. */
  readonly followers = [];
  readonly polling = { everyMs: pollEveryMs, poll: (): Promise<void> => this.#poll() };
  readonly #context: DriverContext;
  readonly #parts: Parts;
  readonly #processes: MasterProcesses;
  readonly #watch: MasterWatch;
  /** A worker from our own reload must not be taken for a foreign one. */
  readonly #mutex = createMutex();
  #binary: Binary | null;
  #found: readonly Section[] | null = null;

  constructor(context: DriverContext, parts: Parts) {
    this.#context = context;
    this.#parts = parts;
    this.#binary = parts.binary;
    this.#processes = new MasterProcesses({
      ...context,
      socket: parts.socket,
      ownSocket: () => context.config().haproxy.statsSocket,
      hardStopAfterMs: () => context.config().reload.hardStopAfter,
    });
    this.#watch = new MasterWatch(context, this.#processes, parts);
  }

  get version(): Version | null {
    return this.#watch.version ?? this.#binary?.version ?? null;
  }

  get found(): readonly Section[] | null {
    return this.#found;
  }

  get active(): Active | null {
    const { serving } = this.#processes;
    return serving === null ? null : activeOf(serving, this.#parts);
  }

  get unresponsive(): Trouble | null {
    return this.#processes.tracker.unresponsive;
  }

  get masterTrouble(): Trouble | null {
    return this.#watch.masterTrouble;
  }

  get forced(): readonly ReloadReason[] {
    return this.#processes.tracker.whyNone;
  }

  get oldWorkers(): readonly OldWorkerView[] {
    return this.#processes.oldWorkers.map(({ pid, generation, since, connections }) => {
      return { pid, generation, since, connections };
    });
  }

  get leaving(): number {
    return this.#processes.oldWorkers.length;
  }

  /** HAProxy has ended since this was planned: the next plan starts another one. */
  async update(): Promise<Outcome> {
    return { kind: 'superseded' };
  }

  async replace(sections: readonly Section[], reasons: readonly ReloadReason[], signal: AbortSignal): Promise<Outcome> {
    const { foreign } = this.#processes;
    if (foreign?.isByHand && isLeft(this.#context.config(), reasons))
      return { kind: 'failed', error: leftInPlace(foreign.pid), problems: [] };
    return this.#mutex(() => this.#replace(sections, reasons, signal));
  }

  async check(sections: readonly Section[], signal: AbortSignal): Promise<readonly Problem[]> {
    const { file, config } = this.#context;
    const about = { sections, file, config: config(), signal };
    return tryOut(
      file,
      layoutOf(sections),
      async () => (await checkHere(this.#binary, this.#watch.version, about)).problems,
    );
  }

  /** Who started HAProxy elsewhere also ends it. */
  async stop(): Promise<void> {}

  /** Finds out what happened to HAProxy and its file while Myelin was away. */
  async recover(): Promise<void> {
    const { file, onEvent, tolerate } = this.#context;
    const { record } = this.#parts;
    await this.#watch.poll();
    const { serving } = this.#processes;
    await file.discard();
    if (await file.isUncommitted()) {
      // Myelin was killed during a reload: HAProxy has either file, so the reload is repeated.
      if (serving === null) await file.putBack();
      else await file.commit();
      onEvent({ kind: 'file_restored', path: file.path });
    }
    if (serving !== null) {
      const layout = layoutOf(serving.worker.sections);
      return tolerate(file.write(layout.text, layout.files));
    }
    const text = await file.read();
    this.#found = text === null ? null : asRecorded(text, await readSections(record));
  }

  #poll(): Promise<void> {
    const { config, onEvent } = this.#context;
    return this.#mutex(async () => {
      const seen = await this.#watch.poll();
      if (seen === null || seen === 'nobody' || this.unresponsive !== null) return;
      await reap([this.#processes.serving?.worker], config().drainTimeout, onEvent);
    });
  }

  async #replace(
    sections: readonly Section[],
    reasons: readonly ReloadReason[],
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { file, env, config, tolerate } = this.#context;
    const { socket, record } = this.#parts;
    const processes = this.#processes;
    const known = this.#binary;
    this.#binary = await findBinary(config().haproxy.binary, env.PATH, { known, signal }).catch(() => null);
    signal.throwIfAborted();
    const absent = await this.#whyAbsent();
    const about = {
      sections,
      socket,
      file,
      version: this.#watch.version,
      binary: this.#binary,
      config: config(),
      signal,
    };
    if (absent !== null) return prepareForMaster({ ...about, absent, record });
    if (reasons.some(isForStart)) {
      if (processes.serving === null) await this.#watch.awaitWorker(signal);
      // A worker came up since this was planned, and may already run the desired config.
      if (processes.serving !== null) return { kind: 'superseded' };
    }
    if (processes.isLeaving) throw stoppedExternally();
    try {
      const { serving, ask } = processes;
      return await this.#reload({ ...about, serving, ask, tolerate });
    } finally {
      await file.discard();
    }
  }

  async #reload(replacement: MasterReplacement): Promise<Outcome> {
    const { sections, serving, file, config, tolerate } = replacement;
    const { record } = this.#parts;
    const processes = this.#processes;
    const replaced = await replaceWorker(replacement);
    if (replaced.kind === 'serves') {
      const next = processes.serve(replaced.info, sections, sections);
      this.#watch.version = next.version;
      // If Myelin is killed from here on, the next Myelin finds that the new process is ready.
      await tolerate(recordReady(record, next));
      await tolerate(file.commit());
      // Only now: if the new process had failed, the connections of the oldest would have been closed for nothing.
      await tolerate(processes.keepAtMost(config.reload.maxOldWorkers));
      return { kind: 'applied', tookMs: 0 };
    }
    const { other, outcome } = replaced;
    if (other?.isBefore && serving !== null) {
      const again = processes.serve(other.info, serving.worker.sections, serving.worker.sections);
      await tolerate(recordReady(record, again));
    } else if (other !== null) processes.meet({ ...idOf(other.info, this.#context.now()), isByHand: false }, false);
    return outcome;
  }

  /** null where a master answers. Throws on any error other than that nobody listens. */
  async #whyAbsent(): Promise<AppError | null> {
    try {
      const { master } = parseProcesses(await this.#processes.ask('show proc'));
      this.#watch.version = master.version ?? this.#watch.version;
      return null;
    } catch (cause) {
      const { error } = await this.#processes.withoutMaster(cause);
      // Until the worker is known to be gone, it may come back with the same config.
      if (!(error instanceof AppError) || !nobodyListens(error) || this.#processes.serving !== null) throw error;
      return error;
    }
  }
}

/** Whether the reason was found while nothing was known to serve. */
function isForStart({ code }: ReloadReason): boolean {
  return code === 'first_start' || code === 'haproxy_exited';
}

function stoppedExternally(): AppError {
  return new AppError(
    'MYELIN_HAPROXY_UNAVAILABLE',
    'HAProxy is stopping on an order that is not Myelin’s; Myelin waits for the next one',
    { remedy: 'start HAProxy again, as it was started before' },
  );
}
