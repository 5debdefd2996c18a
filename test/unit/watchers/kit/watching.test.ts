import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Update } from '../../../../src/model.ts';
import { type Watching, watching, withSynced } from '../../../../watchers/kit/watching.ts';
import { listen } from '../../../../watchers/public/listen.ts';
import { until } from '../../../support/index.ts';
import { service } from '../../../support/values/discovered.ts';

/** What is said, one letter each: a stands for an answer, s for stale, o for offers, ! for synced. */
async function said(keys: readonly string[], updates: readonly Update[]): Promise<string> {
  const queries = keys.map((key) => ({ key, settings: {} }));
  async function* source(): AsyncGenerator<Update> {
    yield* updates;
  }
  const letters = { endpoints: 'a', gone: 'a', stale: 's', discovered: 'o', synced: '!' };
  let text = '';
  for await (const { kind } of withSynced(queries, source())) text += letters[kind];
  return text;
}

const answer = (key: string): Update => ({ kind: 'endpoints', key, endpoints: [] });
const stale = (key: string, isUnanswerable: true | undefined = undefined): Update => ({
  kind: 'stale',
  key,
  reason: 'why',
  ...(isUnanswerable && { isUnanswerable }),
});
const discovered = (...names: readonly string[]): Update => ({
  kind: 'discovered',
  key: '*',
  services: names.map((name) => service(name)),
});

test('synced is said once, after every query has been answered; without queries at once', async () => {
  assert.equal(await said([], [answer('a')]), '!a');
  assert.equal(await said(['a', 'b'], [answer('a'), stale('b'), answer('a'), answer('b'), answer('b')]), 'asaa!a');
});

test('a query for many services is answered when each that it found has been', async () => {
  const [a, b] = [answer('*shop/a'), answer('*shop/b')];
  assert.equal(await said(['*'], [discovered()]), 'o!');
  assert.equal(await said(['*', 'x'], [discovered('a', 'b'), a, answer('x'), b, discovered('c')]), 'oaaa!o');
  assert.equal(
    await said(['*'], [discovered('a', 'b'), a, discovered('a', 'b'), b]),
    'oaoa!',
    'once answered is enough',
  );
});

test('a service that a query found and that vanished, or that cannot be answered, holds up no others', async () => {
  assert.equal(await said(['*'], [discovered('a', 'b'), answer('*shop/a'), discovered('a')]), 'oao!');
  assert.equal(await said(['*'], [discovered('a', 'b'), stale('*shop/a', true), answer('*shop/b')]), 'osa!');
  assert.equal(
    await said(['*'], [discovered('a'), stale('*shop/a'), answer('*shop/a')]),
    'osa!',
    'the source is in trouble',
  );
});

test('a listed service that cannot be answered holds up no others; one whose source is in trouble does', async () => {
  assert.equal(await said(['a', 'b'], [stale('a', true), answer('b'), answer('a')]), 'sa!a');
  assert.equal(await said(['a'], [stale('a', true), stale('a')]), 's!s');
  assert.equal(await said(['a', 'b'], [stale('a'), answer('b'), stale('a'), answer('a')]), 'sasa!');
});

/** A watcher whose call is in the hands of the test. */
function inHand(): {
  readonly call: Promise<Watching<unknown>>;
  readonly watch: ReturnType<typeof watching>;
  end(): void;
} {
  const [begun, ended] = [Promise.withResolvers<Watching<unknown>>(), Promise.withResolvers<void>()];
  const watch = watching<unknown>((call) => {
    begun.resolve(call);
    return ended.promise;
  });
  return { call: begun.promise, watch, end: ended.resolve };
}

test('of updates that nobody has read yet the newest of each kind counts, and discovered services go first', async () => {
  const { call, watch, end } = inHand();
  const stop = new AbortController();
  const updates = watch([{ key: 'never', settings: {} }], stop.signal)[Symbol.asyncIterator]();
  const first = updates.next();
  const { emit } = await call;
  emit({ kind: 'stale', key: 'x', reason: 'for a moment' });
  await first;
  emit({ kind: 'discovered', key: '*', services: [] });
  emit({ kind: 'endpoints', key: '*shop/a', endpoints: [] });
  emit({ kind: 'stale', key: '*shop/a', reason: 'why' });
  emit({ kind: 'gone', key: '*shop/a' });
  emit({ kind: 'discovered', key: '*', services: [service('a')] });
  const read: Update[] = [];
  for (let at = 0; at < 3; at++) {
    const { value } = await updates.next();
    if (value !== undefined) read.push(value);
  }
  assert.deepEqual(
    read.map((update) => [update.kind, update.kind === 'discovered' && update.services.length]),
    [
      ['discovered', 1],
      ['stale', false],
      ['gone', false],
    ],
  );
  stop.abort();
  end();
  assert.equal((await updates.next()).done, true);
});

test('what was emitted before a failure is read, and the end waits until all is closed', async () => {
  const { call, watch, end } = inHand();
  await using heard = listen((signal) => watch([{ key: 'a', settings: {} }], signal));
  const { emit, fail, signal } = await call;
  emit({ kind: 'endpoints', key: 'a', endpoints: [] });
  fail(new Error('gone away'));
  fail(new Error('and again'));
  assert.ok(signal.aborted, 'it is told to end');
  await until('what was emitted is read', () => heard.count('endpoints') === 1);
  assert.equal(heard.error, undefined, 'it has not come to its end');
  end();
  await until('the first failure is told', () => heard.error instanceof Error && heard.error.message === 'gone away');
});

test('that its beginning fails is a failure of the source', async () => {
  await using heard = listen((signal) => watching(() => Promise.reject(new Error('no such host')))([], signal));
  await until('it is told', () => heard.error instanceof Error && heard.error.message === 'no such host');
});
