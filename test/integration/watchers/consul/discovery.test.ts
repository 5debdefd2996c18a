/** Discovery with a real Consul agent: which services are told, what they choose, and what takes them away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { supervise } from '../../../../src/sources/supervise.ts';
import type { ConsulDiscovery } from '../../../../watchers/consul/settings.ts';
import {
  consulDiscoveries,
  consulDiscovery,
  consulQuery,
  consulSettings,
} from '../../../../watchers/consul/settings.ts';
import { watchConsul } from '../../../../watchers/consul/watch.ts';
import { withCommon } from '../../../../watchers/kit/source.ts';
import { type Listening, listen } from '../../../../watchers/public/listen.ts';
import { type ConsulAgent, startConsul } from '../../../servers/consul.ts';
import { startFaultProxy } from '../../../servers/fault-proxy.ts';
import { forFile } from '../../../support/for-file.ts';
import { until } from '../../../support/index.ts';

const consul = await forFile(startConsul());

/** Each test has a tag, or meta, of its own: one agent serves them all. */
function discovering(
  selection: Partial<ConsulDiscovery>,
  settings: Readonly<Record<string, unknown>> = {},
  listed: readonly string[] = [],
): Listening {
  const parsed = withCommon(consulSettings).parse({ address: consul.address, ...settings });
  const queries = [
    ...consulDiscoveries(parsed, consulDiscovery.parse(selection)).map(({ key, query }) => ({
      key: `*${key}`,
      settings: query,
    })),
    ...listed.map((key) => ({ key, settings: consulQuery.parse({}) })),
  ];
  const watch = watchConsul(parsed, {});
  return listen((signal) => supervise('consul', (stop) => watch(queries, stop), { signal }));
}

/** The services that were told last; null: none so far. */
function told(heard: Listening) {
  const last = heard.said.findLast((event) => event.kind === 'discovered');
  return last?.kind === 'discovered' ? last.services.toSorted((a, b) => (a.name < b.name ? -1 : 1)) : null;
}

const names = (heard: Listening): string | undefined =>
  told(heard)
    ?.map(({ name }) => name)
    .join(' ');

function failures(heard: Listening): number {
  return heard.said.filter(({ kind }) => kind === 'failed').length;
}

/** Before anything of its endpoints is said, a service is told. */
function assertToldFirst({ said }: Listening): void {
  let keys = new Set<string>();
  for (const event of said) {
    if (event.kind === 'discovered') keys = new Set(event.services.map(({ key }) => key));
    if (event.kind === 'endpoints' && event.key.startsWith('*')) assert.ok(keys.has(event.key), event.key);
  }
}

test('a service of Consul is served from the moment at which an instance carries the tag until none does', async () => {
  await consul.register({ name: 'tag-other', port: 9009, tags: ['other'] });
  await using heard = discovering({ tag: 'tag' });
  await until('it is synced, with nothing', () => heard.count('synced') === 1 && names(heard) === '');
  await consul.register({
    name: 'tag-web',
    port: 9001,
    tags: ['tag', 'myelin.routes=/web'],
    meta: { 'myelin-balance': 'first' },
  });
  await until('it is told', () => heard.served('*tag-web')?.join() === '127.0.0.1:9001');
  const [web] = told(heard) ?? [];
  assert.deepEqual(web, {
    ...web,
    key: '*tag-web',
    name: 'tag-web',
    owner: 'default',
    options: { balance: 'first', routes: '/web' },
  });
  await consul.register({ name: 'tag-web', port: 9002, tags: ['blue'] });
  await consul.register({ name: 'tag-web', port: 9003, tags: ['blue', 'tag'] });
  await until('only instances with the tag are', () => heard.served('*tag-web')?.length === 2);
  assert.deepEqual(heard.served('*tag-web'), ['127.0.0.1:9001', '127.0.0.1:9003']);

  await consul.setCheck('tag-web-9001', 'fail');
  await consul.setCheck('tag-web-9003', 'fail');
  await until('nobody is fit', () => heard.served('*tag-web')?.length === 0);
  assert.equal(names(heard), 'tag-web', 'it is there all the same');
  assert.equal(heard.unfit('*tag-web')?.length, 2);

  await consul.register({ name: 'tag-web', port: 9001 });
  await consul.register({ name: 'tag-web', port: 9003 });
  await until('it has lost the tag', () => names(heard) === '');
  assert.ok(heard.said.some((event) => event.kind === 'gone' && event.key === '*tag-web'));
  await consul.register({ name: 'tag-web', port: 9003, tags: ['tag'] });
  await consul.setCheck('tag-web-9003', 'pass');
  await until('it is back', () => names(heard) === 'tag-web' && heard.served('*tag-web')?.length === 1);
  await consul.deregister('tag-web-9003');
  await until('it is gone', () => names(heard) === '');
  assert.equal(failures(heard), 0);
  assertToldFirst(heard);
});

