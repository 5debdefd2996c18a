import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerStatus } from '../../../src/report/servers.ts';
import type { ServiceStatus, Status } from '../../../src/report/status.ts';
import { type WhyFacts, why } from '../../../src/report/why.ts';
import { sampleStatus } from '../../support/values/status.ts';

const well = { down: null, state: 'up', required: true, synced: true, lastSuccess: 0, unserved: 0 } as const;
const service: ServiceStatus = {
  name: 'web',
  endpoints: { ready: 1, draining: 0, kept: 0, unfit: 0, refused: 0 },
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
    ...rest,
  };
}

const facts: WhyFacts = {
  service: 'web',
  server: null,
  status: status(),
  servers: [server],
  explanations: [{ watcher: 'consul', instances: [instance], failure: null }],
  ways: ['127.0.0.1:80'],
};

test('a service with a server that is up serves, and each step says why', () => {
  const answer = why(facts);
  assert.equal(answer.serves, true);
  assert.deepEqual(
    answer.steps.map(({ stage }) => stage),
    ['source', 'route', 'haproxy'],
  );
});

test('the first place where traffic is lost is named, in words that say what happened and what can be done', () => {
  const critical = { ...instance, unfit: 'check web is critical: connection refused' };
  const down = { ...health, condition: 'down', status: 'DOWN', check: { code: 'L4CON', words: 'refused' } } as const;
  const cases: readonly (readonly [Partial<WhyFacts>, stage: string, words: RegExp])[] = [
    [{ status: status({}, { services: [] }) }, 'config', /no service is named "web"/],
    [
      { status: status({}, { services: [], unserved: [{ watcher: 'consul', service: 'web', reason: 'port 1' }] }) },
      'config',
      /consul offers web, and it is left out: port 1/,
    ],
    [
      { explanations: [{ watcher: 'consul', instances: [critical], failure: null }] },
      'source',
      /web-1 gets no traffic: check web is critical: connection refused/,
    ],
    [{ explanations: [{ watcher: 'consul', instances: [], failure: null }] }, 'source', /knows no instance of web/],
    [
      {
        status: status({
          endpoints: { ready: 0, draining: 0, kept: 0, unfit: 0, refused: 1 },
          refused: [{ id: 'web-1', part: 'endpoint', reason: 'loopback' }],
          refusedCount: 1,
        }),
      },
      'catalog',
      /endpoint "web-1" is left out: loopback/,
    ],
    [{ ways: [] }, 'route', /nothing leads to it/],
    [{ status: status({}, { haproxy: null }) }, 'haproxy', /no HAProxy of Myelin’s runs/],
    [{ servers: [{ ...server, order: 'maint' }] }, 'operator', /an operator set web\/web-1 .* to maint/],
    [{ servers: [{ ...server, health: down }] }, 'haproxy', /own check finds web\/web-1 .* down: L4CON, refused/],
    [
      { servers: [{ ...server, health: { ...health, condition: 'draining', weight: 0 } }] },
      'haproxy',
      /its weight is 0/,
    ],
    [{ server: 'web-9' }, 'source', /names no such instance any more/],
  ];
  for (const [changes, stage, words] of cases) {
    const { serves, steps } = why({ ...facts, ...changes });
    const first = steps.find(({ isLost }) => isLost);
    assert.equal(serves, false, String(words));
    assert.equal(first?.stage, stage, String(words));
    assert.match(first?.text ?? '', words);
  }
});

test('of a HAProxy that hangs nothing is said of its servers, which nobody can know', () => {
  const { haproxy } = status();
  assert.ok(haproxy !== null);
  const hanging = { ...haproxy, unresponsive: { reason: 'no answer', since: 0 } };
  const answer = why({ ...facts, status: status({}, { haproxy: hanging }), servers: [{ ...server, health: null }] });
  const [step, ...others] = answer.steps.filter(({ stage }) => stage === 'haproxy');
  assert.deepEqual([answer.serves, others], [false, []]);
  assert.match(step?.text ?? '', /HAProxy does not answer: no answer/);
  assert.match(step?.remedy ?? '', /process 42/);
});

test('a source in trouble, a doubt, and one server of several that is down are told, and take nothing away', () => {
  const down: ServerStatus = { ...server, server: 'web-2', health: { ...health, condition: 'down', status: 'DOWN' } };
  const answer = why({
    ...facts,
    status: status(
      {
        endpoints: { ready: 1, draining: 0, kept: 1, unfit: 0, refused: 0 },
        kept: { reason: 'shrunk', since: 0, until: null },
      },
      { sources: [{ name: 'consul', ...well, state: 'down', down: { reason: 'refused', since: 0 } }] },
    ),
    servers: [server, down],
    explanations: [{ watcher: 'consul', instances: null, failure: 'refused' }],
  });
  assert.equal(answer.serves, true);
  const texts = answer.steps.map(({ text }) => text).join('\n');
  assert.match(texts, /consul does not answer \(refused\): its last answer serves on/);
  assert.match(texts, /serve on although no source names them any more/);
  assert.match(texts, /web-2 .* down/);
});
