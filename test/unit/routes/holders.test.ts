import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Claimant, Routes, type RouteTable, routeTable } from '../../../src/routes/holders.ts';
import { resolveRoute } from '../../../src/routes/resolve.ts';
import type { Route, SharedFrontend } from '../../../src/routes/route.ts';
import { readRoute } from '../../../src/routes/written.ts';

const frontends = new Map<string, SharedFrontend>([['public', { name: 'public', kind: 'http', ports: [] }]]);

function routes(service: string, texts: readonly string[]): readonly Route[] {
  return texts.flatMap((text) => {
    const written = readRoute(text);
    const route =
      written.kind === 'read' ? resolveRoute(written.value, { name: service, mode: 'http' }, frontends) : written;
    return route.kind === 'read' ? [route.value] : [];
  });
}

function claimant(service: string, createdAt: number | null, ...texts: readonly string[]): Claimant {
  return { service, createdAt, routes: routes(service, texts) };
}

/** Who has what. */
function holders({ routes }: RouteTable): Readonly<Record<string, string>> {
  return Object.fromEntries((routes.get('public') ?? []).map(({ service, route }) => [route.key, service]));
}

test('of those that claim a route the listed service has it, then the older one, then the one that is first by name', () => {
  const all = [
    claimant('young', 2, '/a', '/b', '/c'),
    claimant('old', 1, '/a', '/b'),
    claimant('listed', null, '/a'),
    claimant('also-old', 1, '/b', '/d'),
  ];
  const table = routeTable(all);
  assert.deepEqual(holders(table), { '*/a/': 'listed', '*/b/': 'also-old', '*/c/': 'young', '*/d/': 'also-old' });
  assert.deepEqual(
    table.conflicts.map(({ service, route, holder }) => `${service} ${route}: ${holder}`),
    ['old /a: listed', 'old /b: also-old', 'young /a: listed', 'young /b: also-old'],
  );
});

test('when the first that claims a route goes, the next one has it', () => {
  const [young, old] = [claimant('young', 2, '/a strip'), claimant('old', 1, '/a')];
  assert.deepEqual(holders(routeTable([young, old])), { '*/a/': 'old' });
  assert.deepEqual(holders(routeTable([young])), { '*/a/': 'young' });
  assert.deepEqual(routeTable([young]).conflicts, []);
});

const texts = fc.subarray(['/a', '/a/b', 'x.example.com', '*.example.com/a', '/c strip', '/c'], { minLength: 1 });
const claimants = fc.uniqueArray(
  fc.record({ service: fc.stringMatching(/^[a-z]{1,2}$/), createdAt: fc.option(fc.nat(2)), texts }),
  { selector: ({ service }) => service },
);

test('the order in which services came never decides who has a route; each route is one entry', () => {
  fc.assert(
    fc.property(claimants, fc.infiniteStream(fc.nat()), (list, random) => {
      const all = list.map(({ service, createdAt, texts: its }) => claimant(service, createdAt, ...its));
      const shuffled = all
        .map((one) => ({ one, rank: random.next().value ?? 0 }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ one }) => one);
      const [table, other] = [routeTable(all), routeTable(shuffled)];
      assert.deepEqual(holders(other), holders(table));
      assert.deepEqual(other.conflicts, table.conflicts);
      const held = table.routes.get('public') ?? [];
      assert.equal(new Set(held.map(({ route }) => route.key)).size, held.length);
      // What somebody claims is somebody's.
      const claimed = new Set(all.flatMap((one) => one.routes.map(({ key }) => key)));
      assert.equal(held.length, claimed.size);
    }),
  );
});

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.constantFrom(...'/.*:|#"\'\\;, \n\r\t\0%&=abcü\u2028'), maxLength: 40 }),
);

test('no text adds a line or an entry: what is read as a route is one line of a key and a value', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      for (const route of routes('web', [text, `${text} strip`, `/x to=${text}`, `a.example.com/${text}`])) {
        assert.match(route.line, /^[A-Za-z0-9*_][^\s#|"';\\]* web(\|\d\|[^\s#|"';\\]*)?\n$/);
        assert.ok(route.key.endsWith('/'));
      }
    }),
    { numRuns: 2000 },
  );
});

test('Routes that follow the services that came and went are those of a table that is made anew', () => {
  fc.assert(
    fc.property(fc.array(claimants, { minLength: 1, maxLength: 12 }), (lists) => {
      const known = new Map<string, Claimant>();
      let before: readonly Claimant[] = [];
      let followed = new Routes(before);
      for (const list of lists) {
        const now = list.map(({ service, createdAt, texts: its }) => {
          const name = `${service} ${createdAt} ${its.join()}`;
          const one = known.get(name) ?? claimant(service, createdAt, ...its);
          known.set(name, one);
          return one;
        });
        const gone = before.filter((one) => !now.includes(one));
        const come = now.filter((one) => !before.includes(one));
        if (!followed.follow({ gone, come })) followed = new Routes(now);
        const { routes, conflicts } = followed.table(() => now);
        assert.deepEqual({ routes, conflicts }, routeTable(now));
        before = now;
      }
    }),
  );
});
