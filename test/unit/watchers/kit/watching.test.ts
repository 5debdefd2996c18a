import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Update } from '../../../../src/model.ts';
import { withSynced } from '../../../../watchers/kit/watching.ts';
import { service } from '../../../support/discovered.ts';

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

test('one that it found and that vanished, or that cannot be answered, holds up no others', async () => {
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
