import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemsOf } from '../../../src/page/app/model/problems.ts';
import { sceneNow, sceneStatus } from '../../support/values/scene.ts';
import { sampleStatus } from '../../support/values/status.ts';

test('what is wrong stands with its cause in the words of HAProxy or the source, and with the command that acts', () => {
  const problems = problemsOf(sceneStatus(2000), sceneNow);
  const lines = problems.map(({ tone, subject, kind, command }) => [tone, subject, kind, command]);
  assert.deepEqual(lines, [
    ['bad', 'payments-gateway', 'no server up', 'myelin why payments-gateway'],
    ['warn', 'consul', 'unreachable', null],
    ['warn', 'stock-feed', 'retained', 'myelin accept stock-feed'],
    ['warn', 'media-proxy', 'quarantined', 'myelin check'],
    ['warn', 'search-index', '1 of 6 down', 'myelin why search-index'],
    ['warn', 'public/pay', 'certificate expires in 6 days', null],
    ['warn', 'public/blog', 'certificate left out', null],
    ['note', 'orders-web/orders-web-2', 'draining', 'myelin server ready orders-web/orders-web-2'],
    ['note', '2 discovered services', 'left out', 'myelin why legacy-ftp'],
    ['note', '1 route', 'left out', 'myelin why media-web'],
  ]);
  const [down] = problems;
  assert.equal(
    down?.cause,
    'payments-gateway-1 (10.4.17.23:8080): L7STS, Layer7 wrong status: 503 Service Unavailable, and 2 more',
  );
  assert.equal(down.since, sceneNow - 120_000);
});

test('a Myelin that is well has no problems, and each problem of another one has an id of its own', () => {
  assert.deepEqual(problemsOf(sceneStatus(20, true), sceneNow), []);
  const ids = problemsOf(sampleStatus, sampleStatus.at).map(({ id }) => id);
  assert.ok(ids.length > 5);
  assert.equal(new Set(ids).size, ids.length);
});
