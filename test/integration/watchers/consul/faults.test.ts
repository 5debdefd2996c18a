/** Trouble between Myelin and a real Consul agent is never absence: no endpoint goes, nothing is asked in a loop, it mends itself. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { Listening } from '../../../../watchers/public/listen.ts';
import { startConsul } from '../../../servers/consul.ts';
import { type FaultProxy, type Faults, startFaultProxy } from '../../../servers/fault-proxy.ts';
import { followQueries } from '../../../support/consul/queries.ts';
import { forFile } from '../../../support/for-file.ts';
import { freePort, secondsPass, until } from '../../../support/index.ts';

const consul = await forFile(startConsul());

const names = ['a', 'b', 'c'];
let rounds = 0;

/** Three services, each with an endpoint, followed through `proxy`. */
async function followThree(proxy: FaultProxy, settings: object = {}): Promise<{ heard: Listening; prefix: string }> {
  const prefix = `round-${rounds++}-`;
  for (const name of names) await consul.register({ name: prefix + name, port: 9001 });
  const queries = Object.fromEntries(names.map((key) => [key, { service: prefix + key }]));
  const heard = followQueries(queries, { address: proxy.address, ...settings });
  await until('synced', () => heard.count('synced') === 1);
  return { heard, prefix };
}

type Case = {
  readonly faults: Faults;
  /** In the two seconds after the trouble began, for three services. */
  readonly requestsAtMost: number;
  /** What the failure says, where there is one. */
  readonly says?: RegExp;
  readonly settings?: object;
};

const html = { 'content-type': 'text/html', 'x-consul-index': '5' };
const json = { 'content-type': 'application/json', 'x-consul-index': '1' };
const cases: Readonly<Record<string, Case>> = {
  'answers 403': {
    faults: { kind: 'status', status: 403, body: 'ACL not found' },
    requestsAtMost: 30,
    says: /HTTP 403 \(ACL not found\)/,
  },
  'answers 429 and asks for two seconds': {
    faults: { kind: 'status', status: 429, body: 'slow down', headers: { 'retry-after': '2' } },
    requestsAtMost: 4,
    says: /HTTP 429 \(slow down\)/,
  },
  'answers 429 and names a date': {
    faults: () => {
      const date = new Date(Date.now() + 3000).toUTCString();
      return { kind: 'status', status: 429, headers: { 'retry-after': date } };
    },
    requestsAtMost: 4,
    says: /HTTP 429/,
  },
  'has no leader': {
    faults: { kind: 'status', status: 500, body: 'No cluster leader' },
    requestsAtMost: 30,
    says: /No cluster leader/,
  },
  'answers with a page of HTML': {
    faults: { kind: 'status', status: 200, body: '<html></html>', headers: html },
    requestsAtMost: 60,
    says: /not a list of service instances/,
  },
  'answers with an empty list that a consistent read is refused': {
    faults: (url) =>
      url.searchParams.has('consistent')
        ? { kind: 'status', status: 403, body: 'ACL not found' }
        : { kind: 'status', status: 200, body: '[]', headers: json },
    requestsAtMost: 60,
    says: /HTTP 403/,
  },
  'cuts its answers short': { faults: { kind: 'cut-short' }, requestsAtMost: 60, says: /cut short/ },
  'falls silent': {
    faults: { kind: 'silent' },
    requestsAtMost: 10,
    says: /timed out/,
    settings: { wait: '500ms' },
  },
  'answers at once, for ever with the same index': { faults: { kind: 'at-once' }, requestsAtMost: 20 },
  'answers at once, with an index that goes back': { faults: { kind: 'index-backwards' }, requestsAtMost: 40 },
  'answers without an index': { faults: { kind: 'no-index' }, requestsAtMost: 20 },
};

for (const [what, { faults, requestsAtMost, says, settings }] of Object.entries(cases)) {
  test(`an agent that ${what}: no endpoint is removed, few questions are asked, it recovers by itself`, async () => {
    await using proxy = await startFaultProxy(consul.address);
    const { heard, prefix } = await followThree(proxy, settings);
    await using _heard = heard;
    const asked = proxy.requests.length;
    proxy.spoil(faults, { breakOff: true });
    await secondsPass(2);
    const requests = proxy.requests.length - asked;
    assert.ok(requests <= requestsAtMost, `${requests} requests in two seconds`);
    if (says !== undefined)
      await until('the failure is told', () =>
        heard.said.some((event) => (event.kind === 'failed' || event.kind === 'stale') && says.test(event.reason)),
      );
    for (const name of names) assert.deepEqual(heard.served(name), ['127.0.0.1:9001'], name);

    for (const name of names) await consul.register({ name: prefix + name, port: 9002 });
    proxy.spoil(null);
    await until('all are served again, with what is new', () =>
      names.every((name) => heard.served(name)?.length === 2),
    );
    assert.ok(heard.said.every((event) => event.kind !== 'endpoints' || event.endpoints.length > 0));
  });
}

