/** Trouble between Myelin and a real API server is never absence: no endpoint goes, nothing is asked in a loop, it mends itself. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Listening } from '../../../../watchers/public/listen.ts';
import { type FaultProxy, type Faults, startFaultProxy } from '../../../servers/fault-proxy.ts';
import { startKubernetes } from '../../../servers/kubernetes.ts';
import { forFile } from '../../../support/for-file.ts';
import { secondsPass, tempFolder, until } from '../../../support/index.ts';
import { watcherRules } from '../../../support/kubernetes/kubeconfig.ts';
import {
  deleteSlice,
  followServices,
  putService,
  putSlice,
  replaceFile,
  slicesPath,
} from '../../../support/kubernetes/services.ts';

const cluster = await forFile(startKubernetes());
await cluster.namespace('shop');

const names = ['a', 'b', 'c'] as const;
let rounds = 0;

/**
 * `service` is served at these addresses, and no others, each with a slice of its own. In a list the slice that came last
 * is before the second: whoever sees only the beginning misses one that was there all the while. The first one stays the
 * first, by which a list is recognised.
 */
async function serve(service: string, addresses: readonly string[], slices: number): Promise<void> {
  for (let at = 0; at < slices; at++) {
    const name = `${service}-${at === 0 ? 0 : 10 - at}`;
    const address = addresses[at];
    if (address === undefined) await deleteSlice(cluster, 'shop', name);
    else
      await putSlice(cluster, 'shop', service, name, {
        endpoints: [{ addresses: [address] }],
        ports: [{ port: 80 }],
      });
  }
}

type Round = AsyncDisposable & {
  readonly heard: Listening;
  readonly proxy: FaultProxy;
  readonly prefix: string;
  /** All three services get this third endpoint. */
  addThird(): Promise<void>;
  servesThird(): boolean;
  /** Both watches have something to tell: a Service and a slice with another annotation. */
  touchBoth(): Promise<void>;
  /** No answer since the round began lacks one of the two endpoints that never leave. */
  removedNothing(): boolean;
};

/** Addresses of the two. */
const stayed = ['192.0.2.1', '192.0.2.2'] as const;
const servedStayed = stayed.map((address) => `${address}:80`);

