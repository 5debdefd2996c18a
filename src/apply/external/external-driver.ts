/**
 * Controls `command` and `none`: somebody else starts HAProxy. The file is written here; commands of the operator check
 * it and make HAProxy read it. What the last successful one made live is kept in `state`, so that a restart of Myelin
 * does not run it again.
 */
import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { lockFile } from '../../config/paths.ts';
import { AppError, describe } from '../../errors.ts';
import { type Binary, findBinary } from '../../haproxy/binary/binary.ts';
import { lastLines, parseAlerts } from '../../haproxy/binary/check.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import { now } from '../../lib/clock.ts';
import { describeExit, runCommand } from '../../lib/command.ts';
import { environmentFor } from '../../lib/environment.ts';
import { type ConfigFile, configFile, makeFolder, tryOut } from '../../lib/files.ts';
import type { Moment, Ms, Plan, Problem, ReloadReason, Rendered, Section } from '../../model.ts';
import { applying } from '../applying.ts';
import type { Driver, DriverOptions, OldWorkerView, Outcome, Running } from '../driver.ts';
import { forgetHealth } from '../files/health-file.ts';
import { type Generation, readSections, recordIn, writeFirst, writeSections } from '../generation.ts';
import { toProblems } from '../problems.ts';
import { ReloadPolicy } from '../reload-policy.ts';
import type { ReloadSlot } from '../reload-slot.ts';
import { sectionsOf, textOf } from '../sections.ts';
import { acquireLock } from '../system/lock.ts';

export async function openExternalDriver(options: DriverOptions, signal: AbortSignal): Promise<Driver> {
  const { haproxy, state: stateFolder } = options.config;
  await makeFolder(stateFolder);
  await using opened = new AsyncDisposableStack();
  opened.use(await acquireLock(lockFile(options.config)));
  await makeFolder(dirname(haproxy.config));
  const file = configFile(haproxy.config);
  const live = recordIn(await realpath(stateFolder));
  // Killed between writing and the command's success: HAProxy has the one or the other, so it is told again.
  const isUnsettled = await file.isUnsettled();
  if (isUnsettled) {
    await file.putBack();
    options.onEvent({ kind: 'file_restored', path: file.path });
  }
  const text = await file.read();
  const recorded = await readSections(live);
  const isLive = !isUnsettled && recorded !== null && textOf(recorded) === text;
  // Only its version is of use here, where it is the same as that of the HAProxy elsewhere.
  const binary = await findBinary(haproxy.binary, options.env.PATH, { signal }).catch(() => null);
  signal.throwIfAborted();
  await forgetHealth(options.config);
  const found = text === null || isLive ? null : sectionsOf(text, null);
  return new ExternalDriver(options, { file, live, found, binary }, isLive ? recorded : null, opened.move());
}

type Parts = {
  readonly file: ConfigFile;
  readonly live: Generation;
  readonly found: readonly Section[] | null;
  readonly binary: Binary | null;
};

class ExternalDriver implements Driver {
  readonly found: readonly Section[] | null;
  readonly version: Version | null;
  readonly oldWorkers: readonly OldWorkerView[] = [];
  readonly runtime = null;
  readonly fileTrouble = null;
  readonly unresponsive = null;
  readonly #options: DriverOptions;
  readonly #parts: Parts;
  readonly #policy: ReloadPolicy;
  readonly #atEnd: AsyncDisposableStack;
  #config: DriverOptions['config'];
  #running: Running | null = null;
  #generation = 0;

  constructor(options: DriverOptions, parts: Parts, live: readonly Section[] | null, atEnd: AsyncDisposableStack) {
    this.#options = options;
    this.#config = options.config;
    this.#parts = parts;
    this.#atEnd = atEnd;
    this.found = parts.found;
    this.version = parts.binary?.version ?? null;
    this.#policy = new ReloadPolicy(options.random ?? Math.random);
    if (live !== null) this.#setRunning(live);
  }

  get running(): Running | null {
    return this.#running;
  }

  get forced(): readonly ReloadReason[] {
    return this.#running === null ? [{ code: 'first_start' }] : [];
  }

  use(config: DriverOptions['config']): void {
    this.#config = config;
  }

