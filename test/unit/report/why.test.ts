/** Each place where traffic of a service may be lost is named, with what can be done; where it goes on, that is told as well. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourceAnswer, SourceInstance } from '../../../src/model.ts';
import type { ServerStatus } from '../../../src/report/servers.ts';
import type { ServiceStatus, Status } from '../../../src/report/status.ts';
import type { WhyFacts } from '../../../src/report/why/step.ts';
import { why } from '../../../src/report/why.ts';
import { sampleStatus } from '../../support/values/status.ts';

const well = { down: null, state: 'up', required: true, synced: true, lastSuccess: 0, unserved: 0 } as const;
const service: ServiceStatus = {
  name: 'web',
  endpoints: { ready: 1, draining: 0, kept: 0, unfit: 0, refused: 0 },
  lacksEndpoints: false,
  unanswered: [],
  stale: null,
  kept: null,
  refused: [],
  refusedCount: 0,
  quarantined: null,
  health: null,
};
const health: NonNullable<ServerStatus['health']> = {
  condition: 'up',
  status: 'UP',
  since: 0,
  check: null,
  weight: 1,
  sessions: 0,
  queued: 0,
  sessionsPerSec: 0,
  errors: 0,
};
const server: ServerStatus = {
  service: 'web',
  backend: 'web',
  server: 'web-1',
  address: '10.0.0.1:80',
  source: 'ready',
  order: null,
  health,
};
const instance = { id: 'web-1', address: '10.0.0.1', port: 80, unfit: null, said: ['check web is passing'] };

function status(changes: Partial<ServiceStatus> = {}, rest: Partial<Status> = {}): Status {
  return {
    ...sampleStatus,
    haproxy: { ...sampleStatus.haproxy, unresponsive: null },
    sources: [{ name: 'consul', ...well }],
    services: [{ ...service, ...changes }],
    lastApply: null,
    waitingConfig: null,
    routesLeftOut: [],
    certificates: [],
    lastReload: null,
    ...rest,
  };
}

const facts: WhyFacts = {
  service: 'web',
  server: null,
  status: status(),
  servers: [server],
  explanations: [says({})],
  ways: ['127.0.0.1:80'],
  tls: [],
  rendered: null,
  lastChange: null,
  pending: null,
  now: 60_000,
};

function says(answer: Partial<SourceAnswer>): WhyFacts['explanations'][number] {
  return { watcher: 'consul', answer: { unfit: null, said: [], instances: [instance], ...answer }, failure: null };
}

const says1 = (changes: Partial<SourceInstance>): WhyFacts['explanations'] => [
  says({ instances: [{ ...instance, ...changes }] }),
];

/** The catalog has nobody. */
const none = { ready: 0, draining: 0, kept: 0, unfit: 0, refused: 0 };
const nobody = { status: status({ endpoints: none }), servers: [] };
const held = { ...health, condition: 'draining', weight: 0 } as const;
const tls = { frontend: 'public', host: 'shop.test', isOnlyTls: true, folder: '/certs' } as const;

/** What is asked about, by what differs from a service that serves; where it is lost, in which words, with which remedy. */
type Case = readonly [about: string, changes: Partial<WhyFacts>, stage: string, words: RegExp, remedy: RegExp | null];