/** Three services, each with two endpoints, followed through a proxy. */
async function followThree(settings: Readonly<Record<string, unknown>> = {}, namespace = 'shop'): Promise<Round> {
  const proxy = await startFaultProxy(cluster.address);
  const prefix = `round-${rounds++}-`;
  for (const name of names) {
    await putService(cluster, namespace, prefix + name, { ports: [{ port: 80 }] });
    await serve(prefix + name, stayed, 2);
  }
  const queries = Object.fromEntries(names.map((name) => [name, { service: prefix + name }]));
  const heard = await followServices(cluster, namespace, queries, { server: proxy.address, settings });
  await until('synced', () => heard.count('synced') === 1);
  await until('both resources are watched', () => watches(proxy) === 2 && proxy.underway === 2);
  const began = heard.said.length;
  return {
    heard,
    proxy,
    prefix,
    async addThird() {
      for (const name of names) await serve(prefix + name, [...stayed, '192.0.2.3'], 3);
    },
    servesThird: () => names.every((name) => heard.served(name)?.length === 3),
    async touchBoth() {
      const [first] = names;
      const metadata = { annotations: { touched: 'yes' } };
      await cluster.api('PATCH', `/api/v1/namespaces/${namespace}/services/${prefix}${first}`, { metadata });
      await cluster.api('PATCH', `${slicesPath(namespace)}/${prefix}${first}-0`, { metadata });
    },
    removedNothing: () => heldAll(heard.said.slice(began)),
    async [Symbol.asyncDispose]() {
      await heard[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

function watches({ requests }: FaultProxy): number {
  return requests.filter((url) => url.searchParams.has('watch')).length;
}

function reasons({ said }: Listening): readonly string[] {
  return said.flatMap((event) => (event.kind === 'failed' || event.kind === 'stale' ? [event.reason] : []));
}

function heldAll(said: Listening['said']): boolean {
  return said.every((event) => {
    if (event.kind !== 'endpoints') return event.kind !== 'gone';
    const addresses = new Set(event.endpoints.map(({ address }) => address));
    return stayed.every((address) => addresses.has(address));
  });
}

type Case = {
  readonly faults: Faults;
  /** In the two seconds after the trouble began. */
  readonly requestsAtMost: number;
  readonly requestsAtLeast?: number;
  /** While it lasts there is a change to tell at every watch. */
  readonly hasNews?: boolean;
  readonly says?: RegExp;
  readonly settings?: Readonly<Record<string, unknown>>;
};

const notYet = { kind: 'Status', code: 403, message: 'not yet' };
const cases: Readonly<Record<string, Case>> = {
  'answers 403': {
    faults: { kind: 'status', status: 403, body: JSON.stringify(notYet) },
    requestsAtMost: 40,
    says: /HTTP 403 \(not yet\); the rule \{ apiGroups: \[".*"\], resources: \["(services|endpointslices)"\].*Role in shop/,
  },
  'answers 429 and asks for two seconds': {
    faults: { kind: 'status', status: 429, body: 'slow down', headers: { 'retry-after': '2' } },
    requestsAtMost: 6,
    says: /HTTP 429 \(slow down\)/,
  },
  'answers 500': {
    faults: { kind: 'status', status: 500, body: 'etcd is away' },
    requestsAtMost: 40,
    says: /HTTP 500 \(etcd is away\)/,
  },
  'answers with a page of HTML': {
    faults: { kind: 'status', status: 200, body: '<html></html>' },
    requestsAtMost: 60,
    says: /not JSON|not a list/,
  },
  'answers with JSON of another kind': {
    faults: { kind: 'status', status: 200, body: '{"items":[]}' },
    requestsAtMost: 60,
    says: /not a list of the Kubernetes API|not an event/,
  },
  'cuts its answers short': {
    faults: { kind: 'cut-short' },
    requestsAtMost: 60,
    requestsAtLeast: 6,
    says: /watch (services|endpointslices) in namespace shop: the answer was cut short/,
    hasNews: true,
  },
  'has forgotten its history and cuts its lists short': {
    faults: ({ searchParams }) =>
      searchParams.has('watch') ? { kind: 'status', status: 410, body: 'too old' } : { kind: 'cut-short' },
    requestsAtMost: 60,
    requestsAtLeast: 6,
    says: /list (services|endpointslices) in namespace shop: the answer was cut short/,
  },
  'falls silent': {
    faults: { kind: 'silent' },
    requestsAtMost: 10,
    says: /no answer, although the connection holds/,
    settings: { idleTimeout: '700ms' },
  },
};

for (const [what, { faults, requestsAtMost, requestsAtLeast = 2, says, hasNews, settings }] of Object.entries(cases)) {
  test(`an API server that ${what}: no endpoint is removed, few questions are asked, it recovers by itself`, async () => {
    await using round = await followThree(settings);
    const { heard, proxy } = round;
    const asked = proxy.requests.length;
    proxy.spoil(faults, { breakOff: true });
    if (hasNews) await round.touchBoth();
    await secondsPass(2);
    const requests = proxy.requests.length - asked;
    assert.ok(requests >= requestsAtLeast && requests <= requestsAtMost, `${requests} requests in two seconds`);
    if (says !== undefined)
      await until('the failure is told', () => reasons(heard).some((reason) => says.test(reason)));
    for (const name of names) assert.deepEqual(heard.served(name), servedStayed, name);
    await round.addThird();
    proxy.spoil(null);
    await until('all are served again, with what is new', round.servesThird);
    assert.ok(round.removedNothing());
  });
}

test('a stream that breaks is resumed at once, from where it was: nothing is listed, nobody is told', async () => {
  await using round = await followThree();
  const { heard, proxy } = round;
  const asked = proxy.requests.length;
  proxy.spoil(null, { breakOff: true });
  await round.addThird();
  await until('what is new is told', round.servesThird);
  const later = proxy.requests.slice(asked);
  assert.ok(
    later.every((url) => url.searchParams.has('resourceVersion')),
    later.join('\n'),
  );
  assert.equal(reasons(heard).length, 0);
  assert.equal(heard.count('started'), 1);
});

/** Of everything, page by page: not those of one object. */
function wholeLists(requests: readonly URL[]): readonly URL[] {
  return requests.filter(({ searchParams }) => !searchParams.has('watch') && searchParams.get('limit') !== '1');
}

test('after an outage all goes on from where it was: what changed meanwhile is told, and nothing is listed anew', async () => {
  await using round = await followThree();
  const { heard, proxy, prefix } = round;
  await serve(`${prefix}c`, [...stayed, '192.0.2.9'], 3);
  await until('the change is told', () => heard.served('c')?.length === 3);
  const asked = proxy.requests.length;
  proxy.spoil({ kind: 'status', status: 503 }, { breakOff: true });
  await until('it failed, and failed again', () => heard.count('failed') >= 2);
  await serve(`${prefix}a`, [...stayed, '192.0.2.3'], 3);
  await serve(`${prefix}b`, [...stayed, '192.0.2.3'], 3);
  await serve(`${prefix}c`, stayed, 3);
  await putService(cluster, 'shop', `${prefix}b`, {
    ports: [
      { name: 'one', port: 80 },
      { name: 'other', port: 81 },
    ],
  });
  proxy.spoil(null);
  await until('synced again', () => heard.count('synced') === 2);
  await until(
    'all changes are told',
    () =>
      heard.served('a')?.length === 3 &&
      heard.served('c')?.length === 2 &&
      /has several ports/.test(heard.staleReason('b') ?? ''),
  );
  assert.deepEqual(wholeLists(proxy.requests.slice(asked)), []);
  assert.ok(round.removedNothing());
});

const clusters = {
  'with other objects': { version: '9'.repeat(30), uid: 'another' },
  'that was put back to an earlier state': { version: '1', uid: undefined },
} as const;
for (const [what, { version, uid }] of Object.entries(clusters))
  test(`a cluster ${what} at the same address, after an outage, is listed anew`, async () => {
    await using round = await followThree();
    const { heard, proxy } = round;
    // Its first objects as they are, but for what the case says.
    const firsts = new Map<string, string>();
    for (const { pathname, search } of wholeLists(proxy.requests)) {
      const { items } = (await cluster.api('GET', pathname + search)) as { items: readonly { metadata: object }[] };
      const metadata = { ...items[0]?.metadata, ...(uid !== undefined && { uid }) };
      firsts.set(pathname, JSON.stringify({ metadata: { resourceVersion: version }, items: [{ metadata }] }));
    }
    proxy.spoil({ kind: 'status', status: 503 }, { breakOff: true });
    await until('it failed', () => heard.count('failed') > 0);
    const asked = proxy.requests.length;
    proxy.spoil(({ pathname, searchParams }) =>
      searchParams.get('limit') === '1' ? { kind: 'status', status: 200, body: firsts.get(pathname) ?? '' } : null,
    );
    await until('synced again', () => heard.count('synced') === 2);
    assert.equal(wholeLists(proxy.requests.slice(asked)).length, 2, 'of Services, and of EndpointSlices');
    await round.addThird();
    await until('what is new is told', round.servesThird);
    assert.ok(round.removedNothing());
  });

test('a stream that is open and dead is noticed: what changed meanwhile is told soon', async () => {
  await using round = await followThree({ idleTimeout: '1s' });
  const { heard, proxy } = round;
  proxy.freeze();
  await round.addThird();
  const frozenAt = performance.now();
  await until('what is new is told', round.servesThird);
  assert.ok(performance.now() - frozenAt < 3000, `${Math.round(performance.now() - frozenAt)} ms`);
  assert.equal(heard.count('failed'), 0);
  assert.ok(round.removedNothing());
});

test('a proxy that keeps every stream to itself is found out by a list', async () => {
  await using round = await followThree({ idleTimeout: '500ms' });
  const { heard, proxy } = round;
  proxy.spoil((url) => (url.searchParams.has('watch') ? { kind: 'mute' } : null), { breakOff: true });
  await round.addThird();
  await until('what is new is told', round.servesThird);
  assert.deepEqual(reasons(heard), []);
  assert.ok(round.removedNothing());
});

test('an API server that dies and comes back: nobody is removed, and what is new is told within two seconds', async () => {
  await using round = await followThree();
  const { heard, prefix } = round;
  await cluster.stopApiserver();
  await until('it failed, and failed again', () => heard.count('failed') >= 3);
  await secondsPass(3);
  for (const name of names) assert.deepEqual(heard.served(name), servedStayed, name);
  await cluster.startApiserver();
  await serve(`${prefix}a`, [...stayed, '192.0.2.3'], 3);
  const changedAt = performance.now();
  await until('what is new is told', () => heard.served('a')?.join() === [...servedStayed, '192.0.2.3:80'].join());
  assert.ok(performance.now() - changedAt < 2000, `${Math.round(performance.now() - changedAt)} ms`);
  assert.ok(round.removedNothing());
});

test('history that the server has forgotten is listed anew: what went is not told any more, and nobody vanishes meanwhile', async () => {
  await using round = await followThree({ idleTimeout: '60s' });
  const { heard, proxy, prefix } = round;
  await round.addThird();
  await until('all three are told', round.servesThird);
  proxy.freeze();
  // While we do not see it: one of three goes, and the server forgets how it was before.
  await serve(`${prefix}a`, stayed, 3);
  await cluster.stopApiserver();
  await cluster.compact();
  await cluster.startApiserver();
  const asked = proxy.requests.length;
  proxy.spoil(null, { breakOff: true });
  await until('the one that went is not told any more', () => heard.served('a')?.length === 2);
  assert.equal(heard.count('started'), 1, 'without another start');
  assert.equal(reasons(heard).length, 0);
  const lists = proxy.requests.slice(asked).filter((url) => !url.searchParams.has('watch'));
  assert.ok(lists.length > 0, 'it was listed anew');
  assert.ok(round.removedNothing());
});

test('a right that is withdrawn is named with the rule that gives it back; then all goes on', async () => {
  await using round = await followThree();
  const { heard, proxy } = round;
  const [services] = watcherRules;
  const weak = [
    services ?? {},
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['get', 'list'] },
  ];
  await cluster.setRules('shop', weak);
  // What is open stays open; the next one is refused, as soon as the server has heard of it.
  await until(
    'it is refused',
    () => {
      proxy.spoil(null, { breakOff: true });
      return reasons(heard).some((reason) =>
        /watch endpointslices in namespace shop: HTTP 403 .*resources: \["endpointslices"\], verbs: \["get", "list", "watch"\]/.test(
          reason,
        ),
      );
    },
    { everyMs: 300 },
  );
  assert.ok(round.removedNothing());
  await round.addThird();
  await cluster.setRules('shop', watcherRules);
  await until('all are served again, with what is new', round.servesThird);
});

test('a token that is revoked and replaced in its file is used at the next request, and nobody is told', async () => {
  await using folder = await tempFolder();
  const tokenFile = join(folder.path, 'token');
  const old = await cluster.token('shop');
  await replaceFile(tokenFile, old);
  await using proxy = await startFaultProxy(cluster.address);
  await putService(cluster, 'shop', 'rotated', { ports: [{ port: 80 }] });
  await serve('rotated', ['192.0.2.1'], 1);
  await using heard = await followServices(
    cluster,
    'shop',
    { rotated: {} },
    { server: proxy.address, credentials: { tokenFile } },
  );
  await until('served', () => heard.served('rotated')?.length === 1);
  // A service account of the same name is another one: its rights are the same, the old tokens are void.
  const accounts = '/api/v1/namespaces/shop/serviceaccounts';
  await cluster.api('DELETE', `${accounts}/myelin`);
  await cluster.api('POST', accounts, { metadata: { name: 'myelin' } });
  await until('a new token works', async () => {
    const token = await cluster.token('shop');
    await cluster.api('GET', '/api/v1/namespaces/shop/services', undefined, token);
    await replaceFile(tokenFile, token);
    return true;
  });
  // The API server remembers for ten seconds that a token was good.
  await until('the old one is refused', () =>
    cluster.api('GET', '/api/v1/namespaces/shop/services', undefined, old).then(
      () => false,
      (error: unknown) => error instanceof Error && error.cause === 401,
    ),
  );
  proxy.spoil(null, { breakOff: true });
  await serve('rotated', ['192.0.2.1', '192.0.2.2'], 2);
  await until('what is new is told', () => heard.served('rotated')?.length === 2);
  assert.equal(heard.count('failed') + heard.count('stale'), 0);
});

test('a stream is resumed from the bookmark that came last, although nothing that is watched has changed', async () => {
  await using round = await followThree();
  const { heard, proxy } = round;
  // Something else moves the cluster on.
  const { metadata } = (await cluster.api('POST', '/api/v1/namespaces/default/configmaps', {
    metadata: { generateName: 'other-' },
  })) as { metadata: { resourceVersion: string } };
  const { resourceVersion } = metadata;
  const isWatch = ({ searchParams }: URL): boolean => searchParams.has('watch');
  const before = proxy.requests.filter(isWatch);
  assert.ok(before.every((url) => url.searchParams.get('allowWatchBookmarks') === 'true'));
  assert.ok(before.every((url) => url.searchParams.get('resourceVersion') !== resourceVersion));
  const asked = proxy.requests.length;
  const bookmark = JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion } } });
  // An error ends the stream in its turn, once the bookmark has been read.
  const end = JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 500, message: 'about to stop' } });
  proxy.inject(isWatch, `${bookmark}\n${end}`);
  await until('both are resumed', () => watches(proxy) === before.length + 2 && proxy.underway === 2);
  const later = proxy.requests.slice(asked);
  assert.deepEqual(
    later.map(({ searchParams }) => searchParams.get('resourceVersion')),
    [resourceVersion, resourceVersion],
  );
  await round.addThird();
  await until('what is new is told', round.servesThird);
  assert.ok(proxy.requests.filter(isWatch).every((url) => url.searchParams.get('allowWatchBookmarks') === 'true'));
  assert.deepEqual(reasons(heard), []);
});

