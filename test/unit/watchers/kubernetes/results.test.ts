import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Update } from '../../../../src/model.ts';
import { Hosts } from '../../../../watchers/kit/hosts.ts';
import { longestOption, serviceOptions } from '../../../../watchers/kit/service-options.ts';
import { withCommon } from '../../../../watchers/kit/source.ts';
import {
  type EndpointSlice,
  endpointSlice,
  type Service,
  serviceWith,
  understand,
} from '../../../../watchers/kubernetes/api/objects.ts';
import type { SecondRead } from '../../../../watchers/kubernetes/api/second-read.ts';
import { DiscoveredServices, queryFor } from '../../../../watchers/kubernetes/discovered.ts';
import { Results } from '../../../../watchers/kubernetes/results.ts';
import { kubernetesSettings } from '../../../../watchers/kubernetes/settings.ts';
import { View } from '../../../../watchers/kubernetes/view.ts';

const key = 'shop/web';
const service = serviceWith(['expose']);

function aService(name = 'web'): Service {
  return understand('', service, { metadata: { name, namespace: 'shop' }, spec: { ports: [{ port: 80 }] } });
}

function aSlice(name: string, addresses: readonly string[], owner = 'web'): EndpointSlice {
  return understand('', endpointSlice, {
    metadata: { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': owner } },
    addressType: 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address] })),
    ports: [{ port: 80 }],
  });
}

/** Both lists are read, with this Service and these slices; `ports`: those that further queries, called so, mean. */
function known(services: readonly Service[], slices: readonly EndpointSlice[], ports: readonly string[] = []) {
  const settings = withCommon(kubernetesSettings).parse({});
  const view = new View(new Set([key]));
  const told: Update[] = [];
  const about = { namespace: 'shop', service: 'web' };
  const queries = [
    { key: 'web', settings: {}, ...about },
    ...ports.map((port) => ({ key: port, settings: { port }, ...about })),
  ];
  const results = new Results({
    view,
    settings,
    queries,
    hosts: new Hosts(),
    discovered: null,
    emit: (update) => told.push(update),
  });
  view.replaceServices(services);
  results.lookAtAll();
  assert.equal(told.length, 0, 'half of it is nothing');
  view.replaceSlices(slices);
  results.lookAtAll();
  const last = (): string => {
    const update = told.at(-1);
    if (update?.kind !== 'endpoints') return update?.kind ?? 'nothing';
    return update.endpoints.map(({ address }) => address).join();
  };
  return { view, results, told, last };
}

const nobody: SecondRead = { services: new Map(), slices: new Map() };

test('nobody is told only after a second read has said so too, and then at once each time', () => {
  const { view, results, told, last } = known([aService()], [aSlice('a', ['10.0.0.1'])]);
  assert.equal(last(), '10.0.0.1');
  for (const change of view.changeSlices([{ kind: 'put', object: aSlice('a', []) }])) results.look(change);
  assert.ok(results.doubts.has(key));
  assert.equal(told.length, 1);
  results.confirm([key], { ...nobody, slices: new Map([[key, [aSlice('a', ['10.0.0.1'])]]]) });
  assert.ok(results.doubts.has(key), 'the second read denies it');
  assert.equal(told.length, 1);
  results.confirm([key], nobody);
  assert.deepEqual([last(), told.length, results.doubts.has(key)], ['', 2, false]);
  results.look(key);
  assert.deepEqual([told.length, results.doubts.has(key)], [3, false], 'it is known already');
});