test('a service may be chosen by meta, or by tag and meta', async () => {
  const meta = { 'by-meta': 'say "yes" \\ no' };
  await consul.register({ name: 'meta-both', port: 9001, tags: ['meta'], meta });
  await consul.register({ name: 'meta-one', port: 9001, meta });
  await consul.register({ name: 'meta-none', port: 9001, tags: ['meta'], meta: { 'by-meta': 'no' } });
  await using one = discovering({ meta });
  await using both = discovering({ tag: 'meta', meta });
  await until('both are synced', () => one.count('synced') === 1 && both.count('synced') === 1);
  assert.equal(names(one), 'meta-both meta-one');
  assert.equal(names(both), 'meta-both');
  assert.deepEqual(both.served('*meta-both'), ['127.0.0.1:9001']);
});

test('the instance that was registered first speaks for a service until it is gone; one that is registered again keeps its age', async () => {
  const say = (port: number, mode: string) =>
    consul.register({ name: 'age', port, tags: ['age'], meta: { 'myelin-mode': mode } });
  await say(9001, 'tcp');
  await using heard = discovering({ tag: 'age' });
  await until('it is told', () => names(heard) === 'age');
  const createdAt = told(heard)?.[0]?.createdAt ?? 0;
  const others = { name: 'age', port: 9002, tags: ['age'], meta: { 'myelin-mode': 'http' } };
  await consul.register(others);
  await until('both serve', () => heard.served('*age')?.length === 2);
  assert.deepEqual(told(heard)?.[0]?.options, { mode: 'tcp' });
  await consul.register({
    name: 'age',
    port: 9001,
    tags: ['age'],
    meta: { 'myelin-mode': 'tcp', 'myelin-balance': 'first' },
  });
  await until('the oldest has changed its mind', () => told(heard)?.[0]?.options.balance === 'first');
  assert.equal(told(heard)?.[0]?.createdAt, createdAt);
  await consul.deregister('age-9001');
  await until('the newer one counts', () => told(heard)?.[0]?.options.mode === 'http');
  assert.ok((told(heard)?.[0]?.createdAt ?? 0) > createdAt);
});

test('names that differ in their case are one service, as they are for Consul', async () => {
  await consul.register({ name: 'Case', port: 9001, tags: ['case'] });
  await consul.register({ name: 'cASE', port: 9002, tags: ['case'] });
  await using heard = discovering({ tag: 'case' });
  await until('it is synced', () => heard.count('synced') === 1);
  assert.equal(names(heard), 'Case');
  assert.deepEqual(heard.served('*case'), ['127.0.0.1:9001', '127.0.0.1:9002']);
});

test('a service whose name is no name holds nobody up: it fails alone', async () => {
  const name = 'evil\u001b[31m\nservices';
  await consul.register({ name, port: 9003, tags: ['evil'] });
  await consul.register({ name: 'good', port: 9004, tags: ['evil'] });
  await using heard = discovering({ tag: 'evil' });
  await until('it is synced', () => heard.count('synced') === 1);
  assert.deepEqual([names(heard), heard.served('*good'), failures(heard)], ['good', ['127.0.0.1:9004'], 0]);
});