test('one strange object does not hold up what came before it, and is told', async () => {
  await using round = await followThree();
  const { heard, proxy } = round;
  const metadata = { name: 'strange', namespace: 'shop', resourceVersion: '1' };
  proxy.inject(
    (url) => url.pathname.endsWith('/endpointslices'),
    JSON.stringify({ type: 'ADDED', object: { metadata, endpoints: 5 } }),
  );
  await until('it is told', () =>
    reasons(heard).some((reason) => /watch endpointslices.*not one of endpointslices \(addressType/.test(reason)),
  );
  await round.addThird();
  await until('all are served, with what is new', round.servesThird);
  assert.ok(round.removedNothing());
});

test('a server that takes fewer questions at once than there are answers them one after another: nothing begins anew', async () => {
  await using proxy = await startFaultProxy(cluster.address);
  let lists = 0;
  proxy.spoil((url) => {
    if (url.searchParams.has('watch')) return null;
    lists += 1;
    // Of the first 80 these are too many at once; they come again a second later.
    const isTooMuch = lists > 50 && lists <= 80;
    return isTooMuch ? { kind: 'status', status: 429, body: 'slow down', headers: { 'retry-after': '1' } } : null;
  });
  const queries = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`s${at}`, { namespace: `n${at}` }]));
  const credentials = { token: cluster.adminToken };
  await using heard = await followServices(cluster, 'shop', queries, { server: proxy.address, credentials });
  await until('synced', () => heard.count('synced') === 1, { withinMs: 20_000 });
  assert.deepEqual([heard.count('started'), heard.count('failed')], [1, 0]);
  assert.ok(reasons(heard).some((reason) => /HTTP 429/.test(reason)));
});

