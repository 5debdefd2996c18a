import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Semaphore } from '../../../../watchers/kit/semaphore.ts';
import { TokenBucket } from '../../../../watchers/kit/token-bucket.ts';

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

test('permits are given in the order in which they were asked for, never more at once than there are', async () => {
  const permits = new Semaphore(2);
  const order: number[] = [];
  let taken = 0;
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      using _permit = await permits.acquire();
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

test('requests of which it is feared that they hang get a part of the permits, each group its share, and the rest goes on', async () => {
  const permits = new Semaphore(20);
  const taken: string[] = [];
  const take = async (group: string, isProven: () => boolean): Promise<void> => {
    await permits.acquire(group, isProven);
    taken.push(group);
  };
  let isFarWell = false;
  for (let at = 0; at < 50; at++) void take('far', () => isFarWell);
  for (let at = 0; at < 50; at++) void take('further', () => false);
  for (let at = 0; at < 50; at++) void take('here', () => true);
  const counts = async (): Promise<readonly number[]> => {
    await new Promise(setImmediate);
    return ['far', 'further', 'here'].map((group) => taken.filter((one) => one === group).length);
  };
  assert.deepEqual(await counts(), [2, 2, 16]);
  isFarWell = true;
  permits.add(10);
  assert.deepEqual(await counts(), [12, 2, 16], 'who is well again has waited longest');
});

test('all that are doubted together get no more than half of the permits', async () => {
  const permits = new Semaphore(10);
  let taken = 0;
  for (let at = 0; at < 30; at++) void permits.acquire(`far ${at}`, () => false).then(() => (taken += 1));
  await new Promise(setImmediate);
  assert.equal(taken, 5);
});

test('more permits let those who wait go on', async () => {
  const permits = new Semaphore(0);
  const waiting = [permits.acquire(), permits.acquire()];
  permits.add(Number.POSITIVE_INFINITY);
  await Promise.all(waiting);
});

test('an urgent request gets the next permit, before those that came first', async () => {
  const permits = new Semaphore(1);
  const order: string[] = [];
  const held = await permits.acquire();
  const begin = async (name: string, isUrgent: boolean): Promise<void> => {
    using _permit = await permits.acquire('', () => true, isUrgent);
    order.push(name);
  };
  const all = [begin('first', false), begin('second', false), begin('urgent', true), begin('urgent too', true)];
  held[Symbol.dispose]();
  await Promise.all(all);
  assert.deepEqual(order, ['urgent', 'urgent too', 'first', 'second']);
});