test('a list that lacks a service removes nothing: it may come from a server that lags, or is filtered', async () => {
  await consul.register({ name: 'lag-web', port: 9001, tags: ['lag'] });
  await using proxy = await startFaultProxy(consul.address);
  await using heard = discovering({ tag: 'lag' }, { address: proxy.address, wait: '300ms' });
  await until('it is told', () => heard.served('*lag-web')?.length === 1);
  let lists = 0;
  const answer = (index: string, headers: object) => {
    proxy.spoil((url) => {
      if (!url.pathname.endsWith('/catalog/services')) return null;
      lists += 1;
      return {
        kind: 'status',
        status: 200,
        body: '{}',
        headers: { 'content-type': 'application/json', 'x-consul-index': index, ...headers },
      };
    });
  };
  for (const [index, headers] of [
    ['99999999', {}],
    ['1', {}],
    ['99999999', { 'x-consul-results-filtered-by-acls': 'true' }],
  ] as const) {
    const before = lists;
    answer(index, headers);
    await until('the list was read', () => lists > before, { withinMs: 15_000 });
    await consul.register({ name: 'lag-web', port: 9001, tags: ['lag'], meta: { round: `${before}` } });
    await until('the next change is told', () => heard.endpoints('*lag-web')?.[0]?.meta?.round === `${before}`);
  }
  assert.equal(names(heard), 'lag-web');
  assert.equal(heard.count('gone'), 0);
  await until(
    'the filtered one is told as trouble',
    () => /may not see any service/.test(heard.staleReason('*') ?? ''),
    {
      withinMs: 15_000,
    },
  );
});

test('a source that fails takes nothing away, and what vanished meanwhile is gone once that is confirmed', async () => {
  await consul.register({ name: 'fail-web', port: 9001, tags: ['fail'] });
  await consul.register({ name: 'fail-old', port: 9002, tags: ['fail'] });
  await using proxy = await startFaultProxy(consul.address);
  await using heard = discovering({ tag: 'fail' }, { address: proxy.address });
  await until(
    'both are told',
    () => heard.served('*fail-old')?.length === 1 && heard.served('*fail-web')?.length === 1,
  );
  proxy.spoil({ kind: 'status', status: 500, body: 'No cluster leader' }, { breakOff: true });
  await until('the failure is told', () => failures(heard) > 0);
  await consul.deregister('fail-old-9002');
  await consul.register({ name: 'fail-new', port: 9003, tags: ['fail'] });
  assert.equal(heard.count('gone'), 0);
  assert.equal(names(heard), 'fail-old fail-web');
  proxy.spoil(null);
  await until('all is as it is in Consul', () => names(heard) === 'fail-new fail-web', { withinMs: 15_000 });
  assert.ok(heard.said.some((event) => event.kind === 'gone' && event.key === '*fail-old'));
  assertToldFirst(heard);
});

test('a service that cannot be read holds nothing up for long, and comes when it can', async () => {
  await consul.register({ name: 'held-web', port: 9001, tags: ['held'] });
  await consul.register({ name: 'held-bad', port: 9002, tags: ['held'] });
  await using proxy = await startFaultProxy(consul.address);
  proxy.spoil((url) => (url.pathname.endsWith('/held-bad') ? { kind: 'status', status: 500, body: 'broken' } : null));
  await using heard = discovering({ tag: 'held' }, { address: proxy.address });
  await until('the other one is told', () => heard.served('*held-web')?.length === 1, { withinMs: 20_000 });
  assert.equal(names(heard), 'held-web');
  assert.match(heard.staleReason('*held-bad') ?? '', /HTTP 500/);
  proxy.spoil(null);
  await until('it is told as well', () => names(heard) === 'held-bad held-web', { withinMs: 15_000 });
  assertToldFirst(heard);
});

