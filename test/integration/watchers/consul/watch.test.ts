/** The Consul watcher with a real agent: who is served, over which kind of connection, with which rights. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../../../../src/lib/command.ts';
import { type LookUp, lookUpHere } from '../../../../watchers/kit/hosts.ts';
import type { Listening } from '../../../../watchers/public/listen.ts';
import { type ConsulAgent, consulBinary, startConsul } from '../../../servers/consul.ts';
import { startFaultProxy } from '../../../servers/fault-proxy.ts';
import { type ConsulQueries, followQueries } from '../../../support/consul/queries.ts';
import { forFile } from '../../../support/for-file.ts';
import { freePort, tempFolder, until } from '../../../support/index.ts';

const consul = await forFile(startConsul());

function followHere(
  queries: ConsulQueries,
  settings: Readonly<Record<string, unknown>> = {},
  lookUp: LookUp = lookUpHere,
): Listening {
  return followQueries(queries, { address: consul.address, ...settings }, {}, lookUp);
}

test('the endpoints follow at once what is registered, warned, critical, in maintenance and deregistered in Consul', async () => {
  await using heard = followHere({ shop: { warning: 'use' }, careful: { service: 'shop' } });
  await until('nobody is there', () => heard.served('shop')?.length === 0 && heard.served('careful')?.length === 0);
  const weights = { Passing: 10, Warning: 2 };
  await consul.register({ name: 'shop', id: 'shop-1', port: 9001, tags: ['blue'], meta: { v: '1' }, weights });
  await until('it is served', () => heard.served('shop')?.length === 1 && heard.served('careful')?.length === 1);
  assert.deepEqual(heard.endpoints('shop'), [
    {
      id: 'node-1:shop-1',
      address: '127.0.0.1',
      port: 9001,
      weight: 10,
      state: 'ready',
      tags: ['blue'],
      meta: { v: '1' },
      origin: { node: 'node-1', datacenter: 'dc1' },
    },
  ]);
  await consul.setCheck('shop-1', 'warn');
  await until('it has its warning weight', () => heard.endpoints('shop')?.[0]?.weight === 2);
  await until(
    'it is left out where nothing is said of warnings, as with consul-template',
    () => heard.served('careful')?.length === 0,
  );
  await consul.setCheck('shop-1', 'fail');
  await until('it is left out', () => heard.served('shop')?.length === 0);
  await consul.setCheck('shop-1', 'pass');
  await until('it is back', () => heard.endpoints('shop')?.[0]?.weight === 10);
  await consul.maintenance(true, 'shop-1');
  await until('it drains', () => heard.endpoints('shop')?.[0]?.state === 'draining');
  await consul.maintenance(false, 'shop-1');
  await until('it is ready', () => heard.endpoints('shop')?.[0]?.state === 'ready');
  await consul.maintenance(true);
  await until('it drains with its node', () => heard.endpoints('shop')?.[0]?.state === 'draining');
  await consul.maintenance(false);
  await until('it is ready again', () => heard.endpoints('shop')?.[0]?.state === 'ready');
  await consul.deregister('shop-1');
  await until('it is gone', () => heard.served('shop')?.length === 0);
  assert.equal(heard.count('failed'), 0);
});

test('of several tags an instance must carry all, a filter is an expression of Consul', async () => {
  await consul.register({ name: 'tagged', port: 9001, tags: ['blue', 'eu'], meta: { v: '1' } });
  await consul.register({ name: 'tagged', port: 9002, tags: ['blue'], meta: { v: '2' } });
  await consul.register({ name: 'tagged', port: 9003, tags: ['eu'], meta: { v: '2' } });
  await using heard = followHere({
    blue: { service: 'tagged', tags: ['blue'] },
    both: { service: 'tagged', tags: ['blue', 'eu'] },
    second: { service: 'tagged', filter: 'Service.Meta.v == "2"' },
    near: { service: 'tagged', near: '_agent' },
    leader: { service: 'tagged', stale: false },
    here: { service: 'tagged', datacenter: 'dc1' },
  });
  await until('synced', () => heard.count('synced') === 1);
  assert.deepEqual(heard.served('blue'), ['127.0.0.1:9001', '127.0.0.1:9002']);
  assert.deepEqual(heard.served('both'), ['127.0.0.1:9001']);
  assert.deepEqual(heard.served('second'), ['127.0.0.1:9002', '127.0.0.1:9003']);
  for (const key of ['near', 'leader', 'here']) assert.equal(heard.served(key)?.length, 3, key);
});

test('a question that Consul refuses is stale with the reason, the others are answered', async () => {
  await consul.register({ name: 'fine', port: 9001 });
  await using heard = followHere({
    fine: {},
    bad: { service: 'fine', filter: 'no such ==' },
    far: { datacenter: 'dc9' },
    path: { service: '..' },
  });
  await until('they are stale', () => ['bad', 'far', 'path'].every((key) => heard.staleReason(key) !== null));
  await until('nobody waits for their answers', () => heard.count('synced') === 1);
  await until('the other is served', () => heard.served('fine')?.length === 1);
  assert.match(heard.staleReason('bad') ?? '', /HTTP 500 \(Failed to create boolean expression/);
  assert.match(heard.staleReason('far') ?? '', /HTTP 500.*No path to datacenter/);
  assert.match(heard.staleReason('path') ?? '', /HTTP 30[17]/);
  assert.equal(heard.count('failed'), 0);
});

test('an instance that is registered with a host name is refused, with the line that allows it, or looked up', async () => {
  const external = { Node: 'outside', Address: 'db.example.com', NodeMeta: { 'external-node': 'true' } };
  const put = (service: object) => consul.api('PUT', '/v1/catalog/register', { ...external, Service: service });
  await put({ ID: 'db', Service: 'db', Port: 5432 });
  await using refused = followHere({ db: {} });
  await until('it is left out', () => refused.served('db')?.length === 0);
  const [left] = refused.said.flatMap((event) => (event.kind === 'endpoints' ? (event.unreadable ?? []) : []));
  assert.match(left?.reason ?? '', /is the host "db\.example\.com"; to accept it, write hostNames: resolve$/);

  const zone = new Map([['db.example.com', ['192.0.2.1']]]);
  const lookUp = (host: string) => {
    const addresses = zone.get(host);
    return addresses === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(addresses);
  };
  await using heard = followHere({ db: {}, here: {} }, { hostNames: 'resolve' }, lookUp);
  await until('the node’s name is looked up', () => heard.served('db')?.join() === '192.0.2.1:5432');
  assert.equal(heard.endpoints('db')?.[0]?.id, 'outside:db');
  await put({ ID: 'db', Service: 'db', Port: 5432, Address: 'second.example.com' });
  await until('one that cannot be resolved is no empty service', () =>
    /cannot resolve "second\.example\.com": ENOTFOUND/.test(heard.staleReason('db') ?? ''),
  );
  assert.equal(heard.served('db')?.join(), '192.0.2.1:5432');
  zone.set('second.example.com', ['192.0.2.3', '192.0.2.2']);
  await until('it is looked up again', () => heard.served('db')?.join() === '192.0.2.2:5432,192.0.2.3:5432');
  await consul.register({ name: 'here', port: 9001, address: 'db.example.com' });
  await until('the service’s own as well', () => heard.served('here')?.join() === '192.0.2.1:9001');
  await consul.setCheck('here-9001', 'fail');
  await until('its check counts', () => heard.unfit('here')?.join() === '192.0.2.1:9001');
  assert.equal(heard.served('here')?.length, 0);
});

test('a host name is resolved as any program here would', async () => {
  await consul.register({ name: 'local', port: 9001, address: 'localhost' });
  await using heard = followHere({ local: {} }, { hostNames: 'resolve' });
  await until('it is resolved', () => heard.served('local')?.join() === '127.0.0.1:9001');
});

test('names with spaces, slashes, quotes and non-ASCII letters are asked for as they are', async () => {
  const name = 'a b/c?d&"é\'#%';
  await consul.register({ name, port: 9001 });
  await using heard = followHere({ odd: { service: name } });
  await until('it is served', () => heard.served('odd')?.length === 1);
});

test('Consul stopped and started again empty: the failure and the start are told, and new endpoints within two seconds', async () => {
  await using own = await startConsul();
  await own.register({ name: 'shop', port: 9001 });
  await using heard = followQueries({ shop: {}, other: {} }, { address: own.address });
  await until('served', () => heard.count('synced') === 1);
  await own.stop();
  await until('it failed, and failed again', () => heard.count('failed') >= 3);
  assert.deepEqual(heard.served('shop'), ['127.0.0.1:9001'], 'nothing is removed by an outage');
  const starting = own.restart();
  await starting;
  await own.register({ name: 'shop', port: 9002 });
  const registeredAt = performance.now();
  await until('the new one is served', () => heard.served('shop')?.join() === '127.0.0.1:9002');
  assert.ok(performance.now() - registeredAt < 2000, `${Math.round(performance.now() - registeredAt)} ms`);
  assert.equal(heard.count('started'), heard.count('failed') + 1);
});

test('an agent with ACLs is followed by the right token from a file, and what a missing, a weak and a wrong one lack is said', async () => {
  await using own = await startConsul({ acl: true });
  await using folder = await tempFolder();
  await own.register({ name: 'shop', port: 9001 });
  const tokenOf = async (rules: string): Promise<string> => {
    const policy = (await own.api('PUT', '/v1/acl/policy', {
      Name: `p${Math.random()}`.replace('.', ''),
      Rules: rules,
    })) as {
      ID: string;
    };
    const token = (await own.api('PUT', '/v1/acl/token', { Policies: [{ ID: policy.ID }] })) as { SecretID: string };
    return token.SecretID;
  };
  const weak = await tokenOf('service "shop" { policy = "read" }');
  const right = await tokenOf('service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }');
  const tokenFile = join(folder.path, 'token');
  const reasons = (heard: Listening) => heard.said.flatMap((event) => (event.kind === 'failed' ? [event.reason] : []));

  await using anonymous = followQueries({ shop: {} }, { address: own.address });
  await until('it says that a token is missing', () => /without a token/.test(reasons(anonymous)[0] ?? ''));
  await using weakly = followQueries({ shop: {} }, { address: own.address, token: weak });
  await until('it says which right is missing', () => /node:read/.test(reasons(weakly)[0] ?? ''));
  await using wrongly = followQueries(
    { shop: {} },
    { address: own.address, token: '11111111-2222-3333-4444-555555555555' },
  );
  await until('it quotes Consul', () => /HTTP 403.*ACL not found/.test(reasons(wrongly)[0] ?? ''));

  await writeFile(tokenFile, '');
  await using byFile = followQueries({ shop: {} }, { address: own.address, tokenFile, wait: '2s' });
  await until('it says that the file is empty', () => /token file .* is empty/.test(reasons(byFile)[0] ?? ''));
  await writeFile(tokenFile, `${weak}\n`);
  await until('the new token is used', () => reasons(byFile).some((reason) => /node:read/.test(reason)));
  await writeFile(tokenFile, `${right}\n`);
  await until('the right token is used', () => byFile.served('shop')?.join() === '127.0.0.1:9001');
  await using byEnv = followQueries(
    { shop: {} },
    {},
    { CONSUL_HTTP_ADDR: `127.0.0.1:${own.port}`, CONSUL_HTTP_TOKEN: right },
  );
  await until('the variable is used', () => byEnv.served('shop')?.length === 1);

  // Revoked while a question waits: Consul may answer 200 with an empty list.
  const tokens = (await own.api('GET', '/v1/acl/tokens')) as readonly { AccessorID: string; SecretID: string }[];
  const accessor = tokens.find(({ SecretID }) => SecretID === right)?.AccessorID;
  await own.api('GET', `/v1/acl/token/${accessor}`);
  await deleteToken(own, accessor ?? '');
  await until('the revocation is told', () => byFile.count('failed') > 0 && /403/.test(reasons(byFile).at(-1) ?? ''));
  assert.deepEqual([byFile.served('shop'), byEnv.served('shop')], [['127.0.0.1:9001'], ['127.0.0.1:9001']]);
  for (const heard of [anonymous, weakly, wrongly])
    assert.equal(heard.count('endpoints'), 0, 'an empty list for want of rights is no absence');
});

test('a token that is narrowed removes nobody, one that was narrow from the start is told of', async () => {
  await using own = await startConsul({ acl: true });
  for (const [node, port] of [
    ['prod-1', 9001],
    ['prod-2', 9002],
    ['test-1', 9003],
  ] as const)
    await own.api('PUT', '/v1/catalog/register', {
      Node: node,
      Address: '127.0.0.1',
      Service: { ID: `shop-${port}`, Service: 'shop', Port: port },
    });
  const rules = (nodes: string): string =>
    `service_prefix "" { policy = "read" } node_prefix "${nodes}" { policy = "read" }`;
  const policy = (await own.api('PUT', '/v1/acl/policy', { Name: 'reader', Rules: rules('') })) as { ID: string };
  const { SecretID: token } = (await own.api('PUT', '/v1/acl/token', { Policies: [{ ID: policy.ID }] })) as {
    SecretID: string;
  };
  await using heard = followQueries({ shop: {} }, { address: own.address, token, wait: '2s' });
  await until('all are served', () => heard.served('shop')?.length === 3);

  await own.api('PUT', `/v1/acl/policy/${policy.ID}`, { Name: 'reader', Rules: rules('prod-') });
  const failed = (): string | undefined =>
    heard.said.flatMap((event) => (event.kind === 'failed' ? [event.reason] : [])).at(-1);
  await until('it is told', () => /may not see all of "shop".*node:read/.test(failed() ?? ''));
  assert.equal(heard.served('shop')?.length, 3);

  await using narrow = followQueries({ shop: {} }, { address: own.address, token, wait: '2s' });
  await until('what it shows is served', () => narrow.served('shop')?.length === 2);
  const [answer] = narrow.said.flatMap((event) => (event.kind === 'endpoints' ? [event] : []));
  assert.match(answer?.unreadable?.[0]?.reason ?? '', /shows only some instances of "shop".*node:read/);
});

async function deleteToken(agent: ConsulAgent, accessor: string): Promise<void> {
  const response = await fetch(`${agent.address}/v1/acl/token/${accessor}`, {
    method: 'DELETE',
    headers: { 'X-Consul-Token': agent.token ?? '' },
  });
  assert.equal(response.status, 200);
}

test('an agent on a unix socket is followed', async () => {
  await using folder = await tempFolder();
  const socket = join(folder.path, 'consul.sock');
  await using own = await startConsul({ hcl: `addresses { http = "127.0.0.1 unix://${socket}" }` });
  await own.register({ name: 'shop', port: 9001 });
  await using heard = followQueries({ shop: {} }, { address: `unix://${socket}` });
  await until('served', () => heard.served('shop')?.length === 1);
  await rm(socket);
});

test('an agent with TLS is followed by its CA, its name and a client certificate, and where one of them is wrong that is said', async () => {
  await using folder = await tempFolder();
  const binary = await consulBinary();
  const make = async (...args: readonly string[]): Promise<void> => {
    const { status, stderr } = await runCommand(['env', '-C', folder.path, binary, 'tls', ...args], {
      timeoutMs: 30_000,
    });
    assert.equal(status, 0, stderr);
  };
  await make('ca', 'create');
  await make('cert', 'create', '-server', '-additional-ipaddress=127.0.0.1');
  await make('cert', 'create', '-client');
  const file = (name: string): string => join(folder.path, name);
  const port = await freePort();
  await using own = await startConsul({
    hcl: `ports { https = ${port} } tls { defaults { ca_file = "${file('consul-agent-ca.pem')}"
      cert_file = "${file('dc1-server-consul-0.pem')}" key_file = "${file('dc1-server-consul-0-key.pem')}" }
      https { verify_incoming = true } }`,
  });
  await own.register({ name: 'shop', port: 9001 });
  const address = `https://127.0.0.1:${port}`;
  const caFile = file('consul-agent-ca.pem');
  const client = { certFile: file('dc1-client-consul-0.pem'), keyFile: file('dc1-client-consul-0-key.pem') };
  const failure = async (tls: object): Promise<string> => {
    await using heard = followQueries({ shop: {} }, { address, tls });
    const reason = (): string | undefined =>
      heard.said.flatMap((event) => (event.kind === 'failed' ? [event.reason] : []))[0];
    return await until('it fails', reason);
  };

  for (const tls of [
    { caFile, ...client },
    { caFile, ...client, serverName: 'server.dc1.consul' },
    { ...client, verify: false },
  ]) {
    await using heard = followQueries({ shop: {} }, { address, tls });
    await until('served', () => heard.served('shop')?.length === 1);
  }
  await using byEnv = followQueries(
    { shop: {} },
    {},
    {
      CONSUL_HTTP_ADDR: `127.0.0.1:${port}`,
      CONSUL_HTTP_SSL: 'true',
      CONSUL_CACERT: caFile,
      CONSUL_CLIENT_CERT: client.certFile,
      CONSUL_CLIENT_KEY: client.keyFile,
    },
  );
  await until('served', () => byEnv.served('shop')?.length === 1);
  assert.match(await failure(client), /self-signed certificate|unable to (get|verify)/);
  assert.match(await failure({ caFile, ...client, serverName: 'elsewhere' }), /Hostname\/IP does not match/);
  assert.match(await failure({ caFile }), /certificate required|bad certificate|alert|socket hang up|ECONNRESET|EPIPE/);
  assert.match(
    await failure({ caFile: file('missing.pem'), ...client }),
    /cannot read the CA certificate .*missing\.pem/,
  );
});

test('basic authentication and a path before /v1 reach a proxy in front of the agent', async () => {
  await consul.register({ name: 'behind', port: 9001 });
  await using proxy = await startFaultProxy(consul.address);
  await using heard = followQueries(
    { behind: {} },
    { address: `${proxy.address}/consul` },
    { CONSUL_HTTP_AUTH: 'ann:secret' },
  );
  await until('it is asked', () => proxy.requests.length > 0);
  assert.equal(proxy.requests[0]?.pathname, '/consul/v1/health/service/behind');
  assert.equal(proxy.authorization, `Basic ${Buffer.from('ann:secret').toString('base64')}`);
  assert.equal(heard.count('endpoints'), 0);
});

/** Registered at a node that no agent is at, which would register them again. */
async function registerFar(name: string, port: number): Promise<void> {
  await consul.api('PUT', '/v1/catalog/register', {
    Node: 'far',
    Address: '127.0.0.1',
    Service: { ID: `${name}-${port}`, Service: name, Port: port },
  });
}

