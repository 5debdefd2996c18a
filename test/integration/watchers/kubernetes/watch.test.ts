/** The Kubernetes watcher with a real control plane: who is served, by which credentials, with which rights. */
import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openAccess } from '../../../../watchers/kubernetes/api/access.ts';
import { createApi } from '../../../../watchers/kubernetes/api/api.ts';
import type { Listening } from '../../../../watchers/public/listen.ts';
import { startFaultProxy } from '../../../servers/fault-proxy.ts';
import { startKubernetes } from '../../../servers/kubernetes.ts';
import { forFile } from '../../../support/for-file.ts';
import { tempFolder, until } from '../../../support/index.ts';
import { kubeconfigText, watcherRules } from '../../../support/kubernetes/kubeconfig.ts';
import {
  deletePod,
  deleteService,
  followServices,
  putNode,
  putPod,
  putService,
  putSlice,
  replaceFile,
} from '../../../support/kubernetes/services.ts';

const cluster = await forFile(startKubernetes());
await putNode(cluster, 'node-1', 'za');
await putNode(cluster, 'node-2', 'zb');
await cluster.namespace('shop');

function follow(queries: Readonly<Record<string, object>>, settings: Readonly<Record<string, unknown>> = {}) {
  return followServices(cluster, 'shop', queries, { settings });
}

/** A Service `name` that selects pods by their label `app`. */
async function service(name: string, spec: object = {}): Promise<void> {
  await putService(cluster, 'shop', name, { selector: { app: name }, ports: [{ port: 80 }], ...spec });
}

async function pods(app: string, count: number, ready = true): Promise<void> {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  // Some at a time: they wait for the server, not for the test.
  for (let at = 0; at < numbers.length; at += 10)
    await Promise.all(
      numbers
        .slice(at, at + 10)
        .map((number) =>
          putPod(cluster, 'shop', `${app}-${number}`, { labels: { app }, addresses: [`192.0.2.${number}`], ready }),
        ),
    );
}

function states(heard: Listening, key: string): readonly string[] {
  return (heard.endpoints(key) ?? []).map(({ id, state }) => `${id} ${state}`).sort();
}

function reasons(heard: Listening): readonly string[] {
  return heard.said.flatMap((event) => (event.kind === 'failed' || event.kind === 'stale' ? [event.reason] : []));
}

test('pods that come, get ready, fall ill, leave and are gone: the servers follow', async () => {
  await service('web');
  await using heard = await follow({ web: {} });
  await until('nobody is there', () => heard.served('web')?.length === 0);
  await pods('web', 1, false);
  await pods('web', 1);
  await until('it is served', () => heard.served('web')?.join() === '192.0.2.1:80');
  assert.deepEqual(heard.endpoints('web'), [
    {
      id: 'web-1',
      address: '192.0.2.1',
      port: 80,
      weight: 1,
      state: 'ready',
      meta: { pod: 'web-1', node: 'node-1', zone: 'za' },
      origin: { namespace: 'shop', node: 'node-1', zone: 'za' },
    },
  ]);
  await pods('web', 1, false);
  await until('it is left out', () => heard.served('web')?.length === 0);
  await pods('web', 2);
  await until('both are served', () => heard.served('web')?.length === 2);
  await deletePod(cluster, 'shop', 'web-1', true);
  await until('the one that was told to go drains', () => states(heard, 'web').join() === 'web-1 draining,web-2 ready');
  await deletePod(cluster, 'shop', 'web-2', true);
  await until(
    'when all have been told to go they serve',
    () => states(heard, 'web').join() === 'web-1 ready,web-2 ready',
  );
  await deletePod(cluster, 'shop', 'web-1');
  await deletePod(cluster, 'shop', 'web-2');
  await until('nobody is there any more', () => heard.served('web')?.length === 0);
  await pods('web', 50);
  await until('fifty are served', () => heard.served('web')?.length === 50);
  assert.equal(heard.count('failed') + heard.count('stale') + heard.count('gone'), 0);
});

test('250 endpoints of one Service, in several slices, are one list', async () => {
  await service('large', { ports: [{ name: 'http', port: 80, targetPort: 8080 }] });
  await using heard = await follow({ large: { port: 'http' } });
  await pods('large', 250);
  await until('all are served', () => heard.served('large')?.length === 250, { withinMs: 60_000 });
  const selector = '?labelSelector=kubernetes.io/service-name=large';
  const slices = (await cluster.api('GET', `/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices${selector}`)) as {
    items: readonly unknown[];
  };
  assert.ok(slices.items.length >= 3, `${slices.items.length} slices`);
  const ids = (heard.endpoints('large') ?? []).map(({ id }) => id);
  assert.equal(new Set(ids).size, 250);
});

