import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionOf } from '../../../../watchers/consul/agent/connection.ts';
import type { Failure } from '../../../../watchers/consul/agent/failure.ts';
import { SourceHealth } from '../../../../watchers/consul/agent/source-health.ts';
import { consulSettings } from '../../../../watchers/consul/settings.ts';
import { withCommon } from '../../../../watchers/kit/source.ts';

const timedOut: Failure = { reason: 'timed out', retryAfterMs: 0, scope: 'query', fault: 'none' };
const wrong: Failure = { ...timedOut, reason: 'HTTP 400', fault: 'query' };
const refused: Failure = { ...timedOut, reason: 'ECONNREFUSED', scope: 'agent' };

/** Queries by key, with their datacenters. */
function healthOf(datacenters: Readonly<Record<string, string>>, connections = 100): SourceHealth {
  const connection = connectionOf(withCommon(consulSettings).parse({}), {});
  return new SourceHealth(connection, new Map(Object.entries(datacenters)), connections);
}

test('the source is down when every query fails, or the first one by the agent’s own fault', () => {
  const one = healthOf({ a: '', b: '' });
  assert.equal(one.failed('a', refused).kind, 'source');
  const other = healthOf({ a: '', b: '' });
  assert.equal(other.failed('a', timedOut).kind, 'query');
  assert.equal(other.failed('b', timedOut).kind, 'source');
});

test('one query that fails for ever is one query, however few connections there are', () => {
  const health = healthOf({ a: '', b: '', c: '' }, 2);
  health.succeeded('b');
  for (let attempt = 0; attempt < 100; attempt++) assert.equal(health.failed('a', timedOut).kind, 'query');
});

test('the source is down when as many queries as can be asked at once get no answer any more', () => {
  const health = healthOf(Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`s${at}`, ''])), 5);
  for (let at = 0; at < 50; at++) health.succeeded(`s${at}`);
  const verdicts = Array.from({ length: 6 }, (_, at) => health.failed(`s${at}`, timedOut).kind);
  assert.deepEqual(verdicts, ['query', 'query', 'query', 'query', 'query', 'source']);
});

test('a query that is wrong is answered by that, also where it is the only one', () => {
  assert.deepEqual(healthOf({ a: '' }).failed('a', wrong), { kind: 'query', isUnanswerable: true });
});

test('a query that is redirected is wrong where the agent answers others; an address that redirects all is no agent', () => {
  const redirected: Failure = { ...timedOut, reason: 'HTTP 307', fault: 'presumed' };
  const health = healthOf({ a: '', b: '' });
  assert.deepEqual(health.failed('a', redirected), { kind: 'query', isUnanswerable: false });
  health.succeeded('b');
  assert.deepEqual(health.failed('a', redirected), { kind: 'query', isUnanswerable: true });
  assert.ok(health.isWell('b'), 'the others are asked as before');
  assert.equal(health.failed('b', redirected).kind, 'source');
});

test('a datacenter out of reach keeps nobody waiting, but only while another answers', () => {
  const health = healthOf({ a: '', b: 'far', c: 'far' });
  assert.deepEqual(health.failed('b', timedOut), { kind: 'query', isUnanswerable: false });
  assert.deepEqual(health.hanging, []);
  health.succeeded('a');
  assert.deepEqual(health.hanging, ['c']);
  assert.deepEqual(health.failed('b', timedOut), { kind: 'query', isUnanswerable: true });
  assert.deepEqual([health.isWell('a'), health.isWell('c')], [true, false]);
  health.succeeded('c');
  assert.deepEqual([health.isWell('b'), health.isWell('c')], [false, true]);
  assert.deepEqual(health.failed('b', timedOut), { kind: 'query', isUnanswerable: false });
});
