import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import fc from 'fast-check';
import { Mailbox } from '../../../src/lib/mailbox.ts';

test('of every key only the newest unread value is read, in the order in which they came', async () => {
  const latest = new Mailbox<string>();
  latest.put('a', 'a1');
  latest.put('b', 'b1');
  latest.put('a', 'a2');
  latest.fail(new Error('down'));
  const read: string[] = [];
  await assert.rejects(async () => {
    for await (const value of latest.read(new AbortController().signal)) read.push(value);
  }, /down/);
  assert.deepEqual(read, ['b1', 'a2']);
});

test('whatever the rhythm of writing and reading, the last value of each key is read', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), wait: fc.boolean() })),
      async (writes) => {
        const latest = new Mailbox<{ key: string; at: number }>();
        const stop = new AbortController();
        const seen = new Map<string, number>();
        const expected = new Map(writes.map(({ key }, at) => [key, at]));
        const reading = (async () => {
          for await (const { key, at } of latest.read(stop.signal)) {
            assert.ok(at > (seen.get(key) ?? -1));
            seen.set(key, at);
          }
        })();
        for (const [at, { key, wait }] of writes.entries()) {
          latest.put(key, { key, at });
          if (wait) await Promise.resolve();
        }
        await new Promise(setImmediate);
        stop.abort();
        await reading;
        assert.deepEqual(seen, expected);
      },
    ),
  );
});

test('an abort ends the reading and leaves no listener', async () => {
  const stop = new AbortController();
  const reading = new Mailbox<string>().read(stop.signal).next();
  assert.equal(getEventListeners(stop.signal, 'abort').length, 1);
  stop.abort();
  assert.deepEqual(await reading, { done: true, value: undefined });
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
});

test('a value that is put in place is read when the one that it replaces would have been', async () => {
  const latest = new Mailbox<string>();
  const stop = new AbortController();
  for (const [key, value] of [
    ['a', 'a1'],
    ['b', 'b1'],
  ] as const)
    latest.put(key, value);
  latest.put('a', 'a2', { inPlace: true });
  latest.put('c', 'c1', { inPlace: true });
  const read: string[] = [];
  for await (const value of latest.read(stop.signal)) if (read.push(value) === 3) stop.abort();
  assert.deepEqual(read, ['a2', 'b1', 'c1']);
});