test('lists that come in several pages are read to the end, and from the start where the next page has expired', async () => {
  const names = [1, 2, 3, 4, 5].map((number) => `page-${number}`);
  for (const [at, name] of names.entries()) {
    await putService(cluster, 'shop', name, { ports: [{ port: 80 }] });
    await putSlice(cluster, 'shop', name, `${name}-1`, {
      endpoints: [{ addresses: [`192.0.2.${at + 1}`] }],
      ports: [{ port: 80 }],
    });
  }
  const expired = { kind: 'Status', code: 410, reason: 'Expired', message: 'the continue parameter is too old' };
  for (const pagesExpired of [0, 1]) {
    await using proxy = await startFaultProxy(cluster.address);
    const left = new Map<string, number>();
    proxy.spoil(({ pathname, searchParams }) => {
      const isFirst = !searchParams.has('continue');
      const expiring = left.get(pathname) ?? pagesExpired;
      if (isFirst || expiring === 0) return { kind: 'small-pages', size: 2 };
      left.set(pathname, expiring - 1);
      return { kind: 'status', status: 410, body: JSON.stringify(expired) };
    });
    const queries = Object.fromEntries(names.map((name) => [name, {}]));
    await using heard = await followServices(cluster, 'shop', queries, { server: proxy.address });
    await until('synced', () => heard.count('synced') === 1);
    assert.deepEqual(
      names.map((name) => heard.served(name)),
      names.map((_, at) => [`192.0.2.${at + 1}:80`]),
    );
    assert.ok(heard.said.every((event) => event.kind !== 'endpoints' || event.endpoints.length === 1));
    assert.deepEqual(reasons(heard), []);
    const slices = proxy.requests.filter(
      ({ pathname, searchParams }) => pathname.endsWith('/endpointslices') && !searchParams.has('watch'),
    );
    const pages = slices.map(({ searchParams }) => (searchParams.has('continue') ? 'next' : 'first'));
    const all = ['first', 'next', 'next'];
    assert.deepEqual(pages, pagesExpired === 0 ? all : ['first', 'next', ...all]);
  }
});

test('a Service that is deleted is gone; made anew with another port it is served there', async () => {
  await service('brief');
  await pods('brief', 2);
  await using heard = await follow({ brief: {} });
  await until('served', () => heard.served('brief')?.join() === '192.0.2.1:80,192.0.2.2:80');
  await deleteService(cluster, 'shop', 'brief');
  await until('it is gone', () => heard.count('gone') > 0);
  await service('brief', { ports: [{ port: 81, targetPort: 8081 }] });
  await until('it is back', () => heard.served('brief')?.join() === '192.0.2.1:8081,192.0.2.2:8081');
  assert.equal(heard.count('failed'), 0);
});

test('a Service whose port is renamed again and again has its pods all the while', async () => {
  const rename = (name: string, targetPort: number) => service('renamed', { ports: [{ name, port: 80, targetPort }] });
  await rename('p0', 8000);
  await pods('renamed', 2);
  await using heard = await follow({ renamed: {} });
  await until('served', () => heard.served('renamed')?.length === 2);
  const began = heard.said.length;
  for (let round = 1; round <= 10; round++) {
    await rename(`p${round}`, 8000 + round);
    await until('the new one is served', () => heard.served('renamed')?.[0] === `192.0.2.1:${8000 + round}`);
  }
  const since = heard.said.slice(began);
  assert.ok(since.every((event) => event.kind !== 'endpoints' || event.endpoints.length === 2));
});

