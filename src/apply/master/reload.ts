/**
 * Replaces the serving worker, where its master runs elsewhere: propose, examine, accept, reload, find the new worker.
 * Whatever fails, the old worker keeps serving and its file is put back in place; the place is never empty,
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
  /** The worker to replace; null where it is not known what runs. */
  readonly serving: MasterServing | null;
  readonly version: Version | null;
  /** HAProxy's executable on this machine, if there is one. */
  readonly binary: Binary | null;
  /** The master's. */
  readonly socket: string;
  readonly ask: Ask;
  readonly config: Pick<Config, 'haproxy' | 'reload' | 'state'>;
  readonly file: ConfigFile;
  /** For work whose failure must neither undo nor prevent an apply. */
  readonly tolerate: (work: Promise<unknown>) => Promise<void>;
  readonly signal: AbortSignal;
};

export type MasterReplaced =
  /** A new worker serves `sections`; the file is still to be committed. */
  | { readonly kind: 'serves'; readonly info: Info }
  /**
   * The old sections keep serving, or it is unknown what serves. `other` is a worker that came up anyway: with the old
   * file (`isBefore`), or with a file that Myelin does not know.
   */
  | {
      readonly kind: 'not';
      readonly outcome: Outcome;
      readonly other: { readonly info: Info; readonly isBefore: boolean } | null;
    };

/** Giving up does not end HAProxy's attempt, so Myelin waits long before it gives up. */
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
  // Where there was no old file, the refused file stays: no file at all would be worse.
  await (hadFile ? file.rejectAccepted() : file.commit());
  if (reloaded instanceof AppError) {
    await tolerate(forgetHealth(config));
    throw reloaded;
  }
  const other = reloaded.other === null && hadFile ? await leaveWaitMode(replacement) : reloaded.other;
  await tolerate(forgetHealth(config));
  return { ...reloaded, other };
}

/** Tells HAProxy to reload, and leaves the file in place. */
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
  // HAProxy may skip a backend inside an `.if`.
  const sure = placedLines(sections).filter(({ text, isConditional }) => !isConditional && /^\s*backend\s/.test(text));
  const wanted = sure.filter(({ section }) => section.kind === 'backend' && !/^\s*disabled\b/m.test(section.text));
  return wanted.find(({ section }) => !has.has(section.name))?.section.name ?? null;
}

/** Checks the file with a binary on this machine; returns nothing where there is no binary of that branch. */
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
  // Where HAProxy is in another network, or its addresses are not known, only HAProxy can test the addresses.
  if (serving === null || !(await sharesNetwork(socket))) return problems;
  return [
    ...problems,
    ...(await preflight(sections, serving.worker.sections, { handingOn: serving.worker.pid, fdLimit: null })).problems,
  ];
}

/**
 * Up to 2.5 a master that failed to reload may end, with all its workers, when it fails again in another way. With the
 * old file the reload succeeds, and the master is as before.
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