test('without the right to see services the source says so, and nothing is gone', async () => {
  await using guarded: ConsulAgent = await startConsul({ acl: true });
  await guarded.register({ name: 'acl-web', port: 9001, tags: ['acl'] });
  await using heard = discovering({ tag: 'acl' }, { address: guarded.address });
  await until('the missing right is told', () =>
    heard.said.some((event) => event.kind === 'failed' && /may not see any service/.test(event.reason)),
  );
  assert.equal(heard.count('discovered'), 0);
});

test('services that outnumber the connections are all told, and followed, within the budget', async () => {
  await using proxy = await startFaultProxy(consul.address);
  const all = Array.from({ length: 40 }, (_, at) => `many-${at}`);
  for (const name of all.slice(0, 30)) await consul.register({ name, port: 9001, tags: ['many'] });
  for (const maxConnections of [3, 12]) {
    await using heard = discovering({ tag: 'many' }, { address: proxy.address, maxConnections }, ['many-0']);
    await until('all are served', () => heard.count('synced') === 1, { withinMs: 30_000 });
    for (const name of all) await consul.register({ name, port: 9002, tags: ['many'] });
    await until(
      'all changes are told',
      () => all.every((name) => heard.served(`*${name}`)?.includes('127.0.0.1:9002')),
      {
        withinMs: 30_000,
      },
    );
    for (const name of all.slice(30)) await consul.deregister(`${name}-9002`);
    await until('those that go are gone', () => told(heard)?.length === 30, { withinMs: 30_000 });
    for (const name of all.slice(0, 30)) await consul.deregister(`${name}-9002`);
    await until('the others go on', () => all.slice(0, 30).every((name) => heard.served(`*${name}`)?.length === 1), {
      withinMs: 30_000,
    });
    assert.ok(proxy.connections.most <= 12, `${proxy.connections.most} connections`);
    assertToldFirst(heard);
    assert.equal(failures(heard), 0);
  }
});

test('an abort ends it promptly and leaves no connection behind', async () => {
  await consul.register({ name: 'end-web', port: 9001, tags: ['end'] });
  await using proxy = await startFaultProxy(consul.address);
  const heard = discovering({ tag: 'end' }, { address: proxy.address });
  await until('it is told', () => heard.served('*end-web')?.length === 1);
  const stoppedAt = performance.now();
  await heard.stop();
  assert.ok(performance.now() - stoppedAt < 1000);
  await until('every connection is closed', () => proxy.connections.open === 0);
});

test('services of Consul with tags of fabio are served by the instances that have them, and what means nothing is told', async () => {
  await consul.register({
    name: 'fabio-web',
    port: 9001,
    tags: ['urlprefix-/web strip=/web', 'urlprefix-/x auth=mine'],
  });
  await consul.register({ name: 'fabio-web', port: 9002, tags: ['blue'] });
  await consul.register({ name: 'fabio-none', port: 9003, tags: ['blue'] });
  await using heard = discovering({ routes: 'fabio' });
  await until('it is synced', () => heard.count('synced') === 1);
  assert.equal(names(heard), 'fabio-web');
  assert.deepEqual(told(heard)?.[0]?.options, { routes: '/web strip' });
  assert.deepEqual(heard.served('*fabio-web'), ['127.0.0.1:9001']);
  const last = heard.said.findLast((event) => event.kind === 'endpoints');
  assert.deepEqual(last?.kind === 'endpoints' && last.unreadable, [
    { id: 'urlprefix-/x auth=mine', reason: '"urlprefix-/x auth=mine": no route: auth means nothing here' },
  ]);
  await consul.register({ name: 'fabio-none', port: 9003, tags: ['urlprefix-/none'] });
  await until('one that gets such a tag is told', () => names(heard) === 'fabio-none fabio-web');
  await consul.register({ name: 'fabio-web', port: 9001, tags: ['blue'] });
  await until('one that loses its last one is not', () => names(heard) === 'fabio-none');
  assertToldFirst(heard);
});
