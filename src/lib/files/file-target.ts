/**
 * A file that a program reads, made live: it is checked before it counts, written so that a crash leaves the old bytes or
 * the new ones, and announced to its reader. Each announcement is recorded: a restart neither repeats nor forgets one.
 */
import { describe } from '../../errors.ts';
import { type CommandLimits, describeExit, lastLines, runCommand } from '../command.ts';
import type { ConfigFile } from './config-file.ts';
import type { FileBeside } from './files-beside.ts';

/** A program and its arguments, `{file}` among them for the file that it is about; null: none. */
type Command = readonly string[] | null;

export type FileTarget = Omit<CommandLimits, 'signal'> & {
  readonly file: ConfigFile;
  /** What stands beside it. */
  readonly beside?: readonly FileBeside[];
  readonly check: Command;
  /** What `check` looks at: the file before it is in its place, or the place, where no other can be looked at. */
  readonly checked: 'candidate' | 'place';
  readonly reload: Command;
  /** Where it fails: the file from before is put back; or the new one stays, for the next start of the reader. */
  readonly failedReload: 'put_back' | 'leave';
  /** Writes down that the reader has been told of this text. */
  readonly noteLive: (text: string) => Promise<void>;
  /** Whether that was written down last. */
  readonly isLive: (text: string) => Promise<boolean>;
  /** Forgets that: it is not known any more which text the reader has. */
  readonly forgetLive: () => Promise<void>;
};

type Step = 'check' | 'reload';

/** `reason` is for people: how the command ended, and what it said last. */
export type FailedStep = {
  readonly step: Step;
  /** As it was run, about the file at `path`. */
  readonly argv: readonly string[];
  readonly path: string;
  readonly reason: string;
  /** The part of `reason` that does not depend on what the command printed: two failures alike have the same. */
  readonly ending: string;
} & ({ readonly kind: 'failed'; readonly output: string } | { readonly kind: 'not_run'; readonly cause: unknown });

/** null: it is. Where it fails before it is committed, and where it is broken off, the file before is in its place. */
export async function makeLive(target: FileTarget, text: string, signal: AbortSignal): Promise<FailedStep | null> {
  const { file, checked, failedReload } = target;
  await file.propose(text, target.beside);
  const refused = checked === 'candidate' ? await runStep(target, 'check', file.candidate, signal) : null;
  if (refused !== null) {
    await file.reject();
    return refused;
  }
  await file.accept();
  const run = (step: Step): Promise<FailedStep | null> => runStep(target, step, file.path, signal);
  const tryInPlace = async (): Promise<FailedStep | null> =>
    (checked === 'place' ? await run('check') : null) ?? (failedReload === 'put_back' ? await run('reload') : null);
  const failed = await tryInPlace().catch(async (error: unknown) => {
    await putBack(target);
    throw error;
  });
  if (failed !== null) await file.rejectAccepted();
  // The new file is live, whatever keeps the old one beside it: the next change removes it, or fails and says why.
  else await file.commit().catch(() => {});
  const failedAtLast = failed ?? (failedReload === 'leave' ? await run('reload') : null);
  if (failedAtLast === null) await target.noteLive(text);
  return failedAtLast;
}

/** null where it succeeds, or there is no such command. */
export async function runStep(
  target: Pick<FileTarget, Step | 'timeoutMs' | 'env' | 'endsChildren'>,
  step: Step,
  path: string,
  signal?: AbortSignal,
): Promise<FailedStep | null> {
  const argv = target[step]?.map((word) => word.replaceAll('{file}', path)) ?? null;
  if (argv === null) return null;
  const about = { step, argv, path };
  try {
    const finished = await runCommand(argv, { ...target, signal });
    if (finished.status === 0) return null;
    const output = `${finished.stderr}\n${finished.stdout}`;
    const words = lastLines(output);
    const ending = describeExit(finished);
    return { kind: 'failed', ...about, ending, reason: ending + (words && `: ${words}`), output };
  } catch (cause) {
    signal?.throwIfAborted();
    const reason = `cannot be run: ${describe(cause)}`;
    return { kind: 'not_run', ...about, ending: reason, reason, cause };
  }
}

/**
 * Called once at the start. Returns whether the file from before was put back: Myelin was killed before it was decided which
 * of the two stays, and the reader is not known to have the new one.
 */
export async function recover(target: Pick<FileTarget, 'file' | 'isLive' | 'forgetLive'>): Promise<boolean> {
  const { file, isLive } = target;
  await file.discard();
  if (!(await file.isUncommitted())) return false;
  const text = await file.read();
  if (text !== null && (await isLive(text))) {
    await file.commit().catch(() => {});
    return false;
  }
  await putBack(target);
  return true;
}

/** The reader may have seen the other one. */
async function putBack({ file, forgetLive }: Pick<FileTarget, 'file' | 'forgetLive'>): Promise<void> {
  try {
    await forgetLive();
  } finally {
    await file.putBack();
  }
}