test('named ports, a headless Service and publishNotReadyAddresses are understood, and a port must be chosen among several', async () => {
  await service('multi', {
    ports: [
      { name: 'http', port: 80, targetPort: 8080 },
      { name: 'admin', port: 9090 },
      { name: 'u', port: 53, protocol: 'UDP' },
    ],
  });
  await pods('multi', 1);
  await service('headless', { clusterIP: 'None', selector: { app: 'multi' } });
  await putPod(cluster, 'shop', 'sick-1', { labels: { app: 'sick' }, addresses: ['192.0.2.9'], ready: false });
  await service('sick', { publishNotReadyAddresses: true });
  await using heard = await follow({
    http: { service: 'multi', port: 'http' },
    admin: { service: 'multi', port: 9090 },
    vague: { service: 'multi' },
    headless: {},
    sick: {},
  });
  await until('served', () => ['http', 'admin', 'headless', 'sick'].every((key) => heard.served(key)?.length === 1));
  assert.deepEqual(heard.served('http'), ['192.0.2.1:8080']);
  assert.deepEqual(heard.served('admin'), ['192.0.2.1:9090']);
  assert.deepEqual(heard.served('headless'), ['192.0.2.1:80']);
  assert.deepEqual(heard.served('sick'), ['192.0.2.9:80']);
  assert.match(
    heard.staleReason('vague') ?? '',
    /shop\/multi has several ports: name one \(it has http: 80, admin: 9090\)/,
  );
});

test('a question that cannot be answered is told, and the source is synced all the same', async () => {
  await service('clear');
  await service('unclear', {
    ports: [
      { name: 'http', port: 80 },
      { name: 'admin', port: 9090 },
    ],
  });
  await putService(cluster, 'shop', 'elsewhere', { type: 'ExternalName', externalName: 'example.com' });
  await pods('clear', 1);
  await using heard = await follow({
    clear: {},
    unclear: {},
    elsewhere: {},
    'no name': {},
  });
  await until('synced', () => heard.count('synced') === 1);
  assert.deepEqual(heard.served('clear'), ['192.0.2.1:80']);
  for (const key of ['unclear', 'elsewhere', 'no name']) {
    assert.equal(heard.served(key), undefined, key);
    assert.notEqual(heard.staleReason(key), null, key);
  }
});

