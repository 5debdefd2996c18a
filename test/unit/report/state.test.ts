import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lacksEndpoints, type StateReason, stateOf, stateReasons } from '../../../src/report/state.ts';

const all = Object.keys(stateReasons) as StateReason[];
const holding = (reasons: readonly StateReason[]): Record<StateReason, boolean> =>
  Object.fromEntries(all.map((reason) => [reason, reasons.includes(reason)])) as Record<StateReason, boolean>;

test('Myelin is ready where nothing speaks against it', () => {
  assert.deepEqual(stateOf(holding([])), { state: 'ready', stateReasons: [] });
});

test('Myelin is starting before anything is applied, unresponsive with a HAProxy that hangs, and else degraded by any reason', () => {
  fc.assert(
    fc.property(fc.subarray(all, { minLength: 1 }), (reasons) => {
      const has = (reason: StateReason): boolean => reasons.includes(reason);
      const state = has('nothing_applied') ? 'starting' : has('haproxy_unresponsive') ? 'unresponsive' : 'degraded';
      assert.deepEqual(stateOf(holding(reasons)), { state, stateReasons: reasons });
    }),
  );
});

test('a service without endpoints is as it should be where its config accepts that, and never where all are unfit', () => {
  const none = { ready: 0, draining: 0, kept: 0, unfit: 0, refused: 0 };
  const lacks = (counts: Partial<typeof none>, onEmpty: 'doubt' | 'keep' | 'accept', unanswered: string[] = []) =>
    lacksEndpoints({ endpoints: { ...none, ...counts }, unanswered }, onEmpty);
  assert.deepEqual([lacks({}, 'doubt'), lacks({}, 'keep'), lacks({}, 'accept')], [true, true, false]);
  assert.equal(lacks({ unfit: 1 }, 'accept'), true);
  assert.equal(lacks({ ready: 1, unfit: 1 }, 'doubt'), false);
  assert.equal(lacks({}, 'doubt', ['consul']), false, 'its source has not answered yet');
});
