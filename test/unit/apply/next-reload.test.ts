/** When the next reload may start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nextReload, type ReloadHistory, type ReloadLimits, type Waiting } from '../../../src/apply/reload-policy.ts';

const settings: ReloadLimits = { minInterval: 2000, jitter: 0, maxOldWorkers: 4, maxDelay: 30_000 };
const fresh: ReloadHistory = { reloadedAt: null, backingOffUntil: null };
const waiting: Waiting = { since: 10_000, isStart: false, oldWorkers: 0 };

test('a first reload starts at once', () => {
  assert.deepEqual(nextReload(settings, fresh, waiting, 0.5), { at: 10_000, because: 'nothing' });
});

test('the gap to the last reload is kept, with jitter on top', () => {
  const history = { ...fresh, reloadedAt: 9000 };
  assert.deepEqual(nextReload(settings, history, waiting, 0.5), { at: 11_000, because: 'min_interval' });
  assert.equal(nextReload({ ...settings, jitter: 1000 }, history, waiting, 0.5).at, 11_500);
});

test('a start waits for no gap: nothing serves', () => {
  const start = { ...waiting, isStart: true, oldWorkers: 9 };
  assert.equal(nextReload(settings, { ...fresh, reloadedAt: 9999 }, start, 0).at, 10_000);
});

test('what failed before waits until its back-off is over', () => {
  const history = { ...fresh, backingOffUntil: 12_000 };
  assert.deepEqual(nextReload(settings, history, waiting, 0), { at: 12_000, because: 'back_off' });
  assert.equal(nextReload(settings, { ...history, reloadedAt: 11_000 }, waiting, 0).because, 'min_interval');
});

test('too many old workers hold a reload back for maxDelay after it was first wanted, and no longer', () => {
  assert.deepEqual(nextReload(settings, fresh, { ...waiting, oldWorkers: 4 }, 0), {
    at: 40_000,
    because: 'old_workers',
    retires: true,
  });
  assert.equal(nextReload(settings, fresh, { ...waiting, oldWorkers: 3 }, 0).at, 10_000);
});

test('no reload starts before the gap is over or later than every limit together allows', () => {
  const moment = fc.integer({ min: 0, max: 1_000_000 });
  fc.assert(
    fc.property(
      fc.record({
        minInterval: fc.integer({ min: 0, max: 10_000 }),
        jitter: fc.integer({ min: 0, max: 10_000 }),
        maxOldWorkers: fc.integer({ min: 1, max: 8 }),
        maxDelay: fc.integer({ min: 0, max: 60_000 }),
      }),
      fc.record({ reloadedAt: fc.option(moment), backingOffUntil: fc.option(moment) }),
      fc.record({ since: moment, isStart: fc.boolean(), oldWorkers: fc.nat(10) }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (limits, history, wish, random) => {
        const { at } = nextReload(limits, history, wish, random);
        const { reloadedAt, backingOffUntil } = history;
        assert.ok(at >= wish.since);
        assert.ok(at >= (backingOffUntil ?? 0));
        if (reloadedAt !== null && !wish.isStart) assert.ok(at >= reloadedAt + limits.minInterval);
        const latest = Math.max(
          wish.since + limits.maxDelay,
          (reloadedAt ?? 0) + limits.minInterval + limits.jitter,
          backingOffUntil ?? 0,
        );
        assert.ok(at <= latest);
      },
    ),
  );
});
