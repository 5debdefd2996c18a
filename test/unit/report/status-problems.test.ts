/** What is not well, and one service in full. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblems } from '../../../src/commands/text/problems-text.ts';
import { formatService } from '../../../src/commands/text/service-text.ts';
import type { PastEvent } from '../../../src/report/history/kept.ts';
import type { ServerStatus } from '../../../src/report/servers.ts';
import { serviceReport } from '../../../src/report/service-report.ts';
import type { ServiceStatus, Status } from '../../../src/report/status.ts';
import { problemsOf } from '../../../src/report/status-problems.ts';
import { sceneNow, sceneStatus } from '../../support/values/scene.ts';
import { sampleStatus } from '../../support/values/status.ts';

const now = 1_767_000_600_000;
const [web] = sampleStatus.services as readonly ServiceStatus[];
assert.ok(web);

const well: Status = {
  ...sampleStatus,
  state: 'ready',
  stateReasons: [],
  haproxy: { ...sampleStatus.haproxy, unresponsive: null, fileTrouble: null, drift: [] },
  refusedConfig: null,
  waitingConfig: null,
  orders: [],
  sources: [],
  services: [],
  outputs: [],
  unserved: [],
  certificates: [],
  caFiles: [],
  routesLeftOut: [],
};

test('where all is well no problem is listed', () => {
  assert.deepEqual(problemsOf(well, now), []);
  assert.deepEqual(problemsOf(sceneStatus(20, true), sceneNow), []);
  assert.equal(formatProblems([], now), 'all is well\n');
});

test('each problem of a status has its age, its cause, and the command that acts on it', () => {
  const told = problemsOf(sceneStatus(2000), sceneNow);
  assert.deepEqual(
    told.map(({ severity, kind, about, command }) => [severity, kind, about, command]),
    [
      ['bad', 'service_down', 'payments-gateway', 'myelin why payments-gateway'],
      ['warn', 'source_down', 'consul', null],
      ['warn', 'service_quarantined', 'media-proxy', 'myelin why media-proxy'],
      ['warn', 'server_down', 'search-index', 'myelin why search-index'],
      ['warn', 'endpoints_kept', 'stock-feed', 'myelin accept stock-feed'],
      ['warn', 'certificate_left_out', 'public/blog', null],
      ['warn', 'certificate_expires', 'public/pay', null],
      ['note', 'server_ordered', 'orders-web/orders-web-2', 'myelin server ready orders-web/orders-web-2'],
      ['note', 'service_left_out', 'legacy-ftp', 'myelin why legacy-ftp'],
      ['note', 'route_left_out', 'media-web', 'myelin why media-web'],
    ],
  );
  const [down] = told;
  assert.equal(
    down?.cause,
    'payments-gateway-1 (10.4.17.23:8080): L7STS, Layer7 wrong status: 503 Service Unavailable, and 2 more',
  );
  assert.equal(down.since, sceneNow - 120_000);
  const text = formatProblems(problemsOf(sampleStatus, now), now);
  assert.match(text, /^ {2}cluster +the source is down, its last answers serve, for 9m\n +connect ECONNREFUSED\n/m);
  assert.match(
    text,
    /^ {2}web +1 of its 3 servers is down, for 9m\n +web-1 \(10\.0\.0\.1:80\): L4CON, .*\n +→ myelin why web$/m,
  );
});

test('a command of a problem finds the Myelin that it is about', () => {
  const config = '/srv/a b/myelin.yaml';
  const commands = problemsOf({ ...sampleStatus, config }, now).map(({ command }) => command);
  assert.ok(commands.includes("myelin -c '/srv/a b/myelin.yaml' accept db"));
});

test('the place in a config that is refused is shown on lines of its own, what strangers say on one', () => {
  const refusedConfig = { reason: 'backend.hbs:1:8: it is open\n  1 | {{#if}}', since: now - 5000 };
  const text = formatProblems(problemsOf({ ...well, refusedConfig }, now), now);
  assert.match(text, /\n +backend\.hbs:1:8: it is open\n +1 \| \{\{#if\}\}\n/);
  const stale = { reason: 'HTTP 500\n→ myelin stop', since: now };
  const ofService = formatProblems(problemsOf({ ...well, services: [{ ...web, stale, health: null }] }, now), now);
  assert.doesNotMatch(ofService, /^ *→ myelin stop/m);
});

test('a source that is down and has not answered yet is not said to serve its last answers', () => {
  const [, source] = sampleStatus.sources;
  const whats = (synced: boolean): readonly string[] =>
    problemsOf({ ...well, sources: [{ ...source, synced }] }, now).map(({ what }) => what);
  assert.deepEqual(whats(false), ['the source is down, and has not answered since Myelin started']);
  assert.deepEqual(whats(true), ['the source is down, its last answers serve']);
});

test('services whose queries fail because their source is down are not listed one by one', () => {
  const [, source] = sampleStatus.sources;
  const kinds = (since: number): readonly string[] => {
    const stale = { reason: 'socket hang up', since };
    const services = [{ ...web, stale, refused: [], refusedCount: 0, health: null }];
    return problemsOf({ ...well, sources: [source], services }, now).map(({ kind }) => kind);
  };
  assert.deepEqual(kinds(source.down.since + 300), ['source_down']);
  assert.deepEqual(kinds(source.down.since - 60_000), ['source_down', 'service_stale']);
});

test('a reload that waits is listed with what it waits for and what it is wanted for', () => {
  const reasons = [{ code: 'bind_changed', section: 'frontend web:in' }] as const;
  const pending = { why: 'min_interval', since: now - 3000, at: now + 5000, reasons };
  const [waits] = problemsOf({ ...well, pending }, now);
  assert.match(waits?.what ?? '', /^a reload waits, for another 5s: minimum interval/);
  assert.match(waits?.cause ?? '', /^frontend web:in: a `bind` line changed/);
});

test('a service whose endpoints all fail HAProxy’s check is a problem in HAProxy’s words', () => {
  const health = { ...web.health, isDown: true } as ServiceStatus['health'];
  const [first] = problemsOf({ ...well, services: [{ ...web, refused: [], refusedCount: 0, health }] }, now);
  assert.equal(first?.what, 'HAProxy has no server up for it: its clients get errors');
  assert.match(first?.cause ?? '', /Connection refused/);
});

const server: ServerStatus = {
  service: 'web',
  backend: 'web',
  server: 'web-1',
  address: '10.0.0.1:80',
  source: 'ready',
  order: null,
  health: {
    condition: 'down',
    status: 'DOWN',
    since: now - 60_000,
    check: { code: 'L4CON', words: 'Connection refused' },
    weight: 1,
    sessions: 0,
    queued: 0,
    sessionsPerSec: 0,
    errors: 0,
  },
};

const past = (at: number, event: object): PastEvent =>
  ({ id: `r-${at}`, at, lastAt: at, times: 1, others: 0, ...event }) as PastEvent;

test('one service in full has its ways, certificates, differences between source and HAProxy, and last changes', () => {
  const reasons = [{ code: 'bind_changed', section: 'frontend web:in' }];
  const report = serviceReport({
    name: 'web',
    status: sampleStatus,
    servers: [server],
    ways: ['127.0.0.1:8080', 'shop.example.com of public'],
    hosts: [{ frontend: 'public', host: 'shop.example.com' }],
    history: [
      past(now - 9000, { kind: 'reload', reasons, more: 0, tookMs: 41, reloadMs: 38, sinceChangeMs: 80 }),
      past(now - 5000, { kind: 'runtime', backends: ['web'], more: 0, commands: 2, tookMs: 3, sinceChangeMs: 5 }),
      past(now - 1000, { kind: 'loss_ended', service: 'web' }),
    ],
  });
  assert.ok(report);
  assert.equal(report.lastChange?.kind, 'runtime');
  assert.equal(report.lastReload?.kind, 'reload');
  assert.deepEqual(
    report.certificates.map(({ name }) => name),
    ['shop'],
  );
  const text = formatService(report, now);
  assert.match(text, /web\/web-1 +the source says ready, HAProxy says DOWN: L4CON, Connection refused/);
  assert.match(
    text,
    /last reload +\S+ \S+ +HAProxy reloaded: in 41 ms, 80 ms after the change: frontend web:in: a `bind`/,
  );
  assert.match(text, /reached at +127\.0\.0\.1:8080\n +shop\.example\.com of public/);
  const unknown = { name: 'wbe', status: sampleStatus, servers: [], ways: [], hosts: [], history: [] };
  assert.equal(serviceReport(unknown), null);
});
