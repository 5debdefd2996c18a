import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CutShort } from '../../../../watchers/consul/agent/client.ts';
import { failureOf } from '../../../../watchers/consul/agent/failure.ts';
import { retryAfterMs } from '../../../../watchers/kit/retry-after.ts';

const now = Date.parse('2026-01-01T00:00:00Z');

function answered(statusCode: number, body: unknown, headers = {}): Error {
  return Object.assign(new Error('consul: health.service: bad'), { response: { statusCode, headers, body } });
}

test('an agent may ask for patience in seconds or until a date', () => {
  assert.equal(retryAfterMs('7', now), 7000);
  assert.equal(retryAfterMs('Thu, 01 Jan 2026 00:00:30 GMT', now), 30_000);
  assert.equal(retryAfterMs('Thu, 01 Jan 1970 00:00:00 GMT', now), 0);
  assert.equal(retryAfterMs('soon', now), 0);
  assert.equal(retryAfterMs(undefined, now), 0);
  assert.equal(failureOf(answered(429, 'slow', { 'retry-after': '5' }), now).retryAfterMs, 5000);
});

test('no agent may ask for more patience than is good for its services', () => {
  for (const value of ['301', '99999999999', '9'.repeat(400), 'Fri, 01 Jan 2100 00:00:00 GMT'])
    assert.equal(retryAfterMs(value, now), 300_000, value);
});

test('a reason quotes the agent in one short line, and no page of HTML', () => {
  assert.equal(failureOf(answered(500, 'rpc error:\n  x\u0007y'), now).reason, 'HTTP 500 (rpc error: x y)');
  assert.equal(failureOf(answered(502, '<html>'.repeat(100)), now).reason, 'HTTP 502');
  assert.ok(failureOf(answered(500, 'x'.repeat(5000)), now).reason.length < 250);
  assert.equal(
    failureOf(new Error('consul: health.service: request timed out (5ms)'), now).reason,
    'request timed out (5ms)',
  );
});

test('a failure says whether it is of the query, its datacenter or the agent', () => {
  const scope = (error: Error) => failureOf(error, now).scope;
  assert.equal(scope(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })), 'agent');
  assert.equal(scope(answered(429, '')), 'agent');
  assert.equal(scope(answered(403, 'ACL not found')), 'datacenter');
  assert.equal(scope(answered(500, 'No cluster leader')), 'datacenter');
  assert.equal(scope(answered(500, 'No path to datacenter')), 'query');
  assert.equal(scope(answered(400, 'bad filter')), 'query');
  assert.equal(scope(new CutShort('cut')), 'query');
  assert.equal(scope(new Error('request timed out')), 'query');
});

test('a query that is wrong itself is told from one that is only not answered now', () => {
  const fault = (error: Error) => failureOf(error, now).fault;
  assert.equal(fault(answered(400, 'bad request')), 'query');
  assert.equal(fault(answered(500, 'Failed to create boolean expression evaluator: …')), 'query');
  for (const error of [answered(500, 'No path to datacenter'), answered(403, ''), new Error('request timed out')])
    assert.equal(fault(error), 'none', error.message);
  for (const status of [301, 307, 404, 414])
    assert.equal(fault(answered(status, '')), 'presumed', `whoever answers ${status} may be no agent`);
});
