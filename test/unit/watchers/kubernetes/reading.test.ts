import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../../../../src/errors.ts';
import { ApiError } from '../../../../watchers/kubernetes/api/api.ts';
import { failureOf } from '../../../../watchers/kubernetes/api/failure.ts';
import { NotUnderstood, readEvent, readPage, versionOf } from '../../../../watchers/kubernetes/api/objects.ts';
import { endpointSlices, pathOf, services } from '../../../../watchers/kubernetes/api/resources.ts';
import { servicesParams, slicesParams } from '../../../../watchers/kubernetes/service-query.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
const asked = { resource: endpointSlices, namespace: 'shop', verb: 'watch' } as const;

test('a refusal names verb, resource and namespace, and the rule that allows it', () => {
  assert.deepEqual(failureOf(new ApiError(403, 'no'), asked, now), {
    reason:
      'watch endpointslices in namespace shop: HTTP 403 (no); the rule { apiGroups: ["discovery.k8s.io"], ' +
      'resources: ["endpointslices"], verbs: ["get", "list", "watch"] } of a Role in shop allows it',
    retryAfterMs: 0,
    scope: 'query',
    isBusy: false,
  });
  const everywhere = failureOf(new ApiError(403, ''), { resource: services, namespace: null, verb: 'list' }, now);
  assert.match(
    everywhere.reason,
    /^list services in all namespaces: HTTP 403; .*apiGroups: \[""\].* of a ClusterRole allows it$/,
  );
});

test('what every query would meet is the server’s: who asks; the rest is the query’s own', () => {
  const scopeOf = (error: unknown): string => failureOf(error, asked, now).scope;
  assert.equal(scopeOf(new ApiError(401, '')), 'server');
  assert.equal(scopeOf(new AppError('MYELIN_SOURCE_FAILED', 'no kubeconfig')), 'server');
  for (const code of [400, 403, 404, 410, 429, 500, 503])
    assert.equal(scopeOf(new ApiError(code, '')), 'query', `${code}`);
  assert.equal(scopeOf(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })), 'query');
  assert.equal(scopeOf(new NotUnderstood('strange')), 'query');
});

test('a server may ask for patience; an error without words is told by its code', () => {
  assert.equal(failureOf(new ApiError(429, '', '7'), asked, now).retryAfterMs, 7000);
  assert.equal(failureOf(new ApiError(503, '', 'Thu, 01 Jan 2026 00:00:30 GMT'), asked, now).retryAfterMs, 30_000);
  const several = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' });
  assert.match(failureOf(several, asked, now).reason, /: ECONNREFUSED$/);
});

test('a list has a version, a next page where there is one, and items, though Go writes none as null', () => {
  const metadata = { resourceVersion: '7' };
  assert.deepEqual(readPage({ metadata, items: null }), { resourceVersion: '7', next: undefined, items: [] });
  assert.equal(readPage({ metadata: { ...metadata, continue: '' }, items: [] }).next, undefined);
  assert.equal(readPage({ metadata: { ...metadata, continue: 'x' }, items: [] }).next, 'x');
  for (const strange of [null, 'text', {}, { items: [] }, { metadata: { resourceVersion: '' }, items: [] }])
    assert.throws(() => readPage(strange), /not a list of the Kubernetes API/);
});

test('an event is a line of JSON, and its object says how far the watch has come', () => {
  const { type, object } = readEvent('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}');
  assert.deepEqual([type, versionOf(object)], ['BOOKMARK', '9']);
  assert.throws(() => readEvent('{"type":'), NotUnderstood);
  assert.throws(() => readEvent('[]'), /not an event of a watch/);
  assert.throws(() => versionOf({ metadata: {} }), NotUnderstood);
});

test('selectors of the config and the names that are asked for are joined, so that the server sends little else', () => {
  const selectors = { labelSelector: 'tier=front', fieldSelector: 'spec.type!=LoadBalancer' };
  assert.deepEqual(servicesParams(selectors, ['web']), {
    labelSelector: 'tier=front',
    fieldSelector: 'spec.type!=LoadBalancer,metadata.name=web',
  });
  assert.deepEqual(slicesParams(selectors, ['web', 'db']), {
    labelSelector: 'tier=front,kubernetes.io/service-name in (web,db)',
  });
  const none = { labelSelector: undefined, fieldSelector: undefined };
  const many = Array.from({ length: 51 }, (_, index) => `s${index}`);
  assert.deepEqual([servicesParams(none, many), slicesParams(none, many)], [{}, {}]);
});

test('a resource has a path for one namespace, and one for all', () => {
  assert.equal(pathOf(services, 'shop'), '/api/v1/namespaces/shop/services');
  assert.equal(pathOf(endpointSlices, null), '/apis/discovery.k8s.io/v1/endpointslices');
});
