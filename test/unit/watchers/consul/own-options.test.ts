/** What a discovered service of Consul says of itself, whoever wrote it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withDiscovered } from '../../../../src/config/discover/discovered.ts';
import { filterOfCatalog, filterOfInstances } from '../../../../watchers/consul/catalog/catalog-names.ts';
import { discoveredAs, type OldestInstance, oldestOf } from '../../../../watchers/consul/catalog/own-options.ts';
import { readInstances } from '../../../../watchers/consul/service/endpoints.ts';
import { serviceOptions } from '../../../../watchers/kit/service-options.ts';
import { load } from '../../../support/values/config.ts';

const byTag = { tag: 'expose', meta: {} };

function saying(tags: readonly string[], meta: Readonly<Record<string, string>> = {}): OldestInstance {
  return { name: 'web', createIndex: 7, tags, meta };
}

function options(tags: readonly string[], meta: Readonly<Record<string, string>> = {}, selection: object = byTag) {
  return discoveredAs(saying(tags, meta), { meta: {}, ...selection }, undefined).options;
}

test('meta myelin-OPTION and tags myelin.OPTION=VALUE are options, nothing else is', () => {
  const meta = { 'myelin-check-path': '/healthz', version: '2' };
  assert.deepEqual(options(['expose', 'blue', 'myelin.balance=first', 'myelin.check-host=a=b'], meta), {
    balance: 'first',
    'check-path': '/healthz',
    'check-host': 'a=b',
  });
});

test('what says that a service is served is no option, whatever it is called', () => {
  assert.deepEqual(options(['myelin.on', 'myelin.balance=first'], {}, { tag: 'myelin.on' }), { balance: 'first' });
  assert.deepEqual(options([], { 'myelin-on': 'yes' }, { meta: { 'myelin-on': 'yes' } }), {});
  assert.deepEqual(options(['myelin.on']), { on: '' }, 'else it is one, and unknown');
});

test('routes may stand in several places; any other option that is said twice, and not the same, is refused by name', async () => {
  assert.deepEqual(
    options(['myelin.routes=/a', 'myelin.routes=/b strip', 'myelin.mode=tcp'], {
      'myelin-routes': '/c',
      'myelin-mode': 'tcp',
    }),
    {
      routes: '/c,/a,/b strip',
      mode: 'tcp',
    },
  );
  const twice = options(['myelin.balance=first', 'myelin.check-path=/a', 'myelin.check-path=/b'], {
    'myelin-balance': 'random',
  });
  const { config } = await load('watchers: { consul: {} }\ndiscover: { consul: { tag: expose } }\n');
  const [discovery] = config.discoveries;
  assert.ok(discovery);
  const service = { ...discoveredAs(saying([]), byTag, undefined), options: twice };
  const [rejected] = withDiscovered(config, [{ discovery, service }]).rejected;
  assert.match(rejected?.reason ?? '', /^balance: "random\\nfirst" is not allowed; .*; check-path: /);
});

test('the instance that was registered first speaks for its service, in whatever order they come', () => {
  const instance = (id: string, index: number, tags: readonly string[]) => ({
    Node: { Node: 'n', Address: '192.0.2.1' },
    Service: { ID: id, Service: 'web', Port: 80, Tags: tags, CreateIndex: index },
    Checks: [],
  });
  const all = [instance('c', 9, ['myelin.mode=tcp']), instance('b', 5, []), instance('a', 5, ['first'])];
  for (const body of [all, all.toReversed()])
    assert.deepEqual(oldestOf(readInstances(body)), { name: 'web', createIndex: 5, tags: ['first'], meta: {} });
  assert.equal(oldestOf([]), null);
});

test('a discovered service that says the same stays the same object', () => {
  const before = discoveredAs(saying(['myelin.mode=tcp']), byTag, undefined);
  assert.equal(discoveredAs(saying(['myelin.mode=tcp', 'more']), byTag, before), before);
  assert.notEqual(discoveredAs(saying(['myelin.mode=http']), byTag, before), before);
});

test('whatever names, tags and meta hold, a service is served by one clean line each or left out by name', async () => {
  const text =
    'watchers: { consul: {} }\nfrontends: { public: { bind: "127.0.0.1:8080" } }\ndiscover: { consul: { tag: expose, hosts: ["*"] } }\n';
  const { config } = await load(text);
  const [discovery] = config.discoveries;
  assert.ok(discovery);
  const hostile = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '/a\n*/evil/ web',
      'a b|2|/x',
      '*/',
      '__proto__',
      'constructor',
      '/%0a',
      '${X}',
      '"\'\\',
      '\0',
      'x'.repeat(2000),
    ),
  );
  const option = fc.oneof(fc.constantFrom(...serviceOptions), hostile);
  const tag = fc.tuple(option, hostile).map(([name, value]) => `myelin.${name}=${value}`);
  const meta = fc.dictionary(
    option.map((name) => `myelin-${name}`),
    hostile,
    { noNullPrototype: true },
  );
  const property = fc.property(hostile, fc.array(fc.oneof(tag, hostile)), meta, (name, tags, its) => {
    const service = discoveredAs({ name, createIndex: 1, tags, meta: its }, byTag, undefined);
    assert.ok(Object.keys(service.options).length <= serviceOptions.length + 1);
    const { config: served, rejected } = withDiscovered(config, [{ discovery, service }]);
    assert.equal(served.services.size + rejected.length, 1);
    for (const { name: backend, routes } of served.services.values()) {
      assert.match(backend, /^[A-Za-z0-9_.:-]+$/);
      for (const { line } of routes) assert.match(line, /^[!-~]+ [!-~]+\n$/);
    }
  });
  fc.assert(property, { numRuns: 25 });
});

test('a filter holds tags and meta as texts of Consul in which every character stands for itself', () => {
  const selection = { tag: 'a" or "b', meta: { 'my-key': 'back\\slash', other: '' } };
  assert.equal(
    filterOfCatalog(selection),
    '`a" or "b` in ServiceTags and ServiceMeta["my-key"] == `back\\slash` and ServiceMeta["other"] == ``',
  );
  assert.equal(filterOfCatalog(byTag), '', 'the list has the tags');
  assert.equal(filterOfInstances({ meta: { v: '2' } }), 'Service.Meta["v"] == `2`');
});
