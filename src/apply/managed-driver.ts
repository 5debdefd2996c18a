/**
 * Wraps a driver with everything that all drivers have in common: the lock of the state folder, the reload policy and its
 * history, the config file that follows runtime commands, polling, and the end.
 */
import { dirname } from 'node:path';
import { certificatesFolder, lockFile, mapsFolder } from '../config/paths.ts';
import type { Version } from '../haproxy/binary/version.ts';
import { configFile } from '../lib/files/config-file.ts';
import { makeFolder } from '../lib/files/files.ts';
import { now } from '../lib/time/clock.ts';
import { startPolling } from '../lib/time/poll.ts';
import type { Moment, Ms, Plan, Problem, ReloadReason, Rendered, RuntimeCommand, Section } from '../model.ts';
import { ConfigFileSync } from './config-file-sync.ts';
import type {
  Crash,
  Driver,
  DriverFactory,
  DriverOptions,
  ManagedDriver,
  OldWorkerView,
  Outcome,
  Running,
  Runtime,
  Trouble,
} from './driver.ts';
import { forgetHealth } from './files/health-file.ts';
import { asAppError, emptyConfig } from './problems.ts';
import type { ReloadSlot } from './reload-policy.ts';
import { ReloadPolicy } from './reload-policy.ts';
import { isBlank, sameText } from './state/sections.ts';
import { acquireLock } from './system/lock.ts';

const inspectEveryMs: Ms = 2000;

/** Takes the lock of the state folder. `signal` ends the polling; disposing frees the lock. */
export async function manage(
  factory: DriverFactory,
  options: DriverOptions,
  signal: AbortSignal,
): Promise<ManagedDriver> {
  const { config, env, onEvent, onChange, whyNoTakeover, takesOver = false, random = Math.random } = options;
  await makeFolder(config.state);
  await using opened = new AsyncDisposableStack();
  opened.use(await acquireLock(lockFile(config)));
  await makeFolder(dirname(config.haproxy.config));
  const clock = options.now ?? now;
  const file = configFile(config.haproxy.config, { folders: [mapsFolder(config), certificatesFolder(config)] });
  const newest = { config };
  let driver: Driver | null = null;
  const fileSync = new ConfigFileSync({
    file,
    active: () => driver?.active ?? null,
    maxLagMs: () => newest.config.file.maxLag,
    now: clock,
    onEvent,
  });
  const policy = new ReloadPolicy(random);
  const onError = (error: unknown): void => onEvent({ kind: 'trouble', error });
  const tolerate = (work: Promise<unknown>): Promise<void> => work.then(() => {}, onError);
  opened.defer(() => tolerate(fileSync.close()));
  const context = {
    config: () => newest.config,
    env,
    now: clock,
    file,
    noteChange: () => fileSync.note(),
    policy,
    onEvent,
    onChange,
    whyNoTakeover,
    takesOver,
    tolerate,
    atEnd: (work: () => void) => opened.defer(work),
  };
  driver = await factory(context, signal);
  signal.throwIfAborted();
  await forgetHealth(config);
  const { polling } = driver;
  if (polling !== null) {
    const pollsPerInspection = Math.round(inspectEveryMs / polling.everyMs);
    const pollAndInspect = async (polls: number, ended: AbortSignal): Promise<void> => {
      await polling.poll(polls, ended);
      if (polls % pollsPerInspection === 0) await fileSync.inspect();
    };
    opened.use(startPolling({ everyMs: polling.everyMs, poll: pollAndInspect }, onError, signal));
  }
  return new Managed(driver, {
    newest,
    policy,
    fileSync,
    now: clock,
    atEnd: opened.move(),
  });
}

type Parts = {
  readonly newest: { config: DriverOptions['config'] };
  readonly policy: ReloadPolicy;
  readonly fileSync: ConfigFileSync;
  readonly now: () => Moment;
  readonly atEnd: AsyncDisposableStack;
};

class Managed implements ManagedDriver {
  readonly #driver: Driver;
  readonly #parts: Parts;

  constructor(driver: Driver, parts: Parts) {
    this.#driver = driver;
    this.#parts = parts;
  }

  get version(): Version | null {
    return this.#driver.version;
  }

  get found(): readonly Section[] | null {
    return this.#driver.found;
  }

