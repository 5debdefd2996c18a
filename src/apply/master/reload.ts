/**
 * Replaces the worker that serves, where its master runs elsewhere: propose, examine, accept, reload, look who came up.
 * Whatever fails, the worker from before serves on and its file is put back in its place; the place is never empty,
 * because HAProxy 3.2 ends altogether when it is told to reload without a file.
 */
import type { Config } from '../../config/schema.ts';
import { AppError } from '../../errors.ts';
import type { Binary } from '../../haproxy/binary/binary.ts';
import { checkConfig, parseAlerts } from '../../haproxy/binary/check.ts';
import { atLeast, sameBranch, type Version } from '../../haproxy/binary/version.ts';
import type { Ask } from '../../haproxy/cli/ask.ts';
import { type Info, parseServersState } from '../../haproxy/cli/info.ts';
import { prefixOf, readWorkerInfo, reloadMaster } from '../../haproxy/cli/master.ts';
import { layoutOf, placedLines } from '../../haproxy/text/layout/layout.ts';
import type { ConfigFile } from '../../lib/files/config-file.ts';
import type { Ms, Problem, Section } from '../../model.ts';
import { preflight } from '../checks/preflight.ts';
import type { Outcome } from '../driver.ts';
import { forgetHealth, noteHealth } from '../files/health-file.ts';
import { asAppError, startFailed, toProblems } from '../problems.ts';
import { sharesNetwork } from '../system/same-network.ts';
import type { MasterServing } from './serving.ts';

export type MasterReplacement = {
  readonly sections: readonly Section[];
  /** What it is to be reloaded from; null where it is not known what runs. */
  readonly serving: MasterServing | null;
  readonly version: Version | null;
  /** HAProxy's executable on this machine, if there is one. */
  readonly binary: Binary | null;
  /** The master's. */
  readonly socket: string;
  readonly ask: Ask;
  readonly config: Pick<Config, 'haproxy' | 'reload' | 'state'>;
  readonly file: ConfigFile;
  /** For what must neither undo an apply nor keep one from happening. */
  readonly tolerate: (work: Promise<unknown>) => Promise<void>;
  readonly signal: AbortSignal;
};

export type MasterReplaced =
  /** A new worker serves `sections`; the file is still to be settled. */
  | { readonly kind: 'serves'; readonly info: Info }
  /**
   * The old sections serve on, or nobody knows what does. `other` is a worker that came up all the same: with the old
   * file where that is so (`isBefore`), else with none that Myelin knows.
   */
  | {
      readonly kind: 'not';
      readonly outcome: Outcome;
      readonly other: { readonly info: Info; readonly isBefore: boolean } | null;
    };

/** To give up does not end HAProxy's attempt, so it has to be a long one before that is of any use. */
const shortestWaitMs: Ms = 60_000;

export async function replaceWorker(replacement: MasterReplacement): Promise<MasterReplaced> {
  const { sections, file, config, tolerate } = replacement;
  const { text, files } = layoutOf(sections);
  await file.propose(text, files);
  const problems = await examine(replacement);
  if (problems.length > 0) {
    await file.reject();
    return { kind: 'not', outcome: { kind: 'refused', problems }, other: null };
  }
  await noteServersDown(replacement);
  const hadFile = (await file.read()) !== null;
  await file.accept();
  const reloaded = await reload(replacement).catch(asAppError);
  if (!(reloaded instanceof AppError) && reloaded.kind === 'serves') {
    await tolerate(forgetHealth(config));
    return reloaded;
  }
  // Without a file from before, what was refused stays: a place that is empty would be worse.
  await (hadFile ? file.rejectAccepted() : file.settle());
  if (reloaded instanceof AppError) {
    await tolerate(forgetHealth(config));
    throw reloaded;
  }
  const other = reloaded.other === null && hadFile ? await leaveWaitMode(replacement) : reloaded.other;
  await tolerate(forgetHealth(config));
  return { ...reloaded, other };
}