test('while one namespace cannot be read the others go on, and it mends itself', async () => {
  await using proxy = await startFaultProxy(cluster.address);
  await putService(cluster, 'shop', 'well', { ports: [{ port: 80 }] });
  await serve('well', stayed, 2);
  const queries = { well: {}, ill: { namespace: 'default', service: 'kubernetes' } };
  const credentials = { token: cluster.adminToken };
  const faults = [
    { kind: 'status', status: 503 },
    { kind: 'status', status: 200, body: '<html></html>' },
  ] as const;
  for (const fault of faults) {
    await using heard = await followServices(cluster, 'shop', queries, { server: proxy.address, credentials });
    await until('synced', () => heard.count('synced') === 1);
    const ofOne = (url: URL) => (url.pathname.includes('/default/') ? fault : null);
    proxy.spoil(ofOne, { breakOff: true });
    await until('it is told', () => heard.staleReason('ill') !== null);
    await serve('well', [...stayed, '192.0.2.3'], 3);
    await until('the other is followed', () => heard.served('well')?.length === 3);
    assert.equal(heard.staleReason('well'), null);
    proxy.spoil(null);
    await until('it is well again', () => heard.staleReason('ill') === null);
    assert.deepEqual([heard.count('started'), heard.count('failed')], [1, 0]);
    assert.ok(heldAll(heard.said.filter((one) => !('key' in one) || one.key === 'well')));
    await serve('well', stayed, 3);
  }
});

