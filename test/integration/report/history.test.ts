/** The history's file: over restarts, damaged, unwritable. */
import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { describe as describeError } from '../../../src/errors.ts';
import { Events } from '../../../src/report/events.ts';
import { History } from '../../../src/report/history/history.ts';
import { windowMs } from '../../../src/report/history/kept.ts';
import { tempFolder, until } from '../../support/index.ts';

type Run = AsyncDisposable & {
  readonly history: History;
  readonly events: Events;
  readonly troubles: readonly string[];
};

function run(path: string, now = (): number => Date.now()): Run {
  const troubles: string[] = [];
  const onTrouble = (error: unknown): void => void troubles.push(describeError(error));
  const history = new History({ path, now, masked: (value) => value, onTrouble, onUnlisted() {} });
  const events = new Events({ now, masked: (value) => value });
  events.subscribe((event) => history.add(event));
  return { history, events, troubles, [Symbol.asyncDispose]: () => history[Symbol.asyncDispose]() };
}

async function listed({ history }: Run): Promise<readonly (readonly [kind: string, times: number])[]> {
  await history.loaded;
  return history.list(0).map(({ kind, times }) => [kind, times]);
}

test('what happened is known after a restart of Myelin, with how often it happened', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'state', 'history.jsonl');
  let now = 1_000_000;
  {
    await using before = run(path, () => now);
    for (let count = 0; count < 3; count++) before.events.add({ kind: 'loss_ended', service: 'web' });
    before.events.add({ kind: 'reload_started', reasons: [], more: 0 });
  }
  now += windowMs / 2;
  {
    await using second = run(path, () => now);
    second.events.add({ kind: 'file_caught_up' });
    await second.history.loaded;
    second.events.add({ kind: 'loss_ended', service: 'web' });
    assert.deepEqual(await listed(second), [
      ['loss_ended', 4],
      ['file_caught_up', 1],
    ]);
  }
  await using third = run(path, () => now);
  assert.deepEqual(await listed(third), [
    ['loss_ended', 4],
    ['file_caught_up', 1],
  ]);
  assert.deepEqual(third.troubles, []);
});

test('of a damaged history what can be read is kept, the rest is reported, and the file is sound again', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'history.jsonl');
  {
    await using before = run(path);
    before.events.add({ kind: 'file_caught_up' });
  }
  await appendFile(path, 'no JSON\n{"id":1}\n\0\0\0\n{"id":"a-1","at":7,"kind":"cut off');
  {
    await using after = run(path);
    assert.deepEqual(await listed(after), [['file_caught_up', 1]]);
    assert.match(after.troubles.join(), /^3 lines of .*history\.jsonl cannot be read/);
    after.events.add({ kind: 'loss_ended', service: 'web' });
  }
  await using last = run(path);
  assert.deepEqual(await listed(last), [
    ['file_caught_up', 1],
    ['loss_ended', 1],
  ]);
  assert.deepEqual(last.troubles, []);
});

test('a history that cannot be written is told, tried again later, and then complete', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'file', 'history.jsonl');
  await writeFile(join(folder.path, 'file'), 'not a folder');
  let now = 1_000_000;
  await using running = run(path, () => now);
  running.events.add({ kind: 'file_caught_up' });
  await until('the history fails', () => !running.history.isCurrent);
  assert.match(running.troubles.join(), /history\.jsonl/);
  await rm(join(folder.path, 'file'));
  now += 61_000;
  running.events.add({ kind: 'loss_ended', service: 'web' });
  await until('the history is written', () => running.history.isCurrent);
  const text = await readFile(path, 'utf8');
  assert.match(text, /file_caught_up.*loss_ended/s);
});

test('the file stays small however much happens, and an empty folder in its place gives way', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'history.jsonl');
  await mkdir(path);
  let now = 1_000_000;
  {
    await using running = run(path, () => now);
    await running.history.loaded;
    const error = 'x'.repeat(900);
    for (let round = 0; round < 150; round++) {
      now += windowMs;
      for (let count = 0; count < 30; count++) running.events.add({ kind: 'trouble', error: `${count} ${error}` });
    }
  }
  const { size } = await stat(path);
  assert.ok(size < 1_100_000, `${size} bytes`);
  await using after = run(path, () => now);
  await after.history.loaded;
  const newest = after.history.list(0).at(-1);
  assert.equal(newest?.at, now);
});
