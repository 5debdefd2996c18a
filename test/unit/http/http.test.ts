import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { tcpRefusal } from '../../../src/http/admin.ts';
import { Heartbeat, probeRoutes } from '../../../src/http/probes.ts';
import type { Reply } from '../../../src/http/server.ts';
import type { Status } from '../../../src/report/status.ts';
import { metricsOf } from '../../support/values/metrics.ts';
import { sampleStatus } from '../../support/values/status.ts';

async function probe(
  path: string,
  status: Status,
  heartbeat = new Heartbeat(1000, () => 0),
): Promise<Reply | undefined> {
  const metrics = metricsOf(() => status);
  const routes = probeRoutes({ plainStatus: () => status, heartbeat, metrics });
  const reply = await routes
    .find((route) => route.path === path)
    ?.answer({ names: [], query: new URLSearchParams(), headers: {} });
  return reply !== undefined && 'status' in reply ? reply : undefined;
}

test('Myelin is ready once a good config is applied, degraded or not', async () => {
  assert.equal((await probe('/readyz', { ...sampleStatus, state: 'ready' }))?.status, 200);
  assert.deepEqual(await probe('/readyz', sampleStatus), {
    status: 200,
    body: 'degraded\n',
    contentType: 'text/plain; charset=utf-8',
  });
});

test('while Myelin is not ready it says what it waits for', async () => {
  const starting: Status = { ...sampleStatus, state: 'starting', lastApply: null };
  const waiting = await probe('/readyz', { ...starting, waitingFor: ['cluster', 'consul'] });
  assert.equal(waiting?.status, 503);
  assert.equal(waiting?.body, 'not ready: waiting for the first answer of cluster, consul\n');
  const error = 'port 22210 is held by node (pid 9187)';
  const failed = { ...sampleStatus.lastApply, result: 'failed', error } as const;
  const words = String((await probe('/readyz', { ...starting, lastApply: failed }))?.body);
  assert.match(words, /the last apply failed/);
  assert.doesNotMatch(words, /22210|9187/, 'addresses, processes and HAProxy’s words are for the status');
  const pending = { why: 'the gap between reloads', since: 0, at: 0, reasons: [] };
  assert.match(String((await probe('/readyz', { ...starting, pending }))?.body), /a change waits/);
  assert.match(String((await probe('/readyz', starting))?.body), /no config is applied yet/);
});

test('Myelin is alive unless one piece of work takes too long', async () => {
  let now = 0;
  const heartbeat = new Heartbeat(60_000, () => now);
  const work = Promise.withResolvers<void>();
  const done = heartbeat.during(() => work.promise);
  now = 60_000;
  assert.equal((await probe('/healthz', sampleStatus, heartbeat))?.status, 200);
  now = 61_000;
  assert.deepEqual(
    (await probe('/healthz', sampleStatus, heartbeat))?.body,
    'stuck: one reconcile has been going on for 61 s\n',
  );
  work.resolve();
  await done;
  now = 1e9;
  assert.equal((await probe('/healthz', sampleStatus, heartbeat))?.status, 200, 'having nothing to do is no failure');
  await assert.rejects(heartbeat.during(() => Promise.reject(new Error('work'))));
  assert.equal(heartbeat.stuckForMs, null);
});

test('the metrics show the status and what was counted', async () => {
  const metrics = metricsOf();
  metrics.updated('reload', 12);
  metrics.updated('noop', null);
  metrics.reloaded([{ code: 'bind_changed' }, { code: 'bind_changed' }, { code: 'proxy_added' }], 'ok', 41);
  metrics.rendered(3);
  metrics.connectionsClosed('hard_stop_after', 7);
  metrics.connectionsClosed('hard_stop_after', null);
  const text = await metrics.text();
  for (const line of [
    'myelin_build_info{version="1.2.3"} 1',
    'myelin_updates_total{result="reload"} 1',
    'myelin_updates_total{result="runtime"} 0',
    'myelin_reloads_total{reason="bind_changed",result="ok"} 1',
    'myelin_reloads_total{reason="proxy_added",result="ok"} 1',
    'myelin_reload_duration_seconds_sum 0.041',
    'myelin_event_to_applied_seconds_sum 0.012',
    'myelin_event_to_applied_seconds_count 1',
    'myelin_render_seconds_sum 0.003',
    'myelin_connections_closed_total{limit="hard_stop_after"} 8',
    'myelin_connections_closed_total{limit="max_old_workers"} 0',
    'myelin_last_apply_success 1',
    'myelin_source_up{watcher="consul"} 1',
    'myelin_source_up{watcher="cluster"} 0',
    'myelin_source_last_success_timestamp_seconds{watcher="cluster"} 1767000002',
    'myelin_endpoints{service="web",state="ready"} 2',
    'myelin_endpoints{service="web",state="refused"} 1',
    'myelin_endpoints{service="db",state="ready"} 0',
    'myelin_endpoints{service="db",state="kept"} 1',
    'myelin_old_workers 1',
    'myelin_quarantined_services 1',
  ])
    assert.ok(text.includes(`${line}\n`), line);
  assert.doesNotMatch(text, /watcher="slow"\} [1-9]\d{5}/, 'a source that never answered has no last success');
  assert.match(text, /^process_resident_memory_bytes \d{7,}$/m);
});

