/** `npm test` and the benchmarks come to their end and name what did not, whatever a test or a benchmark does. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import ours from '#package.json' with { type: 'json' };
import { tempFolder, until } from '../../support/index.ts';
import { gone, isRunning } from '../../support/machine/processes.ts';
import { oneByOne, sideBySide } from '../../tools/suite.ts';
import { type FileResult, runTestFile } from '../../tools/test-file.ts';

const root = resolve(import.meta.dirname, '../../..');

type Run = { readonly result: FileResult; readonly output: string };

async function run(
  fixture: string,
  { testLimitMs = 60_000, limitMs = 120_000 }: { readonly testLimitMs?: number; readonly limitMs?: number } = {},
): Promise<Run> {
  const path = resolve(import.meta.dirname, `../../fixtures/${fixture}.ts`);
  const lines: string[] = [];
  const result = await runTestFile({ path }, { testLimitMs, limitMs, onLine: (line) => lines.push(line) });
  return { result, output: lines.join('\n') };
}

test('the whole suite has every file of tests, each once on the usual version, and no other', () => {
  const suite = [...sideBySide, ...oneByOne];
  const files = globSync('test/**/*.test.ts', { cwd: root }).sort();
  assert.deepEqual(suite.flatMap(({ path, env }) => (env === undefined ? path : [])).sort(), files);
  assert.deepEqual(
    suite.flatMap(({ path }) => (files.includes(path) ? [] : path)),
    [],
  );
});

test('a test that hangs with its load is cancelled, and neither keeps the others from their end nor the file', async () => {
  const { result, output } = await run('hangs-under-load', { testLimitMs: 2000 });
  assert.deepEqual({ ...result, tookMs: null }, { passed: 2, failed: 1, skipped: 0, tookMs: null, trouble: null });
  assert.match(output, /✖ hangs[\s\S]*test timed out after 2000ms/);
  assert.deepEqual([...result.tookMs.keys()], ['ends', 'hangs', 'ends, too']);
});

test('a process that a file left behind is ended, and its hold on the output holds nobody up', async () => {
  const { result, output } = await run('leaves-a-process');
  assert.equal(result.passed, 1);
  assert.equal(result.trouble, null);
  const pid = Number(/left: (\d+)/.exec(output)?.[1]);
  assert.ok(pid > 0 && !isRunning(pid), output);
});

test('a file that exceeds its limit is ended, named and counted as failed', async () => {
  const { result } = await run('takes-too-long', { limitMs: 5000 });
  assert.equal(result.failed, 1);
  assert.equal(result.trouble, 'did not end within 5 s');
});

test('a file that is no test counts as failed', async () => {
  const { result } = await run('../tools/left-behind');
  assert.equal(result.failed, 1);
  assert.equal(result.trouble, 'ended with exit code 0 and no totals of tests');
});

test('what a file left and nobody can remove is told, and does not end the run', async (t) => {
  const { result, output } = await run('leaves-a-mount');
  const path = /mounted: (\S+)/.exec(output)?.[1];
  if (path === undefined) return t.skip('needs root to mount a file system');
  execFileSync('umount', ['--lazy', path]);
  await rm(dirname(path), { recursive: true });
  assert.equal(result.failed, 1);
  assert.match(result.trouble ?? '', /^left something that cannot be removed: .*EBUSY/);
});

test('`npm run unit` tells how many unit tests of the chosen files passed, and needs no server', () => {
  const environment = { ...process.env, MYELIN_CACHE: '/nonexistent', HAPROXY_BIN: '/nonexistent' };
  const argv = ['test/tools/run.mjs', 'test/tools/unit.ts', 'unit/version', 'unit/errors'];
  const said = execFileSync(process.execPath, argv, { cwd: root, encoding: 'utf8', env: environment });
  assert.match(said, /^[1-9]\d* passed, 0 failed, 0 skipped in [\d.]+ s\n$/);
});

type Hanging = AsyncDisposable & {
  readonly npm: ChildProcess;
  /** Of the benchmark, and of what it started. */
  readonly pids: readonly number[];
};

/** As `npm run bench:…` runs one that comes to no end. */
async function startHanging(limitMs = 60_000): Promise<Hanging> {
  await using started = new AsyncDisposableStack();
  const folder = started.use(await tempFolder());
  const command = ours.scripts['bench:latency']
    .replace('test/tools/run.mjs', join(root, 'test/tools/run.mjs'))
    .replace('bench/latency.ts', `test/fixtures/benchmark-that-hangs.ts ${limitMs}`);
  await writeFile(join(folder.path, 'package.json'), JSON.stringify({ scripts: { bench: command } }));
  // A group of its own, as a terminal has it.
  const npm = spawn('npm', ['run', 'bench'], { cwd: folder.path, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  started.defer(() => void npm.kill('SIGKILL'));
  for await (const line of createInterface({ input: npm.stdout })) {
    if (!line.startsWith('[')) continue;
    const kept = started.move();
    return { npm, pids: JSON.parse(line) as number[], [Symbol.asyncDispose]: () => kept.disposeAsync() };
  }
  throw new Error('the benchmark did not start');
}

test('a benchmark that exceeds its limit is ended with what it started, and named', async () => {
  await using hanging = await startHanging(1000);
  const words = hanging.npm.stderr?.setEncoding('utf8').toArray();
  const [code] = await once(hanging.npm, 'exit');
  assert.equal(code, 1);
  assert.match((await words)?.join('') ?? '', /^✖ bench:hanging did not end within 1 s$/m);
  assert.deepEqual(hanging.pids.filter(isRunning), []);
});

test('a benchmark that is stopped by Ctrl-C, which all that run it get, goes with what it started, and says so', async () => {
  await using hanging = await startHanging();
  const words = hanging.npm.stderr?.setEncoding('utf8').toArray();
  process.kill(-(hanging.npm.pid ?? 0), 'SIGINT');
  for (const pid of hanging.pids) await gone(pid);
  assert.match((await words)?.join('') ?? '', /^✖ bench:hanging was stopped$/m);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const)
  test(`a benchmark whose npm gets ${signal} goes with what it started`, async () => {
    await using hanging = await startHanging();
    assert.equal(hanging.pids.filter(isRunning).length, 2);
    hanging.npm.kill(signal);
    for (const pid of hanging.pids) await gone(pid);
  });

test('a benchmark goes with what it started where everything that runs it is killed at once', async () => {
  await using hanging = await startHanging();
  const [measuring = 0] = hanging.pids;
  const above = ancestors(measuring, hanging.npm.pid ?? 0);
  assert.ok(above.length >= 3, `${above}`);
  for (const pid of above) process.kill(pid, 'SIGKILL');
  for (const pid of hanging.pids) await gone(pid);
});

test('a benchmark that is killed itself goes with what it started', async () => {
  await using hanging = await startHanging();
  const [measuring = 0, started = 0] = hanging.pids;
  process.kill(measuring, 'SIGKILL');
  await gone(started);
  await until('npm has ended', () => hanging.npm.exitCode === 1);
});

/** From its parent up to `last`. */
function ancestors(pid: number, last: number): readonly number[] {
  const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return parent === last || parent <= 1 ? [parent] : [parent, ...ancestors(parent, last)];
}