/** HAProxy is told, and the file stays where it is. */
async function reload({ sections, file, socket, ask, config }: MasterReplacement): Promise<MasterReplaced> {
  const reloaded = await reloadMaster(socket, { timeoutMs: timeoutFor(config) });
  if (reloaded.kind === 'failed') {
    const outcome = startFailed({ why: reloaded.why, complaints: parseAlerts(reloaded.words) }, sections, file.path);
    return { kind: 'not', outcome, other: null };
  }
  const info = await readWorkerInfo(socket, reloaded.pid);
  if (info === null) throw new AppError('MYELIN_HAPROXY_FAILED', `the new worker ${reloaded.pid} ended at once`);
  const missing = await missingBackend(ask, info.pid, sections);
  if (missing === null) return { kind: 'serves', info };
  return { kind: 'not', outcome: readsAnother(file.path, missing), other: { info, isBefore: false } };
}

function timeoutFor({ reload: { startTimeout } }: MasterReplacement['config']): Ms {
  return Math.max(startTimeout, shortestWaitMs);
}

async function noteServersDown(replacement: MasterReplacement): Promise<void> {
  const { serving, ask } = replacement;
  const readState =
    serving === null ? null : async () => parseServersState(await ask(`${prefixOf(serving.id.pid)}show servers state`));
  await noteHealth({ ...replacement, running: serving?.worker.sections ?? [], readState });
}

/** The first backend of `sections` that the worker does not have; null where it was started with a file that has them. */
export async function missingBackend(ask: Ask, pid: number, sections: readonly Section[]): Promise<string | null> {
  const has = new Set((await ask(`${prefixOf(pid)}show backend`)).split('\n'));
  // One that stands in an `.if` may be left out.
  const sure = placedLines(sections).filter(({ text, isConditional }) => !isConditional && /^\s*backend\s/.test(text));
  const wanted = sure.filter(({ section }) => section.kind === 'backend' && !/^\s*disabled\b/m.test(section.text));
  return wanted.find(({ section }) => !has.has(section.name))?.section.name ?? null;
}

/** What a binary on this machine says of the file; nothing where there is none of that branch to ask. */
export async function checkHere(
  binary: Binary | null,
  version: Version | null,
  { sections, file, config, signal }: Pick<MasterReplacement, 'sections' | 'file' | 'config' | 'signal'>,
): Promise<{ readonly isChecked: boolean; readonly problems: readonly Problem[] }> {
  if (binary === null || (version !== null && !sameBranch(binary.version, version)))
    return { isChecked: false, problems: [] };
  const limits = { timeoutMs: config.reload.startTimeout, signal, passEnv: config.haproxy.passEnv };
  const complaints = await checkConfig(binary.path, [file.candidate], limits);
  return { isChecked: true, problems: toProblems(complaints, sections, [file.candidate]) };
}

async function examine(replacement: MasterReplacement): Promise<readonly Problem[]> {
  const { sections, serving, version, binary, socket } = replacement;
  const { problems } = await checkHere(binary, version, replacement);
  // Where HAProxy is in another network, or it is not known what it holds, only HAProxy can try.
  if (serving === null || !(await sharesNetwork(socket))) return problems;
  return [
    ...problems,
    ...(await preflight(sections, serving.worker.sections, { handingOn: serving.worker.pid, fdLimit: null })).problems,
  ];
}

/**
 * Up to 2.5 a master that failed to reload may end, with all its workers, when it fails again in another way. With the
 * old file it succeeds, and is as before.
 */
async function leaveWaitMode({
  version,
  socket,
  config,
  tolerate,
}: MasterReplacement): Promise<Extract<MasterReplaced, { kind: 'not' }>['other']> {
  if (version === null || atLeast(version, 2, 6)) return null;
  const back = reloadMaster(socket, { timeoutMs: timeoutFor(config) });
  await tolerate(back);
  const reloaded = await back.catch(() => null);
  const info = reloaded?.kind === 'loaded' ? await readWorkerInfo(socket, reloaded.pid) : null;
  return info === null ? null : { info, isBefore: true };
}

function readsAnother(file: string, backend: string): Outcome {
  const error = new AppError(
    'MYELIN_HAPROXY_FAILED',
    `HAProxy reloaded, but not from ${file}: it has no backend ${backend}`,
    { remedy: `start HAProxy with -f and this file, or let haproxy.config name the file that it reads` },
  );
  return { kind: 'failed', error, problems: [] };
}
