/**
 * `npm test [-- FILE…]`: provides the real servers that the files need, then runs the files of tests: everything that is quick or light several at a
 * time, the end-to-end tests that put load on the machine one file after the other, and on the other versions of HAProxy
 * what depends on them most. At the end stand the slowest tests, the files that failed, and the totals.
 */
import { chmod } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Ms } from '../../src/model.ts';
import { installPackage } from './bundle.ts';
import { guardedFolder } from './guard.ts';
import { provideFor } from './provide.ts';
import { stopSignal } from './stop.ts';
import { oneByOne, sideBySide } from './suite.ts';
import { type FileResult, runTestFile, type TestFile } from './test-file.ts';

/** No test takes a tenth of it on a machine that has nothing else to do; it ends what hangs, and counts it as failed. */
const testLimitMs: Ms = 600_000;
/** Of a file with all its tests. */
const fileLimitMs: Ms = 900_000;
/** Most of them wait for much of their time: for a reload, a back-off, a source that is away. */
const filesAtATime = availableParallelism() + 1;

const chosen = process.argv.slice(2).map((path): TestFile => ({ path }));
const files = chosen.length > 0 ? chosen : [...sideBySide, ...oneByOne];
const tell = (line: string): void => void process.stdout.write(`${line}\n`);
await provideFor(
  files.map(({ path }) => path),
  tell,
);
await provideBranches(files.flatMap(({ env = {} }) => Object.values(env).join().split(',')));

// Each file is a group of processes of its own: Ctrl-C does not reach it, and what it started goes with it.
const stop = stopSignal();
await using folder = await guardedFolder();
// A test becomes another user, who has to be able to start what is installed there.
await chmod(folder.path, 0o755);
process.env.TMPDIR = folder.path;
// Hundreds of programs are started: with it, a start takes half of the processor's time.
process.env.NODE_COMPILE_CACHE = join(folder.path, 'compiled');
process.env.MYELIN_CLI = await installPackage(join(folder.path, 'package'));

const results: (readonly [TestFile, FileResult])[] = [];
if (chosen.length > 0) await runAll(chosen, 1);
else {
  await runAll(sideBySide, filesAtATime);
  await runAll(oneByOne, 1);
}
process.exitCode = report() ? 0 : 1;

/** Those that a file is run on beside its own. */
async function provideBranches(branches: readonly string[]): Promise<void> {
  // Loaded here alone: a file that needs no HAProxy is not to wait for one.
  const { haproxy, isBranch } = await import('../servers/haproxy.ts');
  for (const branch of new Set(branches.filter(isBranch))) tell(`HAProxy ${branch}: ${await haproxy(branch)}`);
}

/** What a file prints is shown at once, or where there are others beside it, when it is over. */
async function runAll(files: readonly TestFile[], concurrency: number): Promise<void> {
  const waiting = files.values();
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const runInTurn = async (): Promise<void> => {
    for (const file of waiting) {
      if (stop.aborted) return;
      const lines: string[] = [`\n▶ ${nameOf(file)}`];
      const onLine = concurrency === 1 ? print : (line: string) => void lines.push(line);
      if (concurrency === 1) lines.splice(0).forEach(print);
      const result = await runTestFile(file, { testLimitMs, limitMs: fileLimitMs, onLine, signal: stop });
      if (result.trouble !== null) lines.push(`✖ ${nameOf(file)} ${result.trouble}`);
      lines.forEach(print);
      results.push([file, result]);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, runInTurn));
}

/** The totals are its last line. Whether all is well. */
function report(): boolean {
  const slowest = results
    .flatMap(([file, { tookMs }]) => [...tookMs].map(([title, ms]) => ({ title, ms, file })))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, 10);
  const failing = results.filter(([, { failed }]) => failed > 0);
  const total = (what: 'passed' | 'failed' | 'skipped'): number => results.reduce((sum, [, one]) => sum + one[what], 0);
  const lines = [
    '',
    ...slowest.map(({ title, ms, file }) => `${(ms / 1000).toFixed(1).padStart(6)} s  ${nameOf(file)}: ${title}`),
    ...failing.map(([file, { failed, trouble }]) => `✖ ${nameOf(file)} ${trouble ?? `${failed} failed`}`),
    ...(stop.aborted ? ['✖ the run was stopped'] : []),
    `${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return failing.length === 0 && total('passed') > 0 && !stop.aborted;
}

function nameOf({ path, env = {} }: TestFile): string {
  return [path, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)].join(' ');
}
