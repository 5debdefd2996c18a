/** When a file is written behind what is live. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { LateWriter } from '../../src/apply/late-writer.ts';

function writer(t: TestContext, write: () => Promise<void> = async () => {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const seen = { writes: 0, troubles: 0 };
  const made = new LateWriter({
    async write() {
      await write();
      seen.writes += 1;
    },
    maxLagMs: () => 200,
    onTrouble: () => {
      seen.troubles += 1;
    },
  });
  const pass = async (ms: number): Promise<void> => {
    t.mock.timers.tick(ms);
    await settled();
  };
  return { made, seen, pass };
}

/** What was set going has come to rest: nothing here waits for anything but promises. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

test('many changes are one write, within maxLag of the first', async (t) => {
  const { made, seen, pass } = writer(t);
  for (let change = 0; change < 10; change++) {
    made.note();
    await pass(9);
  }
  assert.equal(seen.writes, 0);
  await pass(110);
  assert.equal(seen.writes, 1);
  await pass(10_000);
  assert.equal(seen.writes, 1);
});

test('what is flushed is written now, and not again', async (t) => {
  const { made, seen, pass } = writer(t);
  made.note();
  await made.flush();
  assert.equal(seen.writes, 1);
  await pass(10_000);
  await made.flush();
  assert.equal(seen.writes, 1);
});

test('a write that fails is told and tried again every second until it succeeds', async (t) => {
  let isFull = true;
  const { made, seen, pass } = writer(t, async () => {
    if (isFull) throw new Error('full');
  });
  made.note();
  await pass(100);
  await pass(1000);
  assert.deepEqual(seen, { writes: 0, troubles: 2 });
  isFull = false;
  await pass(1000);
  assert.deepEqual(seen, { writes: 1, troubles: 2 });
  await pass(10_000);
  assert.equal(seen.writes, 1);
});

test('while it is held nothing is written by itself, and afterwards what came meanwhile', async (t) => {
  const { made, seen, pass } = writer(t);
  made.hold();
  made.note();
  await pass(10_000);
  assert.equal(seen.writes, 0);
  made.release();
  await pass(200);
  assert.equal(seen.writes, 1);
});
