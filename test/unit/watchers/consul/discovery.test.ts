/** Which services are told of what the catalog names and queries about each show. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiscoveredService, Update } from '../../../../src/model.ts';
import { Discovery } from '../../../../watchers/consul/catalog/discovery.ts';
import type { ServiceResult } from '../../../../watchers/consul/service/result.ts';

function result(name: string | null, createIndex = 1): ServiceResult {
  const oldest = name === null ? null : { name, createIndex, tags: [], meta: {} };
  return {
    index: 1n,
    endpoints: [],
    unfit: [],
    instances: name === null ? 0 : 1,
    oldest,
    isFiltered: false,
    unreadable: [],
  };
}

/** What is said, in a line each; `followed`: the services that are followed now. */
function discovering(told = new Map<string, DiscoveredService>()) {
  const said: string[] = [];
  const followed = new Set<string>();
  const emit = (update: Update): void => {
    if (update.kind === 'discovered') said.push(`discovered ${update.services.map(({ name }) => name).join(' ')}`);
    else if (update.kind === 'gone' || update.kind === 'stale') said.push(`${update.kind} ${update.key}`);
  };
  const discovery = new Discovery({
    key: '*',
    selection: { tag: 'expose', meta: {} },
    told,
    emit,
    updates: {
      received: (key) => void said.push(`endpoints ${key}`),
      failed: (key) => void said.push(`failed ${key}`),
      forget: () => {},
    },
    follow(key, _, signal) {
      followed.add(key);
      signal.addEventListener('abort', () => followed.delete(key));
    },
    doubt: (service) => void said.push(`doubt ${service}`),
  });
  const news = (): readonly string[] => said.splice(0);
  return { discovery, followed, told, news, [Symbol.dispose]: () => discovery.end() };
}

test('nothing is told before the list is known and each of its services has been answered', () => {
  using its = discovering();
  its.discovery.listed(['a', 'b', 'c']);
  its.discovery.received('*b', result('b'));
  its.discovery.received('*a', result('a'));
  assert.deepEqual(its.news(), []);
  its.discovery.failed('*c', 'a wrong query', true);
  assert.deepEqual(its.news(), ['discovered a b', 'endpoints *a', 'endpoints *b', 'failed *c']);
  its.discovery.received('*c', result('c'));
  assert.deepEqual(its.news(), ['discovered a b c', 'endpoints *c']);
});

test('a list that lacks a service makes it doubted; only its own empty result makes it gone', () => {
  using its = discovering();
  its.discovery.listed(['a', 'b']);
  for (const name of ['a', 'b']) its.discovery.received(`*${name}`, result(name));
  its.news();
  its.discovery.listed(['b']);
  assert.deepEqual(its.news(), ['doubt a']);
  its.discovery.failed('*a', 'trouble', false);
  assert.deepEqual(its.news(), ['failed *a']);
  its.discovery.received('*a', result(null));
  assert.deepEqual(its.news(), ['gone *a', 'discovered b']);
  assert.deepEqual([...its.followed], ['*b']);
});

test('a service without instances is followed as long as the list names it', () => {
  using its = discovering();
  its.discovery.listed(['a']);
  its.discovery.received('*a', result('a'));
  its.discovery.received('*a', result(null));
  assert.deepEqual([...its.followed], ['*a'], 'the list may know more than the result');
  its.discovery.received('*a', result('a', 2));
  assert.deepEqual(its.news().slice(-2), ['discovered a', 'endpoints *a']);
  its.discovery.received('*a', result(null));
  its.discovery.listed([]);
  assert.deepEqual([...its.followed], []);
});

test('what was told before the source failed is told again until its own result takes it away', () => {
  using before = discovering();
  before.discovery.listed(['a', 'b']);
  for (const name of ['a', 'b']) before.discovery.received(`*${name}`, result(name));
  using its = discovering(before.told);
  its.discovery.listed(['b', 'c']);
  its.discovery.received('*b', result('b'));
  its.discovery.received('*c', result('c'));
  assert.deepEqual(its.news(), []);
  its.discovery.failed('*a', 'trouble', false);
  assert.deepEqual(its.news(), ['discovered a b c', 'endpoints *b', 'endpoints *c', 'failed *a']);
  its.discovery.received('*a', result(null));
  assert.deepEqual(its.news(), ['gone *a', 'discovered b c']);
});

test('a list that cannot be read is told as stale, and as all that is known once it can be', () => {
  using its = discovering();
  its.discovery.listed([]);
  assert.deepEqual(its.news(), ['discovered ']);
  its.discovery.listFailed('trouble', false);
  its.discovery.listed([]);
  assert.deepEqual(its.news(), ['stale *', 'discovered ']);
});
