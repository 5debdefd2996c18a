import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Turns } from '../../watchers/consul/turns.ts';
import { TokenBucket } from '../../watchers/token-bucket.ts';

test('however eagerly it is asked, a token bucket lets through no more than its burst and its rate', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(500)), (gaps) => {
      const bucket = new TokenBucket({ burst: 2, everyMs: 100 }, 0);
      let now = 0;
      const passed = gaps.map((gap) => {
        now += gap;
        now += bucket.take(now);
        return now;
      });
      for (const [count, at] of passed.entries())
        assert.ok(count + 1 <= 2 + at / 100 + 1e-6, `${count + 1} by ${at} ms`);
    }),
  );
});

test('a token that is there is taken without delay', () => {
  const bucket = new TokenBucket({ burst: 2, everyMs: 100 }, 0);
  assert.deepEqual(
    [0, 0, 0, 1000, 1000].map((now) => bucket.take(now)),
    [0, 0, 100, 0, 0],
  );
});

test('turns are taken in the order in which they were asked for, never more at once than there are', async () => {
  const turns = new Turns(2);
  const order: number[] = [];
  let taken = 0;
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      using _turn = await turns.take();
      order.push(index);
      taken += 1;
      assert.ok(taken <= 2);
      await new Promise(setImmediate);
      taken -= 1;
    }),
  );
  assert.deepEqual(
    order,
    Array.from({ length: 20 }, (_, index) => index),
  );
});

test('more turns let those who wait go on', async () => {
  const turns = new Turns(0);
  const waiting = [turns.take(), turns.take()];
  turns.add(Number.POSITIVE_INFINITY);
  await Promise.all(waiting);
});
