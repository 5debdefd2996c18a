import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Catalog, type CatalogSettings, createCatalog, receive, view } from '../../../src/catalog/catalog.ts';
import { reconfigureAll } from '../../../src/catalog/reconfigure.ts';
import { reconfigure } from '../../../src/catalog/services-changed.ts';
import { entriesOf } from '../../../src/catalog/table.ts';
import type { Endpoint } from '../../../src/model.ts';
import { endpoint, settings } from '../../support/values/catalog.ts';

/** Some share a query, some are the same service by another query. */
const pool = ['a', 'b', 'c', 'd'].flatMap((name) =>
  [{ key: name }, { key: name, query: { port: 1 } }, { key: 'shared', query: 1 }, { key: 'shared', query: 2 }].map(
    (origin) => ({ name, origin: { watcher: 'consul', ...origin } }),
  ),
);

const base = settings({ services: {}, discovering: ['consul'] });

function settingsOf(chosen: readonly (typeof pool)[number][], discovered: typeof chosen): CatalogSettings {
  const queries = new Map<string, unknown>();
  // In one config a key stands for one query.
  const isOf = ({ origin: { key, query } }: (typeof pool)[number]): boolean => {
    if (!queries.has(key)) queries.set(key, query);
    return queries.get(key) === query;
  };
  return {
    ...base,
    services: new Map(chosen.filter(isOf).map((one) => [one.name, serviceOf(one)])),
    discovered: discovered.filter(isOf).map(({ origin }) => origin),
  };
}

const services = new Map(
  pool.map((one) => [one, { origins: [one.origin], onEmpty: 'doubt', keepFor: 60_000 } as const]),
);
function serviceOf(one: (typeof pool)[number]): typeof services extends Map<unknown, infer S> ? S : never {
  const its = services.get(one);
  assert.ok(its !== undefined);
  return its;
}

/** Everything that a catalog says, in a fixed order. */
function said({ results, services: served, awaited, index, settings: of, ...rest }: Catalog): unknown {
  const sorted = <V>(entries: Iterable<readonly [string, V]>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    ...rest,
    results: sorted(entriesOf(results)),
    services: sorted(entriesOf(served)),
    awaited: sorted(entriesOf(awaited)),
    servicesOf: sorted(entriesOf(index.servicesOf)).map(([name, its]) => [name, its.toSorted()]),
    queries: sorted(entriesOf(index.queries)).map(([name, { query }]) => [name, query]),
    queriedWatchers: [...index.queriedWatchers].sort(),
    settings: of,
  };
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant('settings' as const),
    chosen: fc.uniqueArray(fc.constantFrom(...pool), { selector: ({ name }) => name }),
    discovered: fc.uniqueArray(fc.constantFrom(...pool), { selector: ({ origin }) => origin.key }),
    hasSeed: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('event' as const),
    key: fc.constantFrom('a', 'b', 'c', 'd', 'shared'),
    what: fc.constantFrom('endpoints' as const, 'none' as const, 'gone' as const, 'stale' as const),
  }),
  fc.record({ kind: fc.constant('synced' as const) }),
);

test('a catalog that follows the services that came and went is the one that takes over all of them', () => {
  const one = [endpoint('one', '10.0.0.1')];
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      let catalog = createCatalog(base, 0);
      for (const [at, now] of steps.entries()) {
        switch (now.kind) {
          case 'settings': {
            const { chosen, discovered, hasSeed } = now;
            const next = settingsOf(chosen, discovered);
            const seeds = new Map<string, readonly Endpoint[]>(hasSeed ? [['a', one]] : []);
            const all = reconfigureAll(catalog, next, at, seeds, 'config');
            catalog = reconfigure(catalog, next, at, seeds);
            assert.deepEqual(said(catalog), said(all));
            assert.deepEqual([...view(catalog).unknown], [...view(all).unknown]);
            assert.deepEqual(view(catalog).endpoints, view(all).endpoints);
            break;
          }
          case 'event': {
            const { key, what } = now;
            const about = { watcher: 'consul', key };
            if (what === 'stale') catalog = receive(catalog, { ...about, kind: what, reason: 'away' }, at);
            else if (what === 'gone') catalog = receive(catalog, { ...about, kind: what }, at);
            else catalog = receive(catalog, { ...about, kind: 'endpoints', endpoints: what === 'none' ? [] : one }, at);
            break;
          }
          case 'synced':
            catalog = receive(catalog, { watcher: 'consul', kind: 'synced' }, at);
        }
      }
    }),
    { numRuns: 100 },
  );
});
