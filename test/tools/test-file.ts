/**
 * Runs one file of tests, to its end or to its limit, and ends what it leaves behind: a test that is cancelled does not
 * clean up, and a HAProxy of it would live on, with the pipe that the file wrote its results to.
 */
import { chmod } from 'node:fs/promises';
import type { Ms } from '../../src/model.ts';
import { tempFolder } from '../support/index.ts';
import { describeEnding, type Ending, runGroup } from './group.ts';

export type TestFile = { readonly path: string; readonly env?: Readonly<Record<string, string>> };

export type FileResult = {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Of each test that is in no other one. */
  readonly tookMs: ReadonlyMap<string, Ms>;
  /** What kept the file itself from its end; counted as failed. */
  readonly trouble: string | null;
};

type Options = {
  /** Of each test, and then of the file with all that it started. */
  readonly testLimitMs: Ms;
  readonly limitMs: Ms;
  /** Of what the file prints, but for its totals. */
  readonly onLine: (line: string) => void;
  readonly signal?: AbortSignal;
};

export function runTestFile({ path, env = {} }: TestFile, options: Options): Promise<FileResult> {
  return runTestFiles([path], options, env);
}

/** All in one process. */
export async function runTestFiles(
  paths: readonly string[],
  options: Options,
  env: TestFile['env'] = {},
): Promise<FileResult> {
  const { testLimitMs, limitMs, onLine, signal } = options;
  const folder = await tempFolder();
  // A test that becomes another user starts programs in it.
  await chmod(folder.path, 0o755);
  const argv = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    '--test-reporter=spec',
    `--test-timeout=${testLimitMs}`,
    // A cancelled test keeps its sockets and timers: nothing of it may hold the file up.
    '--test-force-exit',
    ...(paths.length > 1 ? ['--test', '--test-isolation=none'] : []),
    ...paths,
  ];
  // Node's runner does not run within itself, and says so by this variable.
  const { NODE_TEST_CONTEXT: _, ...around } = process.env;
  const tally = new Tally();
  const { ending, left } = await runGroup(argv, {
    folder: folder.path,
    limitMs,
    signal,
    env: { ...around, ...env },
    onLine: (line) => {
      if (!tally.take(line)) onLine(line);
    },
  });
  const trouble = troubleOf(ending, tally) ?? left;
  return { ...tally.result, failed: tally.result.failed + (trouble === null ? 0 : 1), trouble };
}

/** Code 1 is what failed tests end with; they are counted by themselves. */
function troubleOf(ending: Ending, tally: Tally): string | null {
  if (ending.kind !== 'exit') return describeEnding(ending);
  const { code } = ending;
  const isWell = tally.isComplete && (code === 1 ? tally.result.failed > 0 : code === 0);
  return isWell ? null : `${describeEnding(ending)}${tally.isComplete ? '' : ' and no totals of tests'}`;
}

/** What node's reporter says in lines. */
class Tally {
  readonly #counts = new Map<string, number>();
  readonly #tookMs = new Map<string, Ms>();

  /** Whether the file has told its totals. */
  get isComplete(): boolean {
    return this.#counts.has('duration_ms');
  }

  get result(): Omit<FileResult, 'trouble'> {
    const count = (name: string): number => this.#counts.get(name) ?? 0;
    return {
      passed: count('pass'),
      failed: count('fail') + count('cancelled'),
      skipped: count('skipped'),
      tookMs: this.#tookMs,
    };
  }

  /** True: it was one of the totals. */
  take(line: string): boolean {
    const [, title, ms] = /^[✔✖] (.*) \(([\d.]+)ms\)/.exec(line) ?? [];
    if (title !== undefined) this.#tookMs.set(title, Number(ms));
    const [, name, value] = /^ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/.exec(line) ?? [];
    if (name === undefined) return false;
    this.#counts.set(name, Number(value));
    return true;
  }
}