test('what is gone from the status is gone from the metrics', async () => {
  let status: Status = sampleStatus;
  const metrics = metricsOf(() => status);
  assert.match(await metrics.text(), /service="db"/);
  status = { ...sampleStatus, services: [], sources: [], haproxy: null };
  assert.doesNotMatch(await metrics.text(), /service="db"|watcher=/);
});

type Asked = { readonly method?: string; readonly url?: string; readonly hosts?: readonly string[] };

function refusal(
  listen: string,
  headers: Record<string, string>,
  { method = 'GET', url = '/api/v1/status', hosts = [] }: Asked = {},
): number | null {
  const socket = { localAddress: '::ffff:192.0.2.7' };
  const request = { method, url, headers, socket } as unknown as IncomingMessage;
  return tcpRefusal({ listen, hosts })(request)?.status ?? null;
}

test('over TCP the admin API takes no orders', () => {
  assert.equal(refusal('127.0.0.1:8405', { host: '127.0.0.1:8405' }, { method: 'POST' }), 405);
  assert.equal(refusal('127.0.0.1:8405', { host: '127.0.0.1:8405' }, { method: 'HEAD' }), null);
});

test('the admin API is asked by the address that it has, as localhost or by its configured name', () => {
  for (const host of ['192.0.2.7:8405', '[::ffff:192.0.2.7]:8405', 'localhost:8405', 'LOCALHOST'])
    assert.equal(refusal('*:8405', { host }), null, host);
  // As whoever is led here by HAProxy might ask.
  for (const host of ['127.0.0.1:8405', '10.0.0.7', '[::1]']) assert.equal(refusal('*:8405', { host }), 403, host);
  assert.equal(refusal('ops.example:8405', { host: 'Ops.Example:8405' }), null);
});

test('the admin API is asked by the names that the config has for it, and by no others', () => {
  const hosts = ['proxy-1.example'];
  assert.equal(refusal('127.0.0.1:8405', { host: 'Proxy-1.example:80' }, { hosts }), null);
  assert.equal(refusal('127.0.0.1:8405', { host: 'proxy-2.example' }, { hosts }), 403);
});

test('a link on another site leads to the page, and to nothing else', () => {
  const followed = { host: '127.0.0.1:8405', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
  assert.equal(refusal('127.0.0.1:8405', followed, { url: '/' }), null);
  assert.equal(refusal('127.0.0.1:8405', followed, { url: '/api/v1/status' }), 403);
  assert.equal(refusal('127.0.0.1:8405', { ...followed, host: 'evil.example' }, { url: '/' }), 403);
  assert.equal(refusal('127.0.0.1:8405', { ...followed, 'sec-fetch-mode': 'cors' }, { url: '/' }), 403);
});

test('no page of another site gets an answer from the admin API', () => {
  for (const host of [
    'evil.example',
    'evil.example:8405',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '',
    'a b',
    '[x',
  ])
    assert.equal(refusal('127.0.0.1:8405', { host }), 403, host);
  assert.equal(refusal('127.0.0.1:8405', {}), 403);
  const host = '127.0.0.1:8405';
  assert.equal(refusal(host, { host, origin: 'http://evil.example' }), 403);
  assert.equal(refusal(host, { host, origin: 'null' }), 403);
  assert.equal(refusal(host, { host, origin: 'http://127.0.0.1:9999' }), 403);
  assert.equal(refusal(host, { host, 'sec-fetch-site': 'cross-site' }), 403);
  assert.equal(refusal(host, { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }), null);
  assert.equal(refusal(host, { host, 'sec-fetch-site': 'none' }), null, 'typed into the address bar');
});