for (const { connections, maxConnections, feed } of [
  { connections: 'one each', maxConnections: 100, feed: '' },
  { connections: 'fewer than there are services', maxConnections: 8, feed: ', and a feed of changes' },
])
  test(`what a restored snapshot holds is served within seconds, also where no query would ever tell: connections: ${connections}${feed}`, async () => {
    await using proxy = await startFaultProxy(consul.address);
    const names = Array.from({ length: 12 }, (_, at) => `restored-${at}-of-${maxConnections}`);
    for (const name of names) await registerFar(name, 9001);
    await using heard = followQueries(Object.fromEntries(names.map((name) => [name, {}])), {
      address: proxy.address,
      maxConnections,
    });
    await until('synced', () => heard.count('synced') === 1);
    const snapshot = await consul.snapshot();
    for (const name of names.slice(1)) await registerFar(name, 9002);
    const served = (): readonly number[] => names.map((name) => heard.served(name)?.length ?? 0);
    const goal = [1, ...names.slice(1).map(() => 2)].join();
    await until('the second ones are served', () => served().join() === goal);
    const waiting = (): number =>
      proxy.requests.filter(({ searchParams }) => Number.parseInt(searchParams.get('wait') ?? '', 10) > 5000).length;
    await until('it waits for news', () => waiting() >= Math.min(names.length, 3));
    await consul.restore(snapshot);
    await until('all is as it was', () => served().every((count) => count === 1), { withinMs: 15_000 });
    assert.equal(heard.count('failed'), 0);
    // And what happens then is seen at once.
    await registerFar(names[1] ?? '', 9003);
    await until('another one is served', () => heard.served(names[1] ?? '')?.length === 2);
  });