test('of both families, IPv4 is used unless told otherwise', async () => {
  await service('dual', { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv4', 'IPv6'] });
  await putPod(cluster, 'shop', 'dual-1', { labels: { app: 'dual' }, addresses: ['192.0.2.1', '2001:db8::1'] });
  for (const [family, expected] of [
    ['prefer4', '192.0.2.1:80'],
    ['prefer6', '2001:db8::1:80'],
    ['both', '192.0.2.1:80,2001:db8::1:80'],
  ]) {
    await using heard = await follow({ dual: {} }, { family });
    await until(`${family} is served`, () => heard.served('dual')?.join() === expected);
  }
});

test('the zones that the control plane hints at are kept, and internalTrafficPolicy where the node is known', async () => {
  await service('near', { trafficDistribution: 'PreferClose' });
  await service('local', { selector: { app: 'near' }, internalTrafficPolicy: 'Local' });
  for (const number of [1, 2, 3, 4]) {
    const node = `node-${1 + (number % 2)}`;
    await putPod(cluster, 'shop', `near-${number}`, {
      labels: { app: 'near' },
      addresses: [`192.0.2.${number}`],
      node,
    });
  }
  await using all = await follow({ near: {}, local: {} });
  await until('all are served', () => all.served('near')?.length === 4 && all.served('local')?.length === 4);
  await using here = await follow({ near: {}, local: {} }, { zone: 'za', node: 'node-2' });
  await until('those of the zone', () => here.served('near')?.join() === '192.0.2.2:80,192.0.2.4:80');
  await until('those of the node', () => here.served('local')?.join() === '192.0.2.1:80,192.0.2.3:80');
});

test('conditions as the API server takes them: what is unknown counts as ready and serving, and as not terminating', async () => {
  await service('conditions', { selector: undefined });
  const known = [true, false, undefined];
  const endpoints = known.flatMap((ready) =>
    known.flatMap((serving) => known.map((terminating) => ({ ready, serving, terminating }))),
  );
  await putSlice(cluster, 'shop', 'conditions', 'conditions-1', {
    endpoints: endpoints.map((conditions, at) => ({ addresses: [`192.0.2.${at + 1}`], conditions })),
    ports: [{ port: 80 }],
  });
  await using heard = await follow({ conditions: {} });
  await until('they are told', () => heard.served('conditions')?.length);
  const expected = endpoints.flatMap(({ ready = true, serving = true, terminating = false }, at) => {
    const state = terminating ? (ready || serving ? 'draining' : null) : ready ? 'ready' : null;
    return state === null ? [] : [`192.0.2.${at + 1}:80 ${state}`];
  });
  assert.equal(expected.length, 20);
  assert.deepEqual(states(heard, 'conditions'), expected.sort());
});

test('hints that have none for our zone, or are missing on one endpoint, are left aside: all are used', async () => {
  await service('hinted', { selector: undefined });
  const endpoint = (number: number, ...zones: readonly string[]) => ({
    addresses: [`192.0.2.${number}`],
    ...(zones.length > 0 && { hints: { forZones: zones.map((name) => ({ name })) } }),
  });
  const put = (...endpoints: readonly object[]) =>
    putSlice(cluster, 'shop', 'hinted', 'hinted-1', { endpoints, ports: [{ port: 80 }] });
  await put(endpoint(1, 'zb'), endpoint(2, 'zb'), endpoint(3, 'zc'));
  await using heard = await follow({ hinted: {} }, { zone: 'za' });
  await until('all are used', () => heard.served('hinted')?.length === 3);
  await put(endpoint(1, 'zb'), endpoint(2, 'za'), endpoint(3, 'zc'));
  await until('ours is used', () => heard.served('hinted')?.join() === '192.0.2.2:80');
  await put(endpoint(1, 'zb'), endpoint(2, 'za'), endpoint(3));
  await until('all are used again', () => heard.served('hinted')?.length === 3);
  await put(endpoint(1, 'zb'), endpoint(3, 'zc'));
  await until('the two that are left are used', () => heard.served('hinted')?.length === 2);
});

test('a named port has another number in each slice', async () => {
  await service('named', { ports: [{ name: 'http', port: 80, targetPort: 'http' }] });
  for (const [number, port] of [
    [1, 8001],
    [2, 8002],
    [3, 8001],
  ] as const)
    await putPod(cluster, 'shop', `named-${number}`, {
      labels: { app: 'named' },
      addresses: [`192.0.2.${number}`],
      port,
    });
  await using heard = await follow({ named: { port: 'http' } });
  await until(
    'each is served at its own',
    () => heard.served('named')?.join() === '192.0.2.1:8001,192.0.2.2:8002,192.0.2.3:8001',
  );
});

test('an ExternalName is refused, with the line that allows it, and resolved where that stands', async () => {
  await putService(cluster, 'shop', 'outside', { type: 'ExternalName', externalName: 'localhost' });
  await using refused = await follow({ outside: { port: 5432 } });
  await until('it is refused', () =>
    /stands for the host "localhost"; .*externalName: resolve/.test(refused.staleReason('outside') ?? ''),
  );
  await using resolved = await follow({ outside: { port: 5432 } }, { externalName: 'resolve' });
  await until('it is resolved', () => resolved.served('outside')?.join() === '127.0.0.1:5432');
  await service('outside', { type: 'ClusterIP', externalName: null, ports: [{ port: 5432 }] });
  await until('a Service of another type takes its place', () => resolved.served('outside')?.length === 0);
});

test('selectors leave out Services, whatever their slices say', async () => {
  await putService(cluster, 'shop', 'picked', { ports: [{ port: 80 }] });
  await cluster.api('PATCH', '/api/v1/namespaces/shop/services/picked', { metadata: { labels: { tier: 'front' } } });
  await putSlice(cluster, 'shop', 'picked', 'picked-1', {
    endpoints: [{ addresses: ['192.0.2.1'] }],
    ports: [{ port: 80 }],
  });
  const label = { metadata: { labels: { tier: 'front' } } };
  await cluster.api('PATCH', '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/picked-1', label);
  await using picked = await follow({ picked: {} }, { labelSelector: 'tier=front' });
  await until('served', () => picked.served('picked')?.length === 1);
  for (const settings of [{ labelSelector: 'tier!=front' }, { fieldSelector: 'spec.type=LoadBalancer' }]) {
    await using other = await follow({ picked: {} }, settings);
    await until('it is nobody', () => other.served('picked')?.length === 0);
  }
});

test('of two namespaces the one without rights is stale, with the rule that is missing; the other is served', async () => {
  await cluster.namespace('second');
  await putService(cluster, 'second', 'web2', { ports: [{ port: 80 }] });
  await putSlice(cluster, 'second', 'web2', 'web2-1', {
    endpoints: [{ addresses: ['192.0.2.7'] }],
    ports: [{ port: 80 }],
  });
  await service('first');
  await pods('first', 1);
  await using heard = await follow({ first: {}, second: { namespace: 'second', service: 'web2' } });
  await until('the first is served', () => heard.served('first')?.length === 1);
  await until('the second is stale', () => heard.staleReason('second') !== null);
  assert.match(
    heard.staleReason('second') ?? '',
    /^list (services|endpointslices) in namespace second: HTTP 403 .*rule \{ apiGroups: .*verbs: \["get", "list", "watch"\] \} of a Role in second allows it$/,
  );
  assert.equal(heard.count('failed'), 0);
  await cluster.api('PATCH', '/apis/rbac.authorization.k8s.io/v1/namespaces/second/rolebindings/myelin', {
    subjects: [{ kind: 'ServiceAccount', name: 'myelin', namespace: 'shop' }],
  });
  await until('the second is served', () => heard.served('second')?.join() === '192.0.2.7:80', { withinMs: 20_000 });
  await using fenced = await follow({ second: { namespace: 'second' } }, { namespaces: ['third'] });
  await until('a namespace beyond the fence is refused', () =>
    /do not include second/.test(fenced.staleReason('second') ?? ''),
  );
});

test('all namespaces are followed by one watch, with a ClusterRole', async () => {
  const name = 'myelin-everywhere';
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await using before = await follow({ web: { namespace: 'kube-system' } }, { namespaces: 'all' });
  await until('the rule is named', () =>
    /in all namespaces: HTTP 403.* of a ClusterRole allows it/.test(reasons(before)[0] ?? ''),
  );
  await cluster.api('POST', `${rbac}/clusterroles`, { metadata: { name }, rules: watcherRules });
  await cluster.api('POST', `${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ kind: 'ServiceAccount', name: 'myelin', namespace: 'shop' }],
  });
  await service('here');
  await pods('here', 1);
  await cluster.namespace('far');
  await putService(cluster, 'far', 'here', { ports: [{ port: 80 }] });
  await putSlice(cluster, 'far', 'here', 'here-1', {
    endpoints: [{ addresses: ['192.0.2.8'] }],
    ports: [{ port: 80 }],
  });
  await using proxy = await startFaultProxy(cluster.address);
  await using heard = await followServices(
    cluster,
    'shop',
    { here: {}, far: { service: 'here', namespace: 'far' } },
    { server: proxy.address, settings: { namespaces: 'all' } },
  );
  await until('both are served', () => heard.served('here')?.length === 1 && heard.served('far')?.length === 1);
  assert.deepEqual([heard.served('here'), heard.served('far')], [['192.0.2.1:80'], ['192.0.2.8:80']]);
  const watches = (): number => proxy.requests.filter((url) => url.searchParams.has('watch')).length;
  await until('both resources are watched', () => watches() >= 2);
  assert.equal(watches(), 2);
  await cluster.api('DELETE', `${rbac}/clusterrolebindings/${name}`);
});

test('many namespaces share the connections: two for the watches of each, and one for all second reads', async () => {
  await using proxy = await startFaultProxy(cluster.address);
  const namespaces = Array.from({ length: 8 }, (_, at) => `empty-${at}`);
  // Nobody is there: each is asked about again, all at the same time.
  const queries = Object.fromEntries(namespaces.map((namespace) => [namespace, { namespace, service: 'nobody' }]));
  const credentials = { token: cluster.adminToken };
  await using heard = await followServices(cluster, 'shop', queries, { server: proxy.address, credentials });
  await until('synced', () => heard.count('synced') === 1);
  for (const namespace of namespaces) assert.deepEqual(heard.served(namespace), [], namespace);
  await until('all are watched', () => proxy.underway === 2 * namespaces.length);
  const lists = proxy.requests.filter(({ searchParams }) => !searchParams.has('watch'));
  assert.equal(lists.length, 4 * namespaces.length, 'of Services and EndpointSlices, twice each');
  assert.ok(proxy.connections.most <= 2 * namespaces.length + 1, `${proxy.connections.most} connections`);
  assert.deepEqual(reasons(heard), []);
});

test('client certificates, a plugin and a token file let Myelin in, and where one of them is wrong that is said', async () => {
  await service('safe');
  await pods('safe', 1);
  await using folder = await tempFolder();
  const file = (name: string): string => join(folder.path, name);
  await cluster.clientCertificate('shop', file('key.pem'), file('cert.pem'));
  const token = await cluster.token('shop');
  const plugin = file('plugin');
  // Says what it was told, and fails where it was told nothing.
  await writeFile(
    plugin,
    `#!/bin/sh\ncase "$KUBERNETES_EXEC_INFO" in *'"server":"https://'*) ;; *) echo "told nothing" >&2; exit 1;; esac\n` +
      `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"${token}"}}'\n`,
  );
  await chmod(plugin, 0o755);
  await writeFile(file('token'), token);
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', interactiveMode: 'Never' };
  for (const credentials of [
    { 'client-certificate': file('cert.pem'), 'client-key': file('key.pem') },
    { exec: { ...exec, command: plugin } },
    { tokenFile: file('token') },
  ]) {
    await using heard = await followServices(cluster, 'shop', { safe: {} }, { credentials });
    await until(`served with ${Object.keys(credentials)[0]}`, () => heard.served('safe')?.length === 1);
  }
  const failure = async (credentials: object): Promise<string> => {
    await using heard = await followServices(cluster, 'shop', { safe: {} }, { credentials: { ...credentials } });
    return await until('it fails', () => reasons(heard)[0]);
  };
  assert.match(await failure({ token: 'wrong' }), /HTTP 401 .*the token or certificate is unknown or has expired/);
  assert.match(
    await failure({ exec: { ...exec, command: 'false' } }),
    /no credentials for the Kubernetes API from "false"/,
  );
  assert.match(await failure({ exec: { ...exec, command: './missing' } }), /no credentials .*missing ENOENT/);
  assert.match(await failure({ 'client-certificate': file('cert.pem'), 'client-key': file('gone.pem') }), /gone\.pem/);
  assert.match(await failure({}), /HTTP 40[13]/);
});

test('a kubeconfig that is missing, broken or without the context is told by name; contexts are chosen', async () => {
  await using folder = await tempFolder();
  const file = (name: string): string => join(folder.path, name);
  const failure = async (settings: Readonly<Record<string, unknown>>): Promise<string> => {
    await using heard = await follow({ web: {} }, settings);
    return await until('it fails', () => reasons(heard)[0]);
  };
  assert.match(await failure({ kubeconfig: file('none') }), /cannot use the kubeconfig .*none: ENOENT/);
  await writeFile(file('broken'), 'clusters: [');
  assert.match(await failure({ kubeconfig: file('broken') }), /cannot use the kubeconfig .*broken/);
  assert.match(await failure({ context: 'elsewhere' }), /no context "elsewhere"/);
  await using heard = await follow({ web: {} }, { context: 'main' });
  await until('the context is used', () => heard.count('synced') === 1);
});

test('the server’s certificate is verified: by the CA of the kubeconfig, and not by none', async () => {
  await using folder = await tempFolder();
  const kubeconfig = join(folder.path, 'kubeconfig');
  const trusting = JSON.parse(kubeconfigText(cluster.address, { token: 'any' }, {})) as {
    clusters: { cluster: object }[];
  };
  for (const one of trusting.clusters) one.cluster = { server: cluster.address };
  await writeFile(kubeconfig, JSON.stringify(trusting));
  await using heard = await follow({ web: {} }, { kubeconfig });
  assert.match(await until('it fails', () => reasons(heard)[0]), /self-signed certificate|unable to (get|verify)/);
});

test('in a pod the address comes from the environment, token and namespace from its service account, read again when refused', async () => {
  await using folder = await tempFolder();
  const file = (name: string): string => join(folder.path, name);
  const { hostname, port } = new URL(cluster.address);
  const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
  const stop = new AbortController();
  const open = () => openAccess({ kubeconfig: undefined, context: undefined }, env, 1, stop.signal, folder.path);
  await assert.rejects(open(), /cannot read the pod’s service account/);
  await writeFile(file('namespace'), 'shop\n');
  await writeFile(file('ca.crt'), await readFile(cluster.caFile));
  await replaceFile(file('token'), 'expired');
  const access = await open();
  assert.deepEqual([access.server, access.namespace], [cluster.address, 'shop']);
  const api = createApi(access, 5000);
  const ask = () => api.get('/api/v1/namespaces/shop/services', {}, stop.signal, 1_000_000);
  await assert.rejects(ask(), /Unauthorized/);
  await replaceFile(file('token'), await cluster.token('shop'));
  await ask();
  stop.abort();
});