  get running(): Running | null {
    return this.#driver.active?.running ?? null;
  }

  get forced(): readonly ReloadReason[] {
    return this.#driver.forced;
  }

  get oldWorkers(): readonly OldWorkerView[] {
    return this.#driver.oldWorkers;
  }

  get runtime(): Runtime | null {
    return this.#driver.active?.worker ?? null;
  }

  get followers(): readonly Runtime[] {
    return this.#driver.followers;
  }

  get unresponsive(): Trouble | null {
    return this.#driver.unresponsive;
  }

  get masterTrouble(): Trouble | null {
    return this.#driver.masterTrouble;
  }

  get crash(): Crash | null {
    return this.#parts.policy.crash;
  }

  get fileTrouble(): Trouble | null {
    return this.#parts.fileSync.trouble;
  }

  use(config: DriverOptions['config']): void {
    this.#parts.newest.config = config;
  }

  reloadAt({ sections }: Rendered, since: Moment): ReloadSlot {
    const { reload, haproxy } = this.#parts.newest.config;
    // With `control: none` a reload only writes the file, so it keeps no interval.
    const isStart = this.#driver.active === null || haproxy.control === 'none';
    return this.#parts.policy.slot(reload, sections, { since, isStart, oldWorkers: this.#driver.leaving });
  }

  async apply(wanted: Rendered, plan: Plan, signal: AbortSignal): Promise<Outcome> {
    const { sections } = wanted;
    if (plan.kind === 'reload') return this.#reload(sections, plan.reasons, signal);
    const worker = this.#driver.active?.worker ?? null;
    if (worker === null)
      return isBlank(sections) ? refusedAsEmpty : this.#driver.update(sections).catch(asFailed(signal));
    const isNew = !sameText(sections, worker.running.sections);
    const commands = plan.kind === 'runtime' ? plan.commands : [];
    const coming = backendsAdded(commands, wanted);
    const settle = coming.length === 0 ? null : this.#parts.fileSync.announce(coming);
    const outcome = await worker.applyCommands(commands, wanted);
    if (outcome.kind === 'applied' || outcome.kind === 'superseded') settle?.();
    // Another process has begun to serve meanwhile.
    if (this.#driver.active?.worker !== worker) return { kind: 'superseded' };
    if (outcome.kind === 'applied' && isNew) this.#parts.fileSync.note();
    return outcome;
  }

  check({ sections }: Rendered, signal: AbortSignal): Promise<readonly Problem[]> {
    // The check puts the tested files in their real places: the file sync must not write there meanwhile.
    return this.#parts.fileSync.during(() => this.#driver.check(sections, signal));
  }

  stop(): Promise<void> {
    return this.#driver.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.atEnd.disposeAsync();
  }

  /** Throws only where `signal` has aborted. */
  async #reload(sections: readonly Section[], reasons: readonly ReloadReason[], signal: AbortSignal): Promise<Outcome> {
    const { policy, fileSync, now: clock } = this.#parts;
    const isStart = this.#driver.active === null;
    const startedAt = performance.now();
    const outcome = isBlank(sections)
      ? refusedAsEmpty
      : await fileSync.during(() => this.#driver.replace(sections, reasons, signal)).catch(asFailed(signal));
    if (outcome.kind === 'applied') {
      policy.succeeded(clock(), { isStart });
      return { ...outcome, tookMs: performance.now() - startedAt };
    }
    if (outcome.kind !== 'superseded') policy.failed(sections, clock());
    return outcome;
  }
}

function backendsAdded(commands: readonly RuntimeCommand[], { sections }: Rendered): readonly Section[] {
  const names = new Set(
    commands.flatMap((command) => (command.kind === 'backend' && command.action === 'add' ? [command.backend] : [])),
  );
  return names.size === 0 ? [] : sections.filter(({ kind, name }) => kind === 'backend' && names.has(name));
}

const refusedAsEmpty: Outcome = { kind: 'refused', problems: [emptyConfig] };

/** Rethrows when Myelin is stopping: work that the signal aborts has not failed. */
function asFailed(signal: AbortSignal): (error: unknown) => Outcome {
  return (error) => {
    if (signal.aborted) throw signal.reason;
    return { kind: 'failed', error: asAppError(error), problems: [] };
  };
}