test('a second read that fails makes stale only who is in doubt, and only while that lasts', () => {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'admin', port: 81, targetPort: 'admin' },
  ];
  const both = understand('', service, { metadata: { name: 'web', namespace: 'shop' }, spec: { ports } });
  const slice = (...names: readonly string[]): EndpointSlice => ({
    ...aSlice('a', ['10.0.0.1']),
    ports: names.map((name) => ({ name, port: 80, protocol: 'TCP' })),
  });
  const { view, results, told } = known([both], [slice('http', 'admin')], ['http', 'admin']);
  const since = (): string =>
    told
      .splice(0)
      .map(({ kind, ...rest }) => `${kind} ${'key' in rest ? rest.key : ''}`)
      .join();
  since();
  for (const change of view.changeSlices([{ kind: 'put', object: slice('http') }])) results.look(change);
  assert.equal(since(), 'stale web,endpoints http', 'there are two ports; nobody has the other one');
  results.doubtfulFor([key], 'HTTP 500');
  assert.equal(since(), 'stale admin');
  results.confirm([key], { ...nobody, slices: new Map([[key, [slice('http')]]]) });
  assert.equal(since(), 'endpoints admin');
  results.doubtfulFor([key], 'HTTP 500');
  assert.equal(since(), '', 'the doubt has ended');
});

test('what comes back before the second read ends the doubt', () => {
  const { view, results, last } = known([aService()], [aSlice('a', ['10.0.0.1'])]);
  for (const change of view.changeSlices([{ kind: 'delete', object: aSlice('a', []) }])) results.look(change);
  for (const change of view.changeSlices([{ kind: 'put', object: aSlice('b', ['10.0.0.2']) }])) results.look(change);
  results.confirm([key], nobody);
  assert.equal(last(), '10.0.0.2');
});

test('a Service that was there and is not is gone; one that never was has nobody', () => {
  const { view, results, last } = known([aService()], [aSlice('a', ['10.0.0.1'])]);
  for (const change of view.changeServices([{ kind: 'delete', object: aService() }])) results.look(change);
  results.confirm([key], {
    ...nobody,
    services: new Map([[key, aService()]]),
    slices: new Map([[key, [aSlice('a', ['10.0.0.1'])]]]),
  });
  assert.equal(last(), '10.0.0.1', 'the second read still has it');
  results.confirm([key], nobody);
  assert.equal(last(), 'gone');
  const never = known([], []);
  never.results.confirm([key], nobody);
  assert.deepEqual(never.told, [{ kind: 'endpoints', key: 'web', endpoints: [], unfit: [] }]);
});

test('while a resource fails nothing is told but that; then everything, changed or not', () => {
  const { view, results, told, last } = known([aService()], [aSlice('a', ['10.0.0.1'])]);
  results.setFailure('services', 'no rights');
  assert.deepEqual(told.at(-1), { kind: 'stale', key: 'web', reason: 'no rights' });
  for (const change of view.changeSlices([{ kind: 'put', object: aSlice('a', ['10.0.0.2']) }])) results.look(change);
  assert.equal(last(), 'stale');
  results.setFailure('services', null);
  assert.equal(last(), '10.0.0.2');
});

test('of a fat Service little is kept: the labels that are asked for, and the beginning of a long option', () => {
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`l${at}`, 'x'.repeat(60)]));
  const ports = Array.from({ length: 20_000 }, (_, at) => ({ port: at + 1 }));
  const read = understand('', service, {
    metadata: {
      name: 'web',
      namespace: 'shop',
      labels: { ...many, expose: 'true' },
      annotations: { 'myelin.dev/balance': 'x'.repeat(250_000), other: 'x'.repeat(250_000) },
    },
    spec: { ports, loadBalancerSourceRanges: Array.from({ length: 50_000 }, () => '10.0.0.0/8') },
  });
  assert.deepEqual(read.metadata.labels, { expose: 'true' });
  assert.equal(read.spec.ports.length, 1000);
  assert.equal(read.metadata.options.balance?.length, longestOption + 1);
});

test('a Service whose slices have another port is answered at once with the reason, and so when it is sure', () => {
  const slice = { ...aSlice('a', ['10.0.0.1']), ports: [{ name: 'web', port: 80, protocol: 'TCP' }] };
  const reason = 'the EndpointSlice a has no TCP port "" (it has web: 80)';
  const { results, told } = known([aService()], [slice]);
  assert.deepEqual(told, [{ kind: 'stale', key: 'web', reason, isUnanswerable: true }]);
  results.confirm([key], { ...nobody, slices: new Map([[key, [slice]]]) });
  assert.deepEqual(told.at(-1), {
    kind: 'endpoints',
    key: 'web',
    endpoints: [],
    unfit: [],
    unreadable: [{ id: 'a', reason }],
  });
});

