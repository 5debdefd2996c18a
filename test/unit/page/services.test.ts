import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filtered, haproxySays, rowsOf, sourcesSay } from '../../../src/page/app/model/services.ts';
import { sceneStatus } from '../../support/values/scene.ts';

const rows = rowsOf(sceneStatus(2000).services);
const names = (query: string): readonly string[] => filtered(rows, query).map(({ name }) => name);

test('services of which something is wrong stand before the others, the worst first', () => {
  assert.deepEqual(
    rows.slice(0, 5).map(({ service, name, state }) => [name, state, haproxySays(service), sourcesSay(service)]),
    [
      ['payments-gateway', 'down', '3 down', '3 ready'],
      ['media-proxy', 'quarantined', '4 up', '4 ready'],
      ['search-index', 'partly down', '5 up, 1 down', '6 ready'],
      ['stock-feed', 'retained', '3 up', '6 kept'],
      ['cart-admin', 'up', '1 up', '1 ready'],
    ],
  );
});

test('each word of the filter is looked for in the name and in what is said of the service', () => {
  assert.deepEqual(names('  PAYMENTS gate down '), ['payments-gateway']);
  assert.deepEqual(names('quarantined'), ['media-proxy']);
  assert.deepEqual(names('draining'), ['cart-jobs']);
  assert.equal(names('').length, 2000);
  assert.deepEqual(names('nothing like it'), []);
});

test('a service scaled to nothing is a warning only where it should have endpoints', () => {
  const [first] = sceneStatus(1).services;
  assert.ok(first);
  const endpoints = { ...first.endpoints, ready: 0 };
  const row = (lacksEndpoints: boolean): readonly string[] =>
    rowsOf([{ ...first, endpoints, lacksEndpoints, health: null }]).flatMap(({ tone, state }) => [tone, state]);
  assert.deepEqual(row(true), ['warn', 'empty']);
  assert.deepEqual(row(false), ['note', 'no endpoint']);
});
