/** What `run` would meet with a config: what HAProxy says of it, and what this machine refuses. Disturbs nothing that runs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { preflight } from '../../apply/checks/preflight.ts';
import { findForeign } from '../../apply/foreign.ts';
import { toProblems } from '../../apply/problems.ts';
import type { Observed } from '../../apply/state/observe.ts';
import { foldersOf, handedOnSocket } from '../../config/paths.ts';
import { maskText } from '../../config/read/mask.ts';
import type { Config } from '../../config/schema.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import { type Binary, findBinary } from '../../haproxy/binary/binary.ts';
import { askForOpinion, type Complaint } from '../../haproxy/binary/check.ts';
import { atOtherPaths, filesIn } from '../../haproxy/text/layout/files.ts';
import { textOf } from '../../haproxy/text/layout/layout.ts';
import { notOurs } from '../../haproxy/text/own-process.ts';
import { tryListeners } from '../../http/listen.ts';
import { assertWritable, isThere } from '../../lib/files/files.ts';
import type { Problem, Section } from '../../model.ts';
import { problemLines } from '../../report/text/problem-text.ts';
import { located, type Settings } from '../../settings/settings.ts';

export type Opinion = {
  /** In words. */
  readonly haproxy: string;
  readonly warnings: readonly string[];
  /** null: HAProxy takes it. */
  readonly error: AppError | null;
};

export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'myelin-check-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** HAProxy's own opinion. Where HAProxy is elsewhere, its absence here is no fault: else throws MYELIN_HAPROXY_UNAVAILABLE. */
export async function askHaproxy(settings: Settings, sections: readonly Section[], folder: string): Promise<Opinion> {
  const { control, binary: name, passEnv } = settings.config.haproxy;
  const binary = await binaryFor(settings.config);
  if (binary === null) {
    const haproxy = `not checked by HAProxy: there is no ${name} on this machine (control: ${control})`;
    return { haproxy, warnings: [], error: null };
  }
  const file = join(folder, 'haproxy.cfg');
  // Temporary paths, because HAProxy reads the real ones now.
  const real = new Map<string, string>();
  const moved = atOtherPaths(sections, (path) => {
    const temporary = join(folder, `${real.size}-${basename(path)}`);
    real.set(temporary, path);
    return temporary;
  });
  for (const { path, text } of filesIn(moved)) await writeFile(path, text, { mode: 0o600 });
  await writeFile(file, textOf(moved), { mode: 0o600 });
  const opinion = await askForOpinion(binary.path, [file], { timeoutMs: 60_000, passEnv });
  const named = (complaints: readonly Complaint[]): readonly string[] => {
    const problems = toProblems(complaints, sections, [file]);
    return linesOf(
      settings,
      problems.map((each) => ({ ...each, message: withReal(each.message, real) })),
    );
  };
  const own = control === 'process' ? linesOf(settings, notOurs(sections)) : [];
  const refused = [...named(opinion.refused), ...own];
  const { text: version } = binary.version;
  const warnings = named(opinion.warnings);
  if (refused.length === 0) return { haproxy: `HAProxy ${version} accepts it`, warnings, error: null };
  const message = `HAProxy ${version} rejects the config:\n${refused.map((line) => `  ${line}`).join('\n')}`;
  const remedy = 'mend the line in myelin.yaml or the template; `myelin render` prints the whole file';
  return { haproxy: message, warnings, error: new AppError('MYELIN_CONFIG_REJECTED', message, { remedy }) };
}

/** Throws in the words of `run` where this user may not write the files. */
export async function assertMayWrite(config: Config): Promise<void> {
  for (const folder of foldersOf(config)) await assertWritable(folder);
}

/**
 * What HAProxy does not look at: whether the addresses are free, but for those that our own HAProxy holds, and whether there
 * are file descriptors enough. Throws an AppError in the words of `run`. Returns
 * what only a start can show.
 */
export async function assertStarts(
  settings: Settings,
  sections: readonly Section[],
  observed: Observed | null,
): Promise<readonly string[]> {
  const { config } = settings;
  await tryListeners(config);
  if (!startsHere(config, observed)) return [];
  const handingOn = observed?.pid ?? (await foreignPid(config));
  const limits = { handingOn, ...(config.haproxy.control === 'master' && { fdLimit: null }) };
  const { problems, doubts } = await preflight(sections, observed?.sections ?? [], limits);
  const [first] = problems;
  if (first !== undefined) {
    const code = first.code ?? 'MYELIN_HAPROXY_FAILED';
    const remedy = remedies[code];
    const lines = linesOf(settings, problems).join('\n');
    throw new AppError(code, lines, remedy === undefined ? {} : { remedy });
  }
  return linesOf(settings, doubts);
}

const remedies: Partial<Readonly<Record<ErrorCode, string>>> = {
  MYELIN_PORT_TAKEN: 'stop what holds the address, or change the `bind`',
};

/** Of a HAProxy that somebody started in the place of ours: it hands its listening sockets on as well. */
async function foreignPid(config: Config): Promise<number | null> {
  const kept = handedOnSocket(config);
  // Without it no HAProxy of ours has served here, and `run` takes over from none without an order.
  if (!(await isThere(kept))) return null;
  const foreign = await findForeign([config.haproxy.statsSocket, kept], new Set());
  return foreign?.pid ?? null;
}

/** Whether HAProxy listens on this machine, as far as can be seen from here, and takes over from none that is unknown here. */
function startsHere({ haproxy }: Config, observed: Observed | null): boolean {
  if (haproxy.handover !== undefined) return false;
  return haproxy.control === 'process' || (haproxy.control === 'master' && observed?.pid != null);
}

async function binaryFor({ haproxy }: Config): Promise<Binary | null> {
  return findBinary(haproxy.binary, process.env.PATH).catch((error: unknown) => {
    if (haproxy.control === 'process' || !(error instanceof AppError)) throw error;
    return null;
  });
}

function linesOf(settings: Settings, problems: readonly Problem[]): readonly string[] {
  const lines = problemLines(problems.map((problem) => located(problem, settings)));
  return lines.map((line) => maskText(line, settings.secrets));
}

function withReal(message: string, real: ReadonlyMap<string, string>): string {
  return [...real].reduce((text, [temporary, path]) => text.replaceAll(temporary, path), message);
}