test('while slices are written anew for a port that was renamed, nothing is told of what was answered before', () => {
  const { view, results, told, last } = known([aService()], [aSlice('a', ['10.0.0.1'])]);
  const renamed = { ...aSlice('a', ['10.0.0.1']), ports: [{ name: 'web', port: 80, protocol: 'TCP' }] };
  for (const change of view.changeSlices([{ kind: 'put', object: renamed }])) results.look(change);
  assert.deepEqual([last(), told.length, results.doubts.has(key)], ['10.0.0.1', 1, true]);
});

test('a new list replaces the old one whole; a slice that moves to another Service leaves the first', () => {
  const { view, results, last } = known([aService()], [aSlice('a', ['10.0.0.1']), aSlice('b', ['10.0.0.2'])]);
  assert.equal(last(), '10.0.0.1,10.0.0.2');
  view.replaceSlices([aSlice('b', ['10.0.0.2']), aSlice('c', ['10.0.0.3'])]);
  results.lookAtAll();
  assert.equal(last(), '10.0.0.2,10.0.0.3');
  for (const change of view.changeSlices([{ kind: 'put', object: aSlice('c', ['10.0.0.3'], 'other') }]))
    results.look(change);
  assert.equal(last(), '10.0.0.2');
});

test('what no query asks for is not kept, and touches nothing', () => {
  const { view } = known([aService()], [aSlice('a', ['10.0.0.1'])]);
  assert.equal(view.changeSlices([{ kind: 'put', object: aSlice('x', ['10.0.0.9'], 'other') }]).size, 0);
  assert.equal(view.changeServices([{ kind: 'put', object: aService('other') }]).size, 0);
  assert.equal(view.service('shop/other'), undefined);
});

test('an ExternalName that cannot be resolved holds up nothing, and keeps its last addresses', async () => {
  let zone: readonly string[] | null = null;
  const lookUp = () => (zone === null ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(zone));
  const told: Update[] = [];
  const external = (): Service =>
    understand('', service, {
      metadata: { name: 'web', namespace: 'shop' },
      spec: { type: 'ExternalName', externalName: 'db.example', ports: [{ name: 'db', port: 5432 }] },
    });
  const answering = async (memory: Map<string, readonly string[]>): Promise<Update | undefined> => {
    await using hosts = new Hosts({ lookUp, memory });
    const view = new View(new Set([key]));
    const results = new Results({
      view,
      settings: withCommon(kubernetesSettings).parse({ externalName: 'resolve' }),
      queries: [{ key: 'web', settings: { port: 5432 }, namespace: 'shop', service: 'web' }],
      hosts,
      discovered: null,
      emit: (update) => told.push(update),
    });
    view.replaceServices([external()]);
    view.replaceSlices([]);
    results.lookAtAll();
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    return told.at(-1);
  };
  const reason = 'cannot resolve "db.example": ENOTFOUND';
  const memory = new Map<string, readonly string[]>();
  assert.deepEqual(await answering(memory), { kind: 'stale', key: 'web', reason, isUnanswerable: true });
  zone = ['10.0.0.2', '10.0.0.1'];
  const found = await answering(memory);
  assert.deepEqual(found?.kind === 'endpoints' && found.endpoints.map(({ id }) => id), [
    '10.0.0.1:5432',
    '10.0.0.2:5432',
  ]);
  zone = null;
  told.length = 0;
  assert.deepEqual(await answering(memory), { kind: 'stale', key: 'web', reason });
  assert.equal(told.filter(({ kind }) => kind === 'endpoints').length, 1, 'the last ones are told to who asks anew');
});

