/**
 * Runs one file of tests, to its end or to its limit, and ends what it leaves behind: a test that is cancelled does not
 * clean up, and a HAProxy of it would live on, with the pipe that the file wrote its results to.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import timers from 'node:timers/promises';
import { describe } from '../../src/errors.ts';
import type { Ms } from '../../src/model.ts';
import { tempFolder } from '../support/index.ts';
import { endProcessesOf } from './left-behind.ts';

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

/** For what was printed before the end: more only comes from strangers who hold the pipe. */
const restOfOutputMs: Ms = 1000;

export async function runTestFile({ path, env = {} }: TestFile, options: Options): Promise<FileResult> {
  const { testLimitMs, limitMs, onLine, signal } = options;
  const folder = await tempFolder();
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--test-reporter=spec',
    `--test-timeout=${testLimitMs}`,
    // A cancelled test keeps its sockets and timers: nothing of it may hold the file up.
    '--test-force-exit',
    path,
  ];
  // Node's runner does not run within itself, and says so by this variable.
  const { NODE_TEST_CONTEXT: _, ...around } = process.env;
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    // Whatever it starts is found by this folder.
    env: { ...around, ...env, TMPDIR: folder.path },
    detached: true,
  });
  const tally = new Tally();
  const read = (async () => {
    for await (const line of createInterface({ input: child.stdout })) if (!tally.take(line)) onLine(line);
  })();
  const ended = once(child, 'exit').then(([code, by]: (number | string | null)[]) => ({ code, by }));
  const over = new AbortController();
  const limit = timers.setTimeout(limitMs, `did not end within ${limitMs / 1000} s`, { signal: over.signal });
  const stopped =
    signal === undefined ? [] : [once(signal, 'abort', { signal: over.signal }).then(() => 'was stopped')];
  const end = await Promise.race([ended, limit, ...stopped]);
  over.abort();
  await Promise.allSettled([limit, ...stopped]);
  const left = await cleanUp(folder).then(
    () => null,
    (error: unknown) => `left something that cannot be removed: ${describe(error)}`,
  );
  await Promise.race([read, timers.setTimeout(restOfOutputMs, undefined, { ref: false })]);
  child.stdout.destroy();
  await read.catch(() => {});
  const trouble = (typeof end === 'string' ? end : troubleOf(end, tally)) ?? left;
  return { ...tally.result, failed: tally.result.failed + (trouble === null ? 0 : 1), trouble };
}

/** What cannot be taken away, such as a file system that is mounted there, is no reason to end the run. */
async function cleanUp(folder: Awaited<ReturnType<typeof tempFolder>>): Promise<void> {
  await endProcessesOf(folder.path);
  await folder[Symbol.asyncDispose]();
}

/** Code 1 is what failed tests end with; they are counted by themselves. */
function troubleOf({ code, by }: { readonly code: unknown; readonly by: unknown }, tally: Tally): string | null {
  const isWell = tally.isComplete && (code === 1 ? tally.result.failed > 0 : code === 0);
  if (isWell) return null;
  return `ended with ${String(by ?? `exit code ${String(code)}`)}${tally.isComplete ? '' : ' and no totals of tests'}`;
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
