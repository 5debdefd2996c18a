/**
 * All that is the same whichever driver it is: the lock of the state folder, the policy of reloads and what became of
 * them, the config file that follows what commands have changed, polling, and the way out.
 */
import { dirname } from 'node:path';
import { certificatesFolder, lockFile, mapsFolder } from '../config/paths.ts';
import type { Version } from '../haproxy/binary/version.ts';
import { configFile } from '../lib/files/config-file.ts';
import { makeFolder } from '../lib/files/files.ts';
import { now } from '../lib/time/clock.ts';
import { startPolling } from '../lib/time/poll.ts';
import type { Moment, Ms, Plan, Problem, ReloadReason, Rendered, Section } from '../model.ts';
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
import { runtimeOf } from './runtime/apply-commands.ts';
import { isBlank } from './state/sections.ts';
import { acquireLock } from './system/lock.ts';

const inspectEveryMs: Ms = 2000;

/** Takes the lock of the state folder. `signal` ends the polling; disposing frees the lock. */
export async function manage(
  factory: DriverFactory,
  options: DriverOptions,
  signal: AbortSignal,
): Promise<ManagedDriver> {
  const { config, env, onEvent, onChange, whyNoTakeover, random = Math.random } = options;
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
    const driver = this.#driver;
    const worker = driver.active?.worker ?? null;
    if (worker === null) return null;
    return runtimeOf({
      worker,
      noteChange: () => this.#parts.fileSync.note(),
      serves: () => driver.active?.worker === worker,
      leaving: driver.followers,
    });
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
    // To write a file costs nobody anything.
    const isStart = this.#driver.active === null || haproxy.control === 'none';
    return this.#parts.policy.slot(reload, sections, { since, isStart, oldWorkers: this.#driver.leaving });
  }

  /** Throws only where `signal` has aborted. */
  async apply({ sections }: Rendered, plan: Plan, signal: AbortSignal): Promise<Outcome> {
    const { policy, now: clock } = this.#parts;
    const isStart = this.#driver.active === null;
    const startedAt = performance.now();
    const outcome = isBlank(sections)
      ? ({ kind: 'refused', problems: [emptyConfig] } as const)
      : await this.#carryOut(sections, plan, signal).catch((error: unknown) => failed(error, signal));
    if (plan.kind === 'reload' && outcome.kind !== 'superseded') {
      if (outcome.kind === 'applied') policy.succeeded(clock(), { isStart });
      else policy.failed(sections, clock());
    }
    return outcome.kind === 'applied' ? { ...outcome, tookMs: performance.now() - startedAt } : outcome;
  }

  check({ sections }: Rendered, signal: AbortSignal): Promise<readonly Problem[]> {
    // What is tried out stands in the places of files that follow commands.
    return this.#parts.fileSync.during(() => this.#driver.check(sections, signal));
  }

  stop(): Promise<void> {
    return this.#driver.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.atEnd.disposeAsync();
  }

  async #carryOut(sections: readonly Section[], plan: Plan, signal: AbortSignal): Promise<Outcome> {
    if (plan.kind === 'reload')
      return this.#parts.fileSync.during(() => this.#driver.replace(sections, plan.reasons, signal));
    const commands = plan.kind === 'runtime' ? plan.commands : [];
    return this.runtime?.applyCommands(commands, { sections }) ?? this.#driver.update(sections);
  }
}

function failed(error: unknown, signal: AbortSignal): Outcome {
  if (signal.aborted) throw signal.reason;
  return { kind: 'failed', error: asAppError(error), problems: [] };
}