test('trouble with one service is that of one service: the others are followed as before', async () => {
  await using proxy = await startFaultProxy(consul.address);
  const { heard, prefix } = await followThree(proxy);
  await using _heard = heard;
  proxy.spoil((url) => (url.pathname.endsWith(`${prefix}a`) ? { kind: 'status', status: 500, body: 'broken' } : null));
  await consul.register({ name: `${prefix}a`, port: 9002 });
  await until('it is stale', () => heard.staleReason('a') === 'HTTP 500 (broken)' || null);
  await consul.register({ name: `${prefix}b`, port: 9002 });
  await until('the other is followed', () => heard.served('b')?.length === 2);
  assert.equal(heard.count('failed'), 0);
  proxy.spoil(null);
  await until('it recovers', () => heard.served('a')?.length === 2 && heard.staleReason('a') === null);
});

test('a source that is down at the start is asked one question a try, however many there are', async () => {
  await using proxy = await startFaultProxy(consul.address);
  proxy.spoil({ kind: 'status', status: 500, body: 'No cluster leader' });
  const queries = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`s${index}`, {}]));
  await using heard = followQueries(queries, { address: proxy.address });
  await until('it was tried five times', () => heard.count('failed') >= 5);
  assert.ok(proxy.requests.length <= heard.count('started'), `${proxy.requests.length} requests`);
  proxy.spoil(null);
  await until('synced', () => heard.count('synced') === 1);
});

/** Ten services here, and as many in a datacenter that swallows what it is asked. */
async function followFar(settings: object) {
  const proxy = await startFaultProxy(consul.address);
  proxy.spoil((url) => (url.searchParams.get('dc') === 'far' ? { kind: 'silent' } : null));
  const prefix = `round-${rounds++}-`;
  const names = Array.from({ length: 10 }, (_, at) => `${prefix}${at}`);
  for (const name of names) await consul.register({ name, port: 9001 });
  // Those that hang ask first.
  const queries = Object.fromEntries([
    ...names.map((service) => [`far ${service}`, { service, datacenter: 'far' }] as const),
    ...names.map((service) => [`here ${service}`, { service }] as const),
  ]);
  const heard = followQueries(queries, { address: proxy.address, ...settings });
  return {
    names,
    heard,
    async [Symbol.asyncDispose]() {
      await heard[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

test('a datacenter that swallows questions keeps nobody waiting who is elsewhere, at the start and later', async () => {
  await using far = await followFar({ maxConnections: 4, wait: '10m' });
  const { names, heard } = far;
  await until('all that answers is served, and all has been answered for', () => heard.count('synced') === 1, {
    withinMs: 20_000,
  });
  for (const name of names) {
    assert.deepEqual(heard.served(`here ${name}`), ['127.0.0.1:9001']);
    assert.match(heard.staleReason(`far ${name}`) ?? '', /no answer from the datacenter far|timed out/);
  }
  for (const name of names) await consul.register({ name, port: 9002 });
  await until('changes are seen', () => names.every((name) => heard.served(`here ${name}`)?.length === 2), {
    withinMs: 20_000,
  });
  assert.equal(heard.count('failed'), 0);
});

test('an answer without an end is broken off, and is that of one question', async () => {
  const megabyte = Buffer.alloc(1024 * 1024, ' ');
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '5' });
    if (!request.url?.includes('/endless')) return response.end('[]');
    const more = (): void => {
      while (response.write(megabyte)) if (response.destroyed) return;
      response.once('drain', more);
    };
    return more();
  });
  const port = await freePort();
  await once(server.listen(port, '127.0.0.1'), 'listening');
  try {
    await using heard = followQueries({ endless: {}, other: {} }, { address: `127.0.0.1:${port}` });
    await until('it is told', () => /longer than \d+ bytes/.test(heard.staleReason('endless') ?? ''));
    await until('the other is answered', () => heard.served('other') !== undefined);
    assert.deepEqual(heard.served('other'), []);
    assert.equal(heard.count('failed'), 0);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