test('of more services than connections those at rest are not asked, and every kind of change is seen', async () => {
  await using proxy = await startFaultProxy(consul.address);
  const names = Array.from({ length: 40 }, (_, at) => `rest-${at}`);
  for (const name of names) await consul.register({ name, port: 9001 });
  await using heard = followQueries(Object.fromEntries(names.map((name) => [name, {}])), {
    address: proxy.address,
    maxConnections: 8,
  });
  await until('synced', () => heard.count('synced') === 1);
  const questions = (): number => proxy.requests.filter(({ pathname }) => pathname.includes('/health/service/')).length;
  await until('they rest', async () => {
    const before = questions();
    await until('two seconds', waited(2000));
    // Taking turns, it would be forty by then.
    return questions() - before <= 10;
  });

  const [checked = '', bare = '', moved = '', tagged = '', gone = '', critical = '', drained = ''] = names;
  const bareOf = (name: string, Port: number, Tags: readonly string[] = []) =>
    consul.api('PUT', '/v1/agent/service/register', { ID: `${name}-bare`, Name: name, Port, Tags });
  await consul.register({ name: checked, port: 9002 });
  await until('a second instance', () => heard.served(checked)?.length === 2);
  await bareOf(bare, 9002);
  await until('an instance without a check', () => heard.served(bare)?.length === 2);
  await bareOf(moved, 9002);
  await until('another one', () => heard.served(moved)?.length === 2);
  await bareOf(moved, 9003);
  await until('its other port', () => heard.served(moved)?.join() === '127.0.0.1:9001,127.0.0.1:9003');
  await bareOf(tagged, 9002, ['blue']);
  await until('its tag', () => heard.endpoints(tagged)?.some(({ tags }) => tags?.includes('blue')));
  await consul.deregister(`${gone}-9001`);
  await until('that it went', () => heard.served(gone)?.length === 0);
  await consul.setCheck(`${critical}-9001`, 'fail');
  await until('that it is critical', () => heard.served(critical)?.length === 0);
  await consul.maintenance(true, `${drained}-9001`);
  await until('that it drains', () => heard.endpoints(drained)?.[0]?.state === 'draining');
  await consul.maintenance(true);
  await until('that all drain with their node', () =>
    names.every((name) => heard.endpoints(name)?.every(({ state }) => state === 'draining')),
  );
  await consul.maintenance(false);
  await consul.maintenance(false, `${drained}-9001`);
  await until('that all are back', () =>
    names.every((name) => heard.endpoints(name)?.every(({ state }) => state === 'ready')),
  );
  for (const name of names) await bareOf(name, 9009);
  await until('many at once', () => names.every((name) => heard.served(name)?.includes('127.0.0.1:9009')));

  // Without a right to the lists of the datacenter all take turns, as ever.
  proxy.spoil((url) => (/health.state|catalog/.test(url.pathname) ? { kind: 'status', status: 403 } : null), {
    breakOff: true,
  });
  await bareOf(gone, 9010);
  await until('a change without a feed', () => heard.served(gone)?.includes('127.0.0.1:9010'), { withinMs: 40_000 });
  assert.ok(proxy.connections.most <= 8, `${proxy.connections.most} connections`);
});

function waited(ms: number): () => boolean {
  const end = performance.now() + ms;
  return () => performance.now() > end;
}
