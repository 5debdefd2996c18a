/**
 * `npm run unit [-- --watch] [-- PART-OF-A-PATH…]`: the unit tests and those of the documentation, which need no server, and what failed. As many
 * processes as there are cores share the files: starting one for each file takes most of the time that the tests do. A test
 * that counts on what another file left behind fails in `npm test`, where each has a process of its own.
 */
import { once } from 'node:events';
import { globSync, watch } from 'node:fs';
import { availableParallelism } from 'node:os';
import timers from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Ms } from '../../src/model.ts';
import { guardedFolder } from './guard.ts';
import { stopSignal } from './stop.ts';
import { type FileResult, runTestFiles } from './test-file.ts';

const testLimitMs: Ms = 60_000;
const limitMs: Ms = 300_000;
/** An editor writes several files at once. */
const quietMs: Ms = 100;

const { values, positionals } = parseArgs({ allowPositionals: true, options: { watch: { type: 'boolean' } } });
const stop = stopSignal();
await using folder = await guardedFolder();
process.env.TMPDIR = folder.path;

if (values.watch === true) await runAtEachChange();
else process.exitCode = (await run(stop)) ? 0 : 1;

/** A run that is under way when something changes is of no interest any more. */
async function runAtEachChange(): Promise<void> {
  let changed = new AbortController();
  for (const where of ['src', 'watchers', 'templates', 'test'])
    watch(where, { recursive: true, signal: stop }, () => changed.abort()).on('error', () => changed.abort());
  while (!stop.aborted) {
    changed = new AbortController();
    const over = AbortSignal.any([stop, changed.signal]);
    await run(over);
    process.stdout.write('waiting for a change\n');
    if (!over.aborted) await once(over, 'abort');
    await timers.setTimeout(quietMs);
  }
}

/** The totals are its last line. Whether all is well. */
async function run(signal: AbortSignal): Promise<boolean> {
  const files = globSync('test/{unit,docs}/**/*.test.ts')
    .sort()
    .filter((path) => positionals.length === 0 || positionals.some((part) => path.includes(part)));
  const startedAt = performance.now();
  const count = Math.min(availableParallelism(), files.length);
  const shares = Array.from({ length: count }, (_, share) => files.filter((_, at) => at % count === share));
  const results = await Promise.all(shares.map((share) => runShare(share, signal)));
  if (signal.aborted) return false;
  const total = (what: 'passed' | 'failed' | 'skipped'): number => results.reduce((sum, one) => sum + one[what], 0);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(
    `${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped in ${seconds} s\n`,
  );
  return total('failed') === 0 && total('passed') > 0;
}

/** Tells what failed, and whatever else was printed. */
async function runShare(files: readonly string[], signal: AbortSignal): Promise<FileResult> {
  const lines: string[] = [];
  const onLine = (line: string): void => void (/^\s*[✔▶] /.test(line) || lines.push(line));
  const result = await runTestFiles(files, { testLimitMs, limitMs, onLine, signal });
  if (result.trouble !== null) lines.push(`✖ ${files.length} files of unit tests: ${result.trouble}`);
  // The reporter tells of each failure twice: where it happens, and in full at the end.
  const inFull = lines.indexOf('✖ failing tests:');
  if (!signal.aborted && result.failed > 0) process.stdout.write(`${lines.slice(Math.max(inFull, 0)).join('\n')}\n`);
  return result;
}
