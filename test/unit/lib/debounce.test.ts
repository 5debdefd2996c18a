import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { createDebounce, type Debounce, type Ran } from '../../../src/lib/time/debounce.ts';

const quietMs = 20;
const maxMs = 200;

type World = {
  readonly debounce: Debounce;
  /** As the config has them now. */
  readonly times: { quietMs: number; maxMs: number };
  readonly stop: AbortController;
  readonly errors: unknown[];
  readonly starts: number[];
  readonly ends: number[];
  readonly mostAtOnce: () => number;
  readonly now: () => number;
  /** Something changes, and the turn of the event loop in which it does ends. */
  readonly poke: () => Promise<void>;
  /** Lets time pass, millisecond by millisecond. */
  readonly pass: (ms: number) => Promise<void>;
};

/** A debounce on the mock clock; each run takes the next of `runMs`, the last one again and again. */
function world(
  t: TestContext,
  runMs: readonly number[],
  failing: (run: number) => boolean = () => false,
  isIdle: (run: number) => boolean = () => false,
): World {
  t.mock.timers.reset();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const [stop, errors, starts, ends] = [new AbortController(), [] as unknown[], [] as number[], [] as number[]];
  let [now, running, most] = [0, 0, 0];
  const run = async (): Promise<Ran> => {
    const index = starts.push(now) - 1;
    most = Math.max(most, ++running);
    const ms = runMs[Math.min(index, runMs.length - 1)] ?? 0;
    if (ms > 0) await new Promise<void>((resolve) => setTimeout(resolve, ms));
    running--;
    ends.push(now);
    if (failing(index)) throw new Error(`run ${index}`);
    return isIdle(index) ? 'idle' : 'worked';
  };
  const options = { quietMs, maxMs, signal: stop.signal, onError: (error: unknown) => errors.push(error) };
  const debounce = createDebounce(run, options);
  return {
    debounce,
    times: options,
    stop,
    errors,
    starts,
    ends,
    mostAtOnce: () => most,
    now: () => now,
    async poke() {
      debounce.poke();
      await new Promise(setImmediate);
    },
    async pass(ms) {
      for (const end = now + ms; now < end; ) {
        now++;
        t.mock.timers.tick(1);
        // What a timer set going runs until it waits for the next one: a run ends, and the next one starts a turn later.
        await new Promise(setImmediate);
        await new Promise(setImmediate);
      }
    },
  };
}

test('an isolated change is applied at once', async (t: TestContext) => {
  const { starts, poke, pass } = world(t, [0]);
  await poke();
  await pass(1000);
  await poke();
  assert.deepEqual(starts, [0, 1000]);
  await pass(1000);
  assert.deepEqual(starts, [0, 1000], 'and once');
});

test('how long a debounce waits may change while it runs', async (t: TestContext) => {
  const { times, starts, poke, pass } = world(t, [0]);
  await poke();
  await pass(1000);
  times.quietMs = 50;
  await poke();
  await pass(10);
  await poke();
  await pass(1000);
  assert.deepEqual(starts, [0, 1000, 1060]);
});

test('all changes of one turn of the event loop are applied by one run', async (t: TestContext) => {
  const { debounce, starts, pass } = world(t, [0]);
  debounce.poke();
  assert.deepEqual(starts, []);
  await Promise.resolve();
  debounce.poke();
  await pass(1000);
  assert.equal(starts.length, 1);
});

test('after a first run that finds nothing to do the next change is applied at once, and those behind it wait for quiet', async (t: TestContext) => {
  const { starts, poke, pass } = world(t, [0], undefined, () => true);
  await poke();
  await pass(5);
  await poke();
  assert.deepEqual(starts, [0, 5]);
  await pass(5);
  await poke();
  await pass(1000);
  assert.deepEqual(starts, [0, 5, 30]);
});

test('a change during a first run that finds nothing to do is applied right behind it', async (t: TestContext) => {
  const { starts, poke, pass } = world(t, [10, 0], undefined, () => true);
  await poke();
  await pass(5);
  await poke();
  await pass(1000);
  assert.deepEqual(starts, [0, 10]);
});

test('the changes after the first wait for quiet and are applied together', async (t: TestContext) => {
  const { starts, poke, pass } = world(t, [0]);
  for (let at = 0; at < 5; at++) {
    await poke();
    await pass(10);
  }
  await pass(1000);
  assert.deepEqual(starts, [0, 60]);
});

test('an endless burst is applied every maxMs', async (t: TestContext) => {
  const { starts, poke, pass } = world(t, [0]);
  for (let at = 0; at < 100; at++) {
    await poke();
    await pass(10);
  }
  assert.deepEqual(starts, [0, 210, 410, 610, 810]);
});