test('however long some of the namespaces were refused, what is new there is told within two seconds of the end', async () => {
  await using proxy = await startFaultProxy(cluster.address);
  proxy.spoil((url) => (url.pathname.includes('/refused') ? { kind: 'status', status: 403, body: 'no' } : null));
  const refused = Array.from({ length: 8 }, (_, at) => `refused${at}`);
  const queries = Object.fromEntries(['shop', ...refused].map((namespace) => [namespace, { namespace }]));
  const credentials = { token: cluster.adminToken };
  await using heard = await followServices(cluster, 'shop', queries, { server: proxy.address, credentials });
  await secondsPass(8);
  assert.equal(heard.count('synced'), 0);
  proxy.spoil(null);
  const mendedAt = performance.now();
  await until('all are told', () => heard.count('synced') === 1);
  assert.ok(performance.now() - mendedAt < 2000, `${Math.round(performance.now() - mendedAt)} ms`);
  assert.equal(heard.count('started'), 1);
});

test('a server that is down for many namespaces is told at once as the failure of the source', async () => {
  await using proxy = await startFaultProxy(cluster.address);
  const queries = Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`s${at}`, { namespace: `n${at}` }]));
  const credentials = { token: cluster.adminToken };
  await using heard = await followServices(cluster, 'shop', queries, { server: proxy.address, credentials });
  await until('synced', () => heard.count('synced') === 1);
  const downAt = performance.now();
  proxy.spoil({ kind: 'status', status: 500, body: 'etcd is away' }, { breakOff: true });
  await until('it failed', () => heard.count('failed') > 0);
  assert.ok(performance.now() - downAt < 1000, `${Math.round(performance.now() - downAt)} ms`);
  proxy.spoil(null);
  await until('synced again', () => heard.count('synced') === 2);
});

test('a source that is down at the start is asked little, however many queries there are', async () => {
  await using proxy = await startFaultProxy(cluster.address);
  proxy.spoil({ kind: 'status', status: 500, body: 'etcd is away' });
  const queries = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`s${index}`, {}]));
  await using heard = await followServices(cluster, 'shop', queries, { server: proxy.address });
  await until('it was tried five times', () => heard.count('failed') >= 5);
  assert.ok(proxy.requests.length <= 2 * heard.count('started'), `${proxy.requests.length} requests`);
  assert.equal(heard.count('stale'), 0);
  proxy.spoil(null);
  await until('synced', () => heard.count('synced') === 1);
});
