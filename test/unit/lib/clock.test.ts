import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fromWallClock, now, pastFromWallClock, toWallClock, wallClock } from '../../../src/lib/time/clock.ts';
import { OverrideStore } from '../../../src/reconcile/overrides/override-store.ts';
import { tempFolder } from '../../support/index.ts';

const root = resolve(import.meta.dirname, '../../..');
const hourMs = 3_600_000;

test('only src/lib/time/clock.ts asks for the time of day: a span that is measured by it is wrong after each step', async () => {
  const files = await Promise.all(
    ['src', 'watchers'].map(async (folder) => {
      const names = await readdir(join(root, folder), { recursive: true });
      return names.filter((name) => name.endsWith('.ts')).map((name) => join(root, folder, name));
    }),
  );
  const asking = await Promise.all(
    files.flat().map(async (path) => (/\bDate\.now\b|\bnew Date\(\)/.test(await readFile(path, 'utf8')) ? path : null)),
  );
  const found = asking.flatMap((path) => (path === null ? [] : relative(root, path)));
  assert.deepEqual(found.sort(), ['src/commands/demo.ts', 'src/lib/time/clock.ts'], 'the demo’s certificate is dated');
});

test('a step of the time of day moves what is shown, and no span', (t) => {
  const step = stepping(t);
  const [since, shown] = [now(), wallClock()];
  assert.ok(Math.abs(toWallClock(since) - shown) < 1000);
  for (const byMs of [hourMs, -hourMs]) {
    step(byMs);
    assert.ok(now() >= since && now() - since < 60_000, 'the steady clock goes on');
    assert.ok(Math.abs(toWallClock(since) - (shown + byMs)) < 60_000, 'it is as long ago as before');
  }
});

test('a process that is paused between two readings of the clocks shows the same time of day for a moment', (t) => {
  const since = now();
  const shown = toWallClock(since);
  const real = Date.now.bind(Date);
  const slow = t.mock.method(Date, 'now', () => {
    const time = real();
    for (const end = performance.now() + 30; performance.now() < end; );
    return time;
  });
  assert.equal(toWallClock(since), shown);
  slow.mock.restore();
  assert.equal(toWallClock(since), shown);
});

test('what was written down before the time of day was set back has not begun in the future', (t) => {
  const step = stepping(t);
  const written = wallClock();
  step(-hourMs);
  assert.ok(pastFromWallClock(written) <= now());
  assert.ok(fromWallClock(written) > now() + hourMs / 2);
  step(0);
  assert.ok(Math.abs(fromWallClock(written) - now()) < 60_000);
});

test('an order for a time lasts that long, however the time of day steps while Myelin runs or is stopped', async (t) => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'orders.json');
  const step = stepping(t);
  const running = await OverrideStore.open(path, now, assert.ifError);
  const until = now() + 60_000;
  await running.set({ backend: 'web', server: 'a', state: 'maint', until });
  step(hourMs);
  assert.equal(running.all.length, 1, 'a step forward ends nothing');
  await running.set({ backend: 'web', server: 'b', state: 'drain', until: null });

  // What is written down counts by the time of day: one that was too late by an hour, and is right again.
  step(0);
  const restarted = await OverrideStore.open(path, now, assert.ifError);
  assert.deepEqual(
    restarted.all.map(({ server }) => server),
    ['a', 'b'],
  );
  const end = restarted.nextExpiry ?? 0;
  assert.ok(end > now() && end <= now() + 61_000, `it ends in ${end - now()} ms`);
});

/** Sets the time of day off by so much from what it really is. */
function stepping(t: TestContext): (byMs: number) => void {
  const real = Date.now.bind(Date);
  let offMs = 0;
  t.mock.method(Date, 'now', () => real() + offMs);
  return (byMs) => {
    offMs = byMs;
  };
}