test('an endless burst lets go of its pokes every maxMs', async (t: TestContext) => {
  const { poke, pass } = world(t, [0]);
  const drop = t.mock.method(AbortController.prototype, 'abort');
  for (let at = 0; at < 50; at++) {
    await poke();
    await pass(10);
  }
  assert.equal(drop.mock.callCount(), 2);
});

test('a change during a run is applied after it', async (t: TestContext) => {
  const { starts, poke, pass } = world(t, [100, 0]);
  await poke();
  await pass(50);
  await poke();
  await pass(49);
  assert.deepEqual(starts, [0]);
  await pass(1);
  assert.deepEqual(starts, [0, 100]);
});

test('a run that fails is reported and does not stop the next', async (t: TestContext) => {
  const { starts, errors, poke, pass } = world(t, [0], (run) => run === 0);
  await poke();
  await pass(100);
  await poke();
  await pass(1);
  assert.equal(starts.length, 2);
  assert.match(String(errors), /run 0/);
});

test('a run that throws before it waits is reported as well', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const errors: unknown[] = [];
  const broken = (): Promise<Ran> => {
    throw new Error('at once');
  };
  const { signal } = new AbortController();
  const { poke, idle } = createDebounce(broken, { quietMs, maxMs, signal, onError: (error) => errors.push(error) });
  poke();
  await idle();
  assert.match(String(errors), /at once/);
});

test('after an abort nothing runs, and idle waits for the run in progress', async (t: TestContext) => {
  const { debounce, stop, starts, ends, poke, pass } = world(t, [100]);
  await poke();
  await pass(5);
  debounce.poke();
  stop.abort();
  let isIdle = false;
  const idle = debounce.idle().then(() => {
    isIdle = true;
  });
  await pass(50);
  debounce.poke();
  assert.equal(isIdle, false);
  await pass(500);
  await idle;
  assert.deepEqual([starts, ends], [[0], [100]]);
});

test('idle waits for what waits', async (t: TestContext) => {
  const { debounce, starts, poke, pass } = world(t, [0]);
  await debounce.idle();
  await poke();
  debounce.poke();
  const idle = debounce.idle().then(() => starts.length);
  await pass(50);
  assert.equal(await idle, 2);
});

test('a poke at any point between two steps of a run is followed by a run', async (t: TestContext) => {
  for (let steps = 0; steps < 12; steps++) {
    const { debounce, starts, pass } = world(t, [0]);
    debounce.poke();
    for (let step = 0; step < steps; step++) await Promise.resolve();
    const before = starts.length;
    debounce.poke();
    await pass(maxMs);
    assert.ok(starts.length > before, `${steps} steps`);
  }
});

test('whatever the burst and however long runs take: one at a time, none late, none forgotten', async (t: TestContext) => {
  const gap = fc.oneof(fc.nat(5), fc.nat(quietMs + 5), fc.nat(3 * quietMs));
  await fc.assert(
    fc.asyncProperty(
      fc.array(gap, { minLength: 1, maxLength: 40 }),
      fc.array(fc.oneof(fc.constant(0), fc.nat(150)), { minLength: 1, maxLength: 6 }),
      fc.nat(3),
      async (gaps, runMs, failEvery) => {
        const { debounce, starts, ends, errors, mostAtOnce, now, poke, pass } = world(
          t,
          runMs,
          (run) => failEvery > 0 && run % failEvery === 0,
        );
        const pokes: { readonly at: number; readonly runsBefore: number; readonly isLeading: boolean }[] = [];
        let last = Number.NEGATIVE_INFINITY;
        for (const ms of gaps) {
          await pass(ms);
          const [runsBefore, isRunning] = [starts.length, starts.length > ends.length];
          await poke();
          pokes.push({ at: now(), runsBefore, isLeading: now() - last > quietMs && !isRunning });
          if (pokes.at(-1)?.isLeading) assert.equal(starts.length, runsBefore + 1, 'after quiet it runs at once');
          last = now();
        }
        await pass(quietMs + maxMs + 2 * Math.max(...runMs) + 2);
        await debounce.idle();
        assert.equal(mostAtOnce(), 1);
        for (const { at, runsBefore } of pokes) {
          const next = starts[runsBefore];
          assert.ok(next !== undefined, 'a run starts after every poke');
          // It may have to wait for a run that was in progress when its time came.
          const inProgress = ends[runsBefore - 1] ?? 0;
          assert.ok(next <= Math.max(at + maxMs, inProgress), `poked at ${at}, run at ${next}`);
        }
        assert.ok(starts.length <= pokes.length, 'no run without a poke');
        assert.equal(errors.length > 0, failEvery > 0);
      },
    ),
    { numRuns: 200 },
  );
});
