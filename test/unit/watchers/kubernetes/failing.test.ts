import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../../watchers/kubernetes/api/api.ts';
import { Failing } from '../../../../watchers/kubernetes/api/failing.ts';
import { type Failure, failureOf } from '../../../../watchers/kubernetes/api/failure.ts';
import { services } from '../../../../watchers/kubernetes/api/resources.ts';

function answered(status: number, retryAfter?: string): Failure {
  return failureOf(new ApiError(status, '', retryAfter), { resource: services, namespace: 'a', verb: 'list' }, 0);
}

const asAsked = (askedMs: number): number => askedMs;

test('the source is down when every namespace is, and not before; one that is well again does not count', () => {
  for (const status of [403, 500]) {
    const failing = new Failing('https://here', 3, asAsked);
    assert.equal(failing.set('a', 'services', answered(status)), undefined);
    assert.equal(failing.set('a', 'endpointslices', answered(status)), undefined);
    assert.equal(failing.set('b', 'services', answered(status)), undefined);
    assert.equal(failing.set('b', 'services', null), undefined);
    assert.equal(failing.set('c', 'services', answered(status)), undefined);
    const error = failing.set('b', 'endpointslices', answered(status));
    assert.match(String(error), /Kubernetes at https:\/\/here: list services in namespace a: HTTP/);
  }
});

test('credentials that are refused are the end of it, whatever else is well', () => {
  const error = new Failing('https://here', 9, (askedMs) => askedMs + 60_000).set('a', 'services', answered(401, '3'));
  assert.match(String(error), /HTTP 401/);
  assert.equal(error?.retryAfterMs, 63_000, 'more tries would not help');
});

test('a server that is asked too much is down only where it results nothing at all, and is left alone as long as it asks', () => {
  const failing = new Failing('https://here', 2, asAsked);
  assert.equal(failing.set('a', 'services', answered(429, '3')), undefined);
  assert.equal(failing.set('b', 'services', answered(429, '1')), undefined);
  assert.equal(failing.set('b', 'endpointslices', answered(429)), undefined);
  assert.equal(failing.set('a', 'endpointslices', answered(429, '2'))?.retryAfterMs, 3000);
});
