/**
 * Controls `command` and `none`: somebody else starts HAProxy. The file is written here; commands of the operator check
 * it and make HAProxy read it. What the last successful one made live is kept in `state`, so that a restart of Myelin
 * does not run it again.
 */
import { realpath } from 'node:fs/promises';
import { AppError } from '../../errors.ts';
import { findBinary } from '../../haproxy/binary/binary.ts';
import type { Version } from '../../haproxy/binary/version.ts';
import { tryOut } from '../../lib/files/config-file.ts';
import type { Problem, ReloadReason, Section } from '../../model.ts';
import type { Active, Driver, DriverContext, Outcome, Running } from '../driver.ts';
import { type Generation, recordIn } from '../state/generation.ts';
import { readSections, writeFirst, writeSections } from '../state/records.ts';
import { sectionsOf, textOf } from '../state/sections.ts';
import { complaintsOf } from './operator-command.ts';

export async function openExternalDriver(context: DriverContext, signal: AbortSignal): Promise<Driver> {
  const { config, env, file, onEvent } = context;
  const { haproxy, state } = config();
  const live = recordIn(await realpath(state));
  // Killed between writing and the command's success: HAProxy has the one or the other, so it is told again.
  const isUnsettled = await file.isUnsettled();
  if (isUnsettled) {
    await file.putBack();
    onEvent({ kind: 'file_restored', path: file.path });
  }
  const text = await file.read();
  const recorded = await readSections(live);
  const isLive = !isUnsettled && recorded !== null && textOf(recorded) === text;
  // Only its version is of use here, where it is the same as that of the HAProxy elsewhere.
  const binary = await findBinary(haproxy.binary, env.PATH, { signal }).catch(() => null);
  const found = text === null || isLive ? null : sectionsOf(text, null);
  return new ExternalDriver(context, { live, found, version: binary?.version ?? null }, isLive ? recorded : null);
}

type Parts = Pick<Driver, 'found' | 'version'> & {
  /** Where it is written down what went live last. */
  readonly live: Generation;
};

class ExternalDriver implements Driver {
  readonly found: readonly Section[] | null;
  readonly version: Version | null;
  readonly unresponsive = null;
  readonly oldWorkers = [];
  readonly leaving = 0;
  readonly followers = [];
  readonly polling = null;
  readonly #context: DriverContext;
  readonly #live: Generation;
  #running: Running | null = null;

  constructor(context: DriverContext, { live, found, version }: Parts, running: readonly Section[] | null) {
    this.#context = context;
    this.#live = live;
    this.found = found;
    this.version = version;
    if (running !== null) this.#setRunning(running);
  }

  get active(): Active | null {
    return this.#running === null ? null : { running: this.#running, worker: null, record: null };
  }

  get forced(): readonly ReloadReason[] {
    return this.#running === null ? [{ code: 'first_start' }] : [];
  }

  async update(sections: readonly Section[]): Promise<Outcome> {
    const { file } = this.#context;
    const isFirst = (await file.read()) === null;
    await file.write(textOf(sections));
    return this.#wentLive(sections, isFirst);
  }

  async replace(
    sections: readonly Section[],
    _reasons: readonly ReloadReason[],
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { file, config } = this.#context;
    const { control, reloadCommand } = config().haproxy;
    const isFirst = (await file.read()) === null;
    await file.propose(textOf(sections));
    const problems = await this.#examine(sections, signal);
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
      if (failed.length > 0) {
        await file.rejectAccepted();
        return reloadFailed(failed);
      }
    }
    return this.#wentLive(sections, isFirst);
  }

  async check(sections: readonly Section[], signal: AbortSignal): Promise<readonly Problem[]> {
    const { file, config } = this.#context;
    if (config().haproxy.checkCommand === undefined) return [];
    return tryOut(file, textOf(sections), () => this.#examine(sections, signal));
  }

  /** What was started elsewhere is ended elsewhere. */
  async stop(): Promise<void> {}

  /** What is not written down of what is live, HAProxy is told again by the next Myelin, and by no other. */
  async #wentLive(sections: readonly Section[], isFirst: boolean): Promise<Outcome> {
    const { file, tolerate } = this.#context;
    const live = this.#live;
    this.#setRunning(sections);
    const record = async (): Promise<void> => {
      await file.settle();
      await writeSections(live, sections);
      if (isFirst) await writeFirst(live, await file.stamp());
    };
    await tolerate(record());
    return { kind: 'applied', tookMs: 0 };
  }

  /** What the operator's command says of the candidate. */
  async #examine(sections: readonly Section[], signal: AbortSignal): Promise<readonly Problem[]> {
    const { file, config } = this.#context;
    const { checkCommand } = config().haproxy;
    return checkCommand === undefined ? [] : this.#run(checkCommand, file.candidate, sections, signal);
  }

  #run(
    command: readonly string[],
    path: string,
    sections: readonly Section[],
    signal: AbortSignal,
  ): Promise<readonly Problem[]> {
    const { config, env } = this.#context;
    return complaintsOf(command, { path, sections, config: config(), env, signal });
  }

  #setRunning(sections: readonly Section[]): void {
    const generation = (this.#running?.generation ?? 0) + 1;
    this.#running = { sections, generation, since: this.#context.now(), process: null };
  }
}

function reloadFailed(problems: readonly Problem[]): Outcome {
  const error = new AppError(
    'MYELIN_HAPROXY_FAILED',
    `haproxy.reloadCommand failed: ${problems.map(({ message }) => message).join('; ')}`,
    { remedy: 'run it by hand; the previous file is in its place again' },
  );
  return { kind: 'failed', error, problems };
}
