/** `npm test` comes to its end and names what did not, whatever a file of tests does. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { test } from 'node:test';
import { isRunning } from '../support/apply.ts';
import { type FileResult, runTestFile } from '../tools/test-file.ts';

type Run = { readonly result: FileResult; readonly output: string };

async function run(
  fixture: string,
  { testLimitMs = 60_000, limitMs = 120_000 }: { readonly testLimitMs?: number; readonly limitMs?: number } = {},
): Promise<Run> {
  const path = resolve(import.meta.dirname, `../fixtures/${fixture}.ts`);
  const lines: string[] = [];
  const result = await runTestFile({ path }, { testLimitMs, limitMs, onLine: (line) => lines.push(line) });
  return { result, output: lines.join('\n') };
}

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
