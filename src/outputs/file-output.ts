/**
 * One file as a target: checked before it counts, written so that a crash leaves the old bytes or the new ones, and told to
 * whoever reads it. That it was told is written down, so that no restart tells it again, and none forgets to.
 */
import { createHash } from 'node:crypto';
import { chmod, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, describe } from '../errors.ts';
import { describeExit, lastLines, runCommand } from '../lib/command.ts';
import { configFile } from '../lib/files/config-file.ts';
import { makeFolder, readIfThere, writeDurably, writeFailed } from '../lib/files/files.ts';
import type { Ms } from '../model.ts';
import type { ServiceView, Target, TargetOutcome } from './target.ts';

/** What the config and its templates come to. */
export type Output = {
  readonly name: string;
  readonly path: string;
  readonly mode: number;
  /** Program and arguments; null: none. `{file}` among them is the file that is checked before it is in its place. */
  readonly check: readonly string[] | null;
  readonly reload: readonly string[] | null;
  readonly timeoutMs: Ms;
  readonly minIntervalMs: Ms;
  /** Throws an AppError where the template fails. */
  readonly render: (view: ServiceView) => string;
};

/** `toldFile` holds the hash of what the reader has been told of. */
export function fileTarget(output: Output, toldFile: string): Target<string> {
  const { name, path, mode, check, reload } = output;
  const file = configFile(path, { mode, isAmongOthers: true });
  let isRecovered = false;
  return { name, render: (view) => renderOutput(output, view), reconcile };

  async function reconcile(text: string, signal: AbortSignal): Promise<TargetOutcome> {
    try {
      return await attempt(text, signal);
    } catch (error) {
      signal.throwIfAborted();
      const failed = error instanceof AppError ? error : writeFailed(path, error);
      return { kind: 'failed', step: 'write', error: failed };
    }
  }

  async function attempt(text: string, signal: AbortSignal): Promise<TargetOutcome> {
    if (!isRecovered) await recover();
    isRecovered = true;
    const hash = createHash('sha256').update(text).digest('hex');
    const isInPlace = (await file.read()) === text;
    if (isInPlace && (isToldAtOnce(output) || (await toldHash()) === hash)) {
      await keepMode();
      return { kind: 'unchanged' };
    }
    if (!isInPlace) {
      const refused = await putInPlace(text, signal);
      if (refused !== null) return refused;
    } else if (check !== null && !takesCandidate(check)) {
      const problem = await problemOf(check, path, signal);
      if (problem !== null) return failed('check', check, problem);
    }
    const problem = reload === null ? null : await problemOf(reload, path, signal);
    if (reload !== null && problem !== null) return failed('reload', reload, problem);
    await makeFolder(dirname(toldFile));
    await writeDurably(toldFile, `${hash}\n`);
    return { kind: 'changed' };
  }

  /** Where it is refused, the one before stands in its place still, or again. */
  async function putInPlace(text: string, signal: AbortSignal): Promise<TargetOutcome | null> {
    await makeFolder(dirname(path), 0o755);
    await file.propose(text);
    if (check !== null && takesCandidate(check)) {
      const problem = await problemOf(check, file.candidate, signal);
      if (problem !== null) {
        await file.reject();
        return failed('check', check, problem);
      }
    }
    await file.accept();
    if (check !== null && !takesCandidate(check)) {
      const problem = await problemOf(check, path, signal).catch(async (error: unknown) => {
        await file.putBack();
        throw error;
      });
      if (problem !== null) {
        await file.rejectAccepted();
        return failed('check', check, problem);
      }
    }
    await file.settle();
    return null;
  }

  /** Killed while the new file was checked in its place: the one before is good, and its reader may have seen the other. */
  async function recover(): Promise<void> {
    await file.discard();
    if (!(await file.isUnsettled())) return;
    await file.putBack();
    await rm(toldFile, { force: true });
  }

  async function toldHash(): Promise<string | null> {
    return (await readIfThere(toldFile))?.toString('utf8').trim() ?? null;
  }

  /** The config may ask for another one. */
  async function keepMode(): Promise<void> {
    const { mode: itsMode } = await stat(path);
    if ((itsMode & 0o777) !== mode) await chmod(path, mode);
  }

  function problemOf(argv: readonly string[], checked: string, signal: AbortSignal): Promise<string | null> {
    return runOn(argv, checked, output.timeoutMs, signal);
  }

  function failed(step: 'check' | 'reload', argv: readonly string[], problem: string): TargetOutcome {
    return { kind: 'failed', step, error: outputError(name, step, argv, problem) };
  }
}

/** Throws an AppError where the template fails, or an encoder refuses what its place cannot hold. */
export function renderOutput({ name, render }: Pick<Output, 'name' | 'render'>, view: ServiceView): string {
  try {
    return render(view);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('MYELIN_OUTPUT_FAILED', `output ${name}: ${describe(error)}`, { cause: error });
  }
}

export function outputError(
  name: string,
  step: 'check' | 'reload',
  argv: readonly string[],
  problem: string,
): AppError {
  return new AppError('MYELIN_OUTPUT_FAILED', `output ${name}: \`${argv.join(' ')}\` (${step}): ${problem}`, {
    remedy:
      step === 'check'
        ? `the file before it stays; what was refused is kept beside it as \`.NAME.rejected\``
        : 'the new file is in its place; the command is run again until it succeeds',
  });
}

/** Nobody has to be told of it: what stands in its place is known to its reader. */
function isToldAtOnce({ check, reload }: Output): boolean {
  return reload === null && (check === null || takesCandidate(check));
}

export function takesCandidate(argv: readonly string[]): boolean {
  return argv.some((word) => word.includes('{file}'));
}

/** What the program complains about, or why it cannot be run; null where it succeeds. */
export async function runOn(
  argv: readonly string[],
  path: string,
  timeoutMs: Ms,
  signal?: AbortSignal,
): Promise<string | null> {
  const words = argv.map((word) => word.replaceAll('{file}', path));
  try {
    const finished = await runCommand(words, { timeoutMs, signal, endsChildren: true });
    if (finished.status === 0) return null;
    const output = lastLines(`${finished.stderr}\n${finished.stdout}`);
    return output === '' ? describeExit(finished) : `${describeExit(finished)}: ${output}`;
  } catch (error) {
    signal?.throwIfAborted();
    return `cannot be run: ${describe(error)}`;
  }
}