/** A query for all Services with `expose: "true"`, both lists read, and what was told since, in a line each. */
function discovering(services: readonly Service[], slices: readonly EndpointSlice[]) {
  const view = new View(null);
  const told: string[] = [];
  const results = new Results({
    view,
    settings: withCommon(kubernetesSettings).parse({}),
    queries: [],
    hosts: new Hosts(),
    discovered: new DiscoveredServices({ key: '*shop', settings: { labels: { expose: 'true' }, namespace: 'shop' } }),
    emit(update) {
      if (update.kind === 'discovered') told.push(`discovered ${update.services.map(({ name }) => name).join()}`);
      if (update.kind === 'endpoints') told.push(`${update.key} ${update.endpoints.map(({ port }) => port).join()}`);
      if (update.kind === 'gone' || update.kind === 'stale') told.push(`${update.kind} ${update.key}`);
    },
  });
  view.replaceServices(services);
  results.discover(view.services, { isAll: true });
  view.replaceSlices(slices);
  results.lookAtAll();
  const change = (kind: 'put' | 'delete', object: Service): void => {
    const changed = view.changeServices([{ kind, object }]);
    results.discover(changed);
    for (const one of changed) results.look(one);
  };
  return { view, results, change, since: () => told.splice(0) };
}

function exposed(name: string, annotations: object = {}, labels: object = { expose: 'true' }): Service {
  const metadata = { name, namespace: 'shop', labels, annotations, creationTimestamp: '2026-01-02T03:04:05Z' };
  return understand('', service, { metadata, spec: { ports: [{ port: 80 }] } });
}

test('Services with the labels are offered, before anything is said of their endpoints; no others', () => {
  const { since } = discovering([exposed('web'), exposed('other', {}, {})], [aSlice('a', ['10.0.0.1'])]);
  assert.deepEqual(since(), ['discovered shop:web', '*shop/web 80']);
});

test('an offer has the age of the Service, and its annotations under myelin.dev/ for options', () => {
  const discovered = new DiscoveredServices({
    key: '*',
    settings: { labels: { expose: 'true' }, namespace: undefined },
  });
  discovered.note(exposed('web', { 'myelin.dev/listen': '10080', 'example.com/other': 'x' }));
  assert.deepEqual(discovered.all, [
    {
      key: '*shop/web',
      name: 'shop:web',
      owner: 'shop',
      createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
      options: { listen: '10080' },
    },
  ]);
});

test('a Service that loses the label is offered no more, at once; one that gains it is, with its endpoints', () => {
  const { change, since } = discovering([exposed('web')], [aSlice('a', ['10.0.0.1'])]);
  since();
  change('put', exposed('web', {}, {}));
  assert.deepEqual(since(), ['gone *shop/web', 'discovered ']);
  change('put', exposed('other', {}, {}));
  assert.deepEqual(since(), [], 'what never was offered');
  change('put', exposed('web'));
  assert.deepEqual(since(), ['discovered shop:web', '*shop/web 80']);
});

test('a Service without slices is in doubt as one whose slices may be to come, until it has some', (t) => {
  const { view, results, change, since } = discovering([exposed('web')], []);
  const why = t.mock.method(results.doubts, 'add');
  const last = (): unknown => why.mock.calls.at(-1)?.arguments;
  results.look(key);
  assert.deepEqual(last(), [key, 'without_slices']);
  change('put', exposed('web', { 'myelin.dev/mode': 'tcp' }));
  assert.deepEqual(last(), [key, 'without_slices'], 'whatever it is told to be meanwhile');
  since();
  for (const one of view.changeSlices([{ kind: 'put', object: aSlice('a', ['10.0.0.1']) }])) results.look(one);
  assert.deepEqual([since(), results.doubts.has(key)], [['*shop/web 80'], false]);
  for (const one of view.changeSlices([{ kind: 'put', object: aSlice('a', []) }])) results.look(one);
  assert.deepEqual(last(), [key, 'empty'], 'its slice says so');
});