const cases: readonly Case[] = [
  ['no such service', { status: status({}, { services: [] }) }, 'config', /no service is named "web"/, /myelin status/],
  [
    'left out by its limits',
    { status: status({}, { services: [], unserved: [{ watcher: 'consul', service: 'web', reason: 'port 1' }] }) },
    'config',
    /consul offers web, and it is left out: port 1/,
    /`discover`/,
  ],
  [
    'critical',
    { ...nobody, explanations: says1({ unfit: 'check web is critical: connection refused' }) },
    'source',
    /web-1 gets no traffic: check web is critical: connection refused/,
    null,
  ],
  [
    'wrong tag',
    { ...nobody, explanations: says1({ unfit: 'it lacks the tag blue; it has green' }) },
    'source',
    /web-1 gets no traffic: it lacks the tag blue; it has green/,
    null,
  ],
  [
    'no instance',
    { ...nobody, explanations: [says({ instances: [] })] },
    'source',
    /knows no instance of web/,
    /register/,
  ],
  [
    'what its source cannot answer',
    { ...nobody, explanations: [says({ unfit: { reason: 'there is no Service shop/web', remedy: 'create it' } })] },
    'source',
    /consul: there is no Service shop\/web/,
    /create it/,
  ],
  [
    'source that never answered',
    { ...nobody, explanations: [{ watcher: 'consul', answer: null, failure: 'refused' }] },
    'source',
    /consul does not answer \(refused\): nothing is known from before/,
    null,
  ],
  ['a server that has gone', { server: 'web-9' }, 'source', /names no such instance any more/, null],
  [
    'refused address',
    {
      servers: [],
      status: status({
        endpoints: { ...none, refused: 1 },
        refused: [{ id: 'web-1', part: 'endpoint', reason: 'loopback; allowAddresses: [127.0.0.0/8] allows it' }],
        refusedCount: 1,
      }),
    },
    'catalog',
    /endpoint "web-1" is left out: loopback; allowAddresses/,
    null,
  ],
  [
    'stale',
    { servers: [], status: status({ endpoints: none, stale: { reason: 'HTTP 500', since: 0 } }) },
    'catalog',
    /may be out of date, for 60s: HTTP 500/,
    null,
  ],
  ['no route', { ways: [] }, 'route', /nothing leads to it/, /`bind`, or `routes`/],
  [
    'certificate missing',
    {
      ways: ['shop.test of public'],
      tls: [{ ...tls, certificate: 'none' }],
      status: status({}, { certificates: sampleStatus.certificates }),
    },
    'route',
    /no certificate of public is for shop\.test: .*refuse\nblog is left out: it is empty/,
    /put one for shop\.test into \/certs, or correct/,
  ],
  [
    'quarantined without any server',
    {
      servers: [],
      status: status({
        quarantined: { since: 0, problems: [{ message: 'unknown keyword', service: 'web' }], servers: 0 },
      }),
    },
    'render',
    /quarantined with its last good structure: unknown keyword/,
    /correct what HAProxy refuses/,
  ],
  [
    'waiting for minInterval',
    {
      servers: [],
      pending: { reasons: [{ code: 'proxy_added', section: 'backend web' }], because: 'min_interval', at: 62_000 },
    },
    'apply',
    /it waits for a reload \(minimum interval between reloads \(reload\.minInterval\), 2s more\): backend web: .*\(proxy_added\)/,
    /`myelin reload` does not wait/,
  ],
  ['no HAProxy', { status: status({}, { haproxy: null }) }, 'haproxy', /no HAProxy of Myelin’s runs/, null],
  [
    'HAProxy hanging',
    { status: status({}, { haproxy: sampleStatus.haproxy }), now: sampleStatus.haproxy.unresponsive.since + 9000 },
    'haproxy',
    /HAProxy does not answer for 9s: no answer within 5000 ms/,
    /process 42/,
  ],
  [
    'drained by hand',
    { servers: [{ ...server, order: 'drain', health: held }] },
    'operator',
    /an operator set web\/web-1 .* to drain/,
    /myelin server ready web\/web-1/,
  ],
  ['maintenance by hand', { servers: [{ ...server, order: 'maint' }] }, 'operator', /to maint/, /server ready/],
  [
    'down by HAProxy’s own check',
    {
      servers: [
        {
          ...server,
          health: { ...health, condition: 'down', status: 'DOWN', check: { code: 'L4CON', words: 'refused' } },
        },
      ],
    },
    'haproxy',
    /own check finds web\/web-1 .* down: L4CON, refused/,
    /answers the `check`/,
  ],
  [
    'weight 0',
    { servers: [{ ...server, source: 'draining', health: held }] },
    'haproxy',
    /its weight is 0 .*, as its source says/,
    /at its source/,
  ],
  ['weight 0 by others', { servers: [{ ...server, health: held }] }, 'haproxy', /its weight is 0 \(UP\)$/, null],
];

for (const [about, changes, stage, words, remedy] of cases)
  test(`why: ${about} is lost at ${stage}`, () => {
    const { serves, steps } = why({ ...facts, ...changes });
    const first = steps.find(({ isLost }) => isLost);
    assert.equal(serves, false);
    assert.equal(first?.stage, stage, JSON.stringify(steps, null, 1));
    assert.match(first?.text ?? '', words);
    if (remedy === null) assert.equal(first?.remedy, null);
    else assert.match(first?.remedy ?? '', remedy);
  });

