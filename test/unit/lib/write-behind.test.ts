/** When a file is written behind what is live. */
import assert from 'node:assert/strict';
import { mock, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { WriteBehind } from '../../../src/lib/files/write-behind.ts';

function writer(t: TestContext, write: () => Promise<void> = async () => {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const seen = { writes: 0, troubles: 0 };
  const made = new WriteBehind({
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

test('what is there when it is closed is written now, and nothing after that', async (t) => {
  const { made, seen, pass } = writer(t);
  made.note();
  await made.close();
  assert.equal(seen.writes, 1);
  made.note();
  await pass(10_000);
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

test('while somebody else sees to the file nothing is written, and afterwards what came meanwhile', async (t) => {
  const { made, seen, pass } = writer(t);
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const work = made.during(() => over);
  await settled();
  made.note();
  await pass(10_000);
  assert.equal(seen.writes, 0);
  end();
  await work;
  await pass(200);
  assert.equal(seen.writes, 1);
});

test('in any order of changes, slow and failing writes, and works on the file: none meets a write, and the newest is on disk at the end', async () => {
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.constant('change' as const) },
    { weight: 4, arbitrary: fc.constant('time passes' as const) },
    { weight: 2, arbitrary: fc.constant('work' as const) },
    { weight: 1, arbitrary: fc.constant('close' as const) },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(action, { minLength: 1, maxLength: 25 }),
      fc.infiniteStream(fc.boolean()),
      async (scheduler, actions, failures) => {
        mock.timers.enable({ apis: ['setTimeout'] });
        try {
          await explore(scheduler, actions, failures);
        } finally {
          mock.timers.reset();
        }
      },
    ),
    { numRuns: 500 },
  );
});

async function explore(
  scheduler: fc.Scheduler,
  actions: readonly ('change' | 'time passes' | 'work' | 'close')[],
  failures: fc.Stream<boolean>,
): Promise<void> {
  const state = { newest: 0, disk: 0, writing: 0, working: 0, isClosing: false, isClosed: false, mayFail: true };
  const made = new WriteBehind({
    async write() {
      assert.equal(state.writing, 0, 'one write at a time');
      assert.equal(state.working, 0, 'no write begins while somebody else sees to the file');
      assert.equal(state.isClosed, false, 'no write begins once it is closed');
      state.writing += 1;
      const text = state.newest;
      await scheduler.schedule(Promise.resolve(), 'write');
      state.writing -= 1;
      if (state.mayFail && failures.next().value === true) throw new Error('full');
      state.disk = text;
    },
    maxLagMs: () => 200,
    onTrouble: () => {},
  });
  const pending: Promise<unknown>[] = [];
  const work = async (): Promise<void> => {
    const noted = state.isClosing ? 0 : state.newest;
    await made
      .during(async () => {
        assert.equal(state.writing, 0, 'no write runs while somebody else sees to the file');
        assert.ok(state.disk >= noted, 'what was noted before is on disk');
        state.working += 1;
        await scheduler.schedule(Promise.resolve(), 'work');
        state.working -= 1;
      })
      .catch(isFull);
  };
  const close = async (): Promise<void> => {
    const noted = state.isClosing ? 0 : state.newest;
    state.isClosing = true;
    const isWritten = await made.close().then(() => true, isFull);
    assert.equal(state.writing, 0, 'no write runs once it is closed');
    if (isWritten) assert.ok(state.disk >= noted, 'what was noted before is on disk');
    state.isClosed = true;
  };
  const script = async (): Promise<void> => {
    for (const action of actions) {
      await scheduler.schedule(Promise.resolve(), action);
      if (action === 'change') {
        state.newest += 1;
        made.note();
      }
      if (action === 'time passes') mock.timers.tick(1000);
      if (action === 'work') pending.push(work());
      if (action === 'close') pending.push(close());
    }
    await Promise.all(pending);
  };
  await scheduler.waitFor(script());
  if (actions.includes('close')) return;
  state.mayFail = false;
  for (let round = 0; state.disk < state.newest; round++) {
    assert.ok(round < 5, 'the newest is written once nothing stands in its way');
    mock.timers.tick(1000);
    await scheduler.waitIdle();
  }
}

function isFull(error: unknown): false {
  if (!(error instanceof Error && error.message === 'full')) throw error;
  return false;
}