test('a Service is created where there was none, or one of another identity; a change of it is none', () => {
  const withUid = (uid: string): Service => ({ ...aService(), metadata: { ...aService().metadata, uid } });
  const { view } = known([withUid('1')], []);
  const put = (object: Service) => ({ kind: 'put', object }) as const;
  assert.deepEqual(view.createdIn([put(withUid('1')), { kind: 'delete', object: withUid('1') }]), []);
  assert.deepEqual(view.createdIn([put(withUid('2'))]), [key]);
  view.changeServices([{ kind: 'delete', object: withUid('1') }]);
  assert.deepEqual(view.createdIn([put(withUid('1'))]), [key]);
});

test('a Service that is deleted is offered until a second read has confirmed it; then it is gone', () => {
  const { results, change, since } = discovering([exposed('web')], [aSlice('a', ['10.0.0.1'])]);
  since();
  change('delete', exposed('web'));
  assert.deepEqual(since(), []);
  results.confirm([key], {
    ...nobody,
    services: new Map([[key, exposed('web')]]),
    slices: new Map([[key, [aSlice('a', ['10.0.0.1'])]]]),
  });
  assert.deepEqual(since(), [], 'the second read still has it');
  results.confirm([key], nobody);
  assert.deepEqual(since(), ['gone *shop/web', 'discovered ']);
  change('put', exposed('web'));
  assert.deepEqual(since(), ['discovered shop:web', '*shop/web 80'], 'made anew');
});

test('an offered Service says itself which of its ports is meant, and may say otherwise later', () => {
  const ports = [
    { port: 80, name: 'http' },
    { port: 90, name: 'admin' },
  ];
  const slice = understand('', endpointSlice, {
    metadata: { name: 'a', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.0.0.1'] }],
    ports: [
      { name: 'http', port: 8080 },
      { name: 'admin', port: 9090 },
    ],
  });
  const choosing = (annotations: object): Service => {
    const metadata = { name: 'web', namespace: 'shop', labels: { expose: 'true' }, annotations };
    return understand('', service, { metadata, spec: { ports } });
  };
  const { change, since } = discovering([choosing({})], [slice]);
  assert.deepEqual(since(), ['discovered shop:web', 'stale *shop/web'], 'which of the two is not known');
  change('put', choosing({ 'myelin.dev/port': 'admin' }));
  assert.deepEqual(since(), ['discovered shop:web', '*shop/web 9090']);
  change('put', choosing({ 'myelin.dev/port': '80' }));
  assert.deepEqual(since(), ['discovered shop:web', '*shop/web 8080']);
});

test('a Service that is made anew while its end is being confirmed is offered all the while', () => {
  const { results, change, since } = discovering([exposed('web')], []);
  results.confirm([key], { ...nobody });
  since();
  change('delete', exposed('web'));
  results.confirm([key], { ...nobody, services: new Map([[key, exposed('web')]]) });
  assert.deepEqual(since(), ['*shop/web ']);
  change('put', exposed('web'));
  assert.deepEqual(since(), ['discovered shop:web', '*shop/web ']);
});

test('while a resource fails that is told of the query for many as well; when it is well again so are the offers', () => {
  const { results, since } = discovering([exposed('web')], [aSlice('a', ['10.0.0.1'])]);
  since();
  results.setFailure('endpointslices', 'no rights');
  assert.deepEqual(since(), ['stale *shop/web', 'stale *shop']);
  results.setFailure('endpointslices', null);
  assert.deepEqual(since(), ['discovered shop:web', '*shop/web 80']);
});

test('of annotations that are too many or too long no more is kept than it takes to refuse them', () => {
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`myelin.dev/x${at}`, 'y'.repeat(5000)]));
  const { options } = exposed('web', many).metadata;
  assert.ok(Object.keys(options).length <= serviceOptions.length + 1);
  assert.ok(Object.values(options).every((text) => text.length === longestOption + 1));
});

test('a port that is none is not asked for', () => {
  const query = queryFor(exposed('web', { 'myelin.dev/port': 'x\n'.repeat(1000) }));
  assert.deepEqual(query.settings, { service: 'web', namespace: 'shop' });
});