test('a service with a server that is up serves, and each step says why: what was rendered, and how HAProxy got it', () => {
  const answer = why({
    ...facts,
    rendered: { file: '/run/haproxy.cfg', lines: ['backend web', '    server web-1 10.0.0.1:80 weight 1'] },
    lastChange: { how: 'reload', at: 0, tookMs: 41.2, reasons: [{ code: 'proxy_added', section: 'backend web' }] },
    pending: { reasons: [{ code: 'bind_changed', section: 'frontend api' }], because: 'back_off', at: 61_000 },
  });
  assert.equal(answer.serves, true);
  assert.deepEqual(
    answer.steps.map(({ stage, text }) => `${stage} ${text}`),
    [
      'source consul names 1 instance, 1 of which may get traffic',
      'route clients reach it at 127.0.0.1:80',
      'render /run/haproxy.cfg has\nbackend web\n    server web-1 10.0.0.1:80 weight 1',
      'apply HAProxy was last changed for it by a reload, 60s ago, in 41 ms: backend web: a frontend, backend or listen section came (proxy_added)',
      'apply a reload waits, for others (pause after a failure, 1s more): frontend api: a `bind` line changed (bind_changed)',
      'haproxy HAProxy sends requests to web/web-1 (10.0.0.1:80): UP, 0 sessions',
    ],
  );
  const byCommands = why({ ...facts, lastChange: { how: 'runtime', at: 0, tookMs: 3, reasons: [] } });
  assert.match(byCommands.steps.find(({ stage }) => stage === 'apply')?.text ?? '', /by commands, 60s ago, in 3 ms$/);
});

test('what a source says of an instance is one line, whatever stands in it', () => {
  const hostile = { ...instance, unfit: 'check web is critical: no\n  haproxy  all is well' };
  const answer = why({ ...facts, explanations: [says({ instances: [hostile] })] });
  assert.equal(answer.steps[0]?.text.split('\n').length, 2);
});

test('of a HAProxy that hangs nothing is said of its servers, which nobody can know', () => {
  const { haproxy } = status();
  assert.ok(haproxy !== null);
  const hanging = { ...haproxy, unresponsive: { reason: 'no answer', since: 0 } };
  const answer = why({ ...facts, status: status({}, { haproxy: hanging }), servers: [{ ...server, health: null }] });
  const [step, ...others] = answer.steps.filter(({ stage }) => stage === 'haproxy');
  assert.deepEqual([answer.serves, others], [false, []]);
  assert.match(step?.text ?? '', /HAProxy does not answer for 60s: no answer/);
  assert.match(step?.remedy ?? '', /process 42/);
});

test('a source in trouble, a doubt, a certificate that clients do not trust, and one server of several that is down take nothing away', () => {
  const down: ServerStatus = { ...server, server: 'web-2', health: { ...health, condition: 'down', status: 'DOWN' } };
  const answer = why({
    ...facts,
    status: status(
      {
        endpoints: { ready: 1, draining: 0, kept: 1, unfit: 0, refused: 0 },
        kept: { reason: 'shrunk', since: 0, until: 120_000 },
      },
      { sources: [{ name: 'consul', ...well, state: 'down', down: { reason: 'refused', since: 0 } }] },
    ),
    servers: [server, down],
    explanations: [{ watcher: 'consul', answer: null, failure: 'refused' }],
    ways: ['a.test of public', 'shop.test of public'],
    tls: [
      { ...tls, host: 'a.test', certificate: 'generated' },
      { ...tls, certificate: 'none' },
    ],
  });
  assert.equal(answer.serves, true);
  const texts = answer.steps.map(({ text }) => text).join('\n');
  assert.match(texts, /consul does not answer \(refused\): its last answer serves on/);
  assert.match(texts, /serve on although no source names them any more \(shrunk, for 60s, 60s more\)/);
  assert.match(texts, /a certificate that Myelin made/);
  assert.match(texts, /no certificate of public is for shop\.test/);
  assert.match(texts, /web-2 .* down/);
});

test('what one source does not have takes nothing away where the catalog has it: retained, or from another one', () => {
  const gone = { ...facts, explanations: [says({ instances: [] })] };
  const kept = status({ endpoints: { ...none, kept: 1 }, kept: { reason: 'emptied', since: 0, until: null } });
  assert.equal(why({ ...gone, status: kept, servers: [{ ...server, source: 'kept' }] }).serves, true);
  assert.equal(why({ ...gone, server: 'web-1' }).serves, true);
  assert.equal(why({ ...gone, server: 'web-1', servers: [{ ...server, source: null }] }).serves, false);
});

test('of instances that get no traffic so many are named as people read', () => {
  const instances = Array.from({ length: 500 }, (_, at) => ({ ...instance, id: `web-${at}`, unfit: 'critical' }));
  const [first] = why({ ...facts, ...nobody, explanations: [says({ instances })] }).steps;
  assert.equal(first?.text.split('\n').length, 22);
  assert.match(first?.text ?? '', /500 instances, 0 of which may get traffic[\s\S]*and 480 more$/);
});
