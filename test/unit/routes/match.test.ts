import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchRoute } from '../../../src/routes/match.ts';

const held = ['shop.test/', 'shop.test/api/', '*.shop.test/', '*.shop.test/api/', '*/health/'].map((key) => ({
  route: { frontend: 'public', key, line: `${key} x\n`, label: key },
}));

test('a request takes the route that HAProxy gives it: exact host, then *., then any host, and the longest path at its elements', () => {
  const cases: readonly (readonly [host: string, path: string, key: string | null])[] = [
    ['shop.test', '/', 'shop.test/'],
    ['SHOP.test:8080', '/api', 'shop.test/api/'],
    ['shop.test.', '/api/v2/x', 'shop.test/api/'],
    ['shop.test', '/apix', 'shop.test/'],
    ['a.shop.test', '/api/', '*.shop.test/api/'],
    ['a.b.shop.test', '/api', null],
    ['a.b.shop.test', '/health/x', '*/health/'],
    ['other', '/health', '*/health/'],
    ['other', '/healthz', null],
  ];
  for (const [host, path, key] of cases)
    assert.equal(matchRoute(held, host, path)?.route.key ?? null, key, host + path);
});