  reloadAt({ sections }: Rendered, since: Moment): ReloadSlot {
    // Writing a file costs nobody anything.
    const isStart = this.#running === null || this.#config.haproxy.control === 'none';
    return this.#policy.slot(this.#config.reload, sections, { since, isStart, oldWorkers: 0 });
  }

  async apply({ sections }: Rendered, plan: Plan, signal: AbortSignal): Promise<Outcome> {
    const now = (): Moment => this.#now();
    const about = { sections, plan, policy: this.#policy, isStart: this.#running === null, now, signal };
    return applying(about, () => this.#attempt(sections, plan, signal));
  }

  async check({ sections }: Rendered, signal: AbortSignal): Promise<readonly Problem[]> {
    const { file } = this.#parts;
    const { checkCommand } = this.#config.haproxy;
    if (checkCommand === undefined) return [];
    return tryOut(file, textOf(sections), () => this.#run(checkCommand, file.candidate, sections, signal));
  }

  /** What was started elsewhere is ended elsewhere. */
  async stop(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#atEnd.disposeAsync();
  }

  async #attempt(sections: readonly Section[], plan: Plan, signal: AbortSignal): Promise<Outcome> {
    const { file, live } = this.#parts;
    const { control, checkCommand, reloadCommand } = this.#config.haproxy;
    const text = textOf(sections);
    const isFirst = (await file.read()) === null;
    if (plan.kind === 'reload') {
      await file.propose(text);
      const problems =
        checkCommand === undefined ? [] : await this.#run(checkCommand, file.candidate, sections, signal);
      if (problems.length > 0) {
        await file.reject();
        return { kind: 'refused', problems };
      }
      await file.accept();
      if (control === 'command' && reloadCommand !== undefined) {
        const failed = await this.#run(reloadCommand, file.path, sections, signal).catch(async (error: unknown) => {
          await file.putBack();
          throw error;
        });
        if (failed.length > 0) return this.#reloadFailed(failed);
      }
    } else await file.write(text);
    // It is live: what is not written down of that has HAProxy told again by the next Myelin, and by no other.
    this.#setRunning(sections);
    await file
      .settle()
      .then(() => writeSections(live, sections))
      .then(async () => isFirst && writeFirst(live, await file.stamp()))
      .catch((error: unknown) => this.#options.onEvent({ kind: 'trouble', error }));
    return { kind: 'applied', tookMs: 0 };
  }

  async #reloadFailed(problems: readonly Problem[]): Promise<Outcome> {
    await this.#parts.file.rejectAccepted();
    const error = new AppError(
      'MYELIN_HAPROXY_FAILED',
      `haproxy.reloadCommand failed: ${problems.map(({ message }) => message).join('; ')}`,
      { remedy: 'run it by hand; the previous file is in its place again' },
    );
    return { kind: 'failed', error, problems };
  }

  /** What the command complains about; nothing where it succeeds. */
  async #run(
    command: readonly string[],
    path: string,
    sections: readonly Section[],
    signal: AbortSignal,
  ): Promise<readonly Problem[]> {
    const argv = command.map((word) => word.replaceAll('{file}', path));
    const { reload, haproxy } = this.#config;
    const timeoutMs: Ms = reload.startTimeout;
    const env = await environmentFor(this.#options.env, [path], haproxy.passEnv);
    const finished = await runCommand(argv, { timeoutMs, signal, env }).catch((cause: unknown) => {
      if (signal.aborted) throw cause;
      throw new AppError('MYELIN_HAPROXY_UNAVAILABLE', `${argv[0]} cannot be run: ${describe(cause)}`, {
        cause,
        remedy: 'haproxy.checkCommand and haproxy.reloadCommand name the program first, then its arguments; no shell',
      });
    });
    if (finished.status === 0) return [];
    const output = `${finished.stderr}\n${finished.stdout}`;
    const problems = toProblems(parseAlerts(output), sections, [path]);
    if (problems.length > 0) return problems;
    return [{ message: `${argv.join(' ')}: ${describeExit(finished)}: ${lastLines(output)}`, service: null }];
  }

  #setRunning(sections: readonly Section[]): Running {
    this.#generation += 1;
    this.#running = { sections, generation: this.#generation, since: this.#now(), process: null };
    return this.#running;
  }

  #now(): Moment {
    return (this.#options.now ?? now)();
  }
}
