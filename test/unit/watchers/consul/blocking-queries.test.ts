/** Queries that wait for news of a catalog which may be replaced by a snapshot. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockingQueries } from '../../../../watchers/consul/service/blocking-queries.ts';

test('one query of all that wait is for a server to answer', () => {
  const blocking = new BlockingQueries();
  const first = blocking.begin();
  using second = blocking.begin();
  assert.deepEqual([first.isSentinel, second.isSentinel], [true, false]);
  first[Symbol.dispose]();
  using third = blocking.begin();
  using fourth = blocking.begin();
  assert.deepEqual([third.isSentinel, fourth.isSentinel], [true, false]);
});

test('queries that wait are ended within two seconds, and not at once; what begins then waits', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const blocking = new BlockingQueries();
  const waiting = Array.from({ length: 100 }, () => blocking.begin());
  const ended = (): number => waiting.filter(({ signal }) => signal.aborted).length;
  blocking.endAll();
  using later = blocking.begin();
  assert.equal(ended(), 0);
  t.mock.timers.tick(1000);
  assert.ok(ended() > 20 && ended() < 80, `${ended()}`);
  t.mock.timers.tick(1000);
  assert.equal(ended(), 100);
  blocking.endAll();
  t.mock.timers.tick(2000);
  assert.equal(later.signal.aborted, false, 'once in half a minute');
  for (const one of waiting) one[Symbol.dispose]();
});
