/** One file as a target: made of the catalog, with a hash of the text that its reader was last told to read. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, describe, hasCode } from '../errors.ts';
import { configFile } from '../lib/files/config-file.ts';
import { type FailedStep, type FileTarget, makeLive, recover, runStep } from '../lib/files/file-target.ts';
import { makeFolder, readIfPossible, writeDurably, writeFailed } from '../lib/files/files.ts';
import type { Ms } from '../model.ts';
import type { ServiceView, Target, TargetOutcome } from './target.ts';

/** One output, as the config and its template define it. */
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

/** `toldFile` holds the hash of the text that the reader was last told to read. */
export function outputTarget(output: Output, toldFile: string): Target<string> {
  const { name, path, mode, check, reload } = output;
  const file = configFile(path, { mode, isAmongOthers: true });
  const checked = check === null || takesCandidate(check) ? 'candidate' : 'place';
  const target: FileTarget = {
    ...output,
    file,
    checked,
    failedReload: 'leave',
    endsChildren: true,
    async noteLive(text) {
      await makeFolder(dirname(toldFile));
      await writeDurably(toldFile, hashLine(text));
    },
    isLive: isTold,
    forgetLive: () => rm(toldFile, { force: true }),
  };
  let isRecovered = false;
  /** Hash of the text that was in place when `reconcile` last succeeded. */
  let placed: string | null = null;
  return { name, render: (view) => renderOutput(output, view), reconcile, isIntact };

  async function reconcile(text: string, signal: AbortSignal): Promise<TargetOutcome> {
    try {
      if (!isRecovered) await recover(target);
      isRecovered = true;
      const isUnchanged = await isLive(text);
      if (!isUnchanged) await makeFolder(dirname(path), 0o755);
      const failed = isUnchanged ? null : await makeLive(target, text, signal);
      if (failed !== null)
        return { kind: 'failed', step: failed.step, error: outputError(output, failed), key: failed.ending };
      placed = hashLine(text);
      return { kind: isUnchanged ? 'unchanged' : 'changed' };
    } catch (error) {
      signal.throwIfAborted();
      const failed = error instanceof AppError ? error : writeFailed(path, error);
      return { kind: 'failed', step: 'write', error: failed, key: describe(failed) };
    }
  }

  async function isIntact(): Promise<boolean> {
    if (placed === null) return true;
    try {
      const text = await readOutput(output);
      return text !== null && hashLine(text) === placed && ((await stat(path)).mode & 0o777) === mode;
    } catch {
      // The next `reconcile` reports what is wrong.
      return false;
    }
  }

  async function isLive(text: string): Promise<boolean> {
    if ((await readOutput(output)) !== text) return false;
    // Without a command to run, the reader sees the file as it is.
    const needsTelling = reload !== null || checked === 'place';
    if (needsTelling && !(await isTold(text))) return false;
    // The config may ask for another mode than before.
    if (((await stat(path)).mode & 0o777) !== mode) await chmod(path, mode);
    return true;
  }

  async function isTold(text: string): Promise<boolean> {
    return (await readIfPossible(toldFile))?.toString('utf8') === hashLine(text);
  }
}

/**
 * The text at the path of an output; null where there is no file. Throws an AppError where something else stands there:
 * to open a pipe would wait for ever for a program at its other end.
 */
export async function readOutput({ name, path }: Pick<Output, 'name' | 'path'>): Promise<string | null> {
  const stats = await stat(path).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw writeFailed(path, error);
  });
  if (stats === null) return null;
  if (!stats.isFile())
    throw new AppError('MYELIN_OUTPUT_FAILED', `output ${name}: ${path} is not a regular file`, {
      remedy: 'remove what stands there, or choose another `path`: Myelin replaces the file at this path as a whole',
    });
  // It may have become a pipe by now.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return await file.readFile('utf8');
}

function hashLine(text: string): string {
  return `${createHash('sha256').update(text).digest('hex')}\n`;
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

/** Runs the check on a file elsewhere. Throws an AppError where the check refuses it. */
export async function checkElsewhere(output: Output, path: string): Promise<void> {
  const failed = await runStep({ ...output, endsChildren: true }, 'check', path);
  if (failed !== null) throw outputError(output, failed);
}

function outputError(output: Output, { step, reason }: FailedStep): AppError {
  const command = output[step]?.join(' ');
  return new AppError('MYELIN_OUTPUT_FAILED', `output ${output.name}: \`${command}\` (${step}): ${reason}`, {
    remedy:
      step === 'check'
        ? `the file before it stays; what was refused is kept beside it as \`.NAME.rejected\``
        : 'the new file is in its place; the command is run again until it succeeds',
  });
}

export function takesCandidate(command: readonly string[]): boolean {
  return command.some((word) => word.includes('{file}'));
}
