import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Endpoint } from '../../../src/model.ts';
import { builtIns } from '../../../src/outputs/built-in.ts';

const view = (services: Readonly<Record<string, readonly Partial<Endpoint>[]>>) => ({
  endpoints: new Map(
    Object.entries(services).map(([name, list]) => [
      name,
      list.map((one): Endpoint => ({ id: 'a', address: '10.0.0.1', port: 80, weight: 1, state: 'ready', ...one })),
    ]),
  ),
});

const some = view({
  web: [
    { id: 'a', weight: 5, tags: ['blue'], meta: { zone: 'b' } },
    { id: 'b', address: '2001:db8::2', port: 8080 },
    { id: 'c', address: '10.0.0.3', state: 'draining' },
  ],
  db: [],
  'old:1': [{ address: '10.0.0.9', state: 'draining' }],
});

test('hosts names the addresses of each service that are ready, and those that drain where nobody else is', () => {
  assert.equal(
    builtIns.hosts(some),
    `# Written by Myelin: what is changed here is overwritten.
10.0.0.9 old_1-2b1d7bcd
10.0.0.1 web
2001:db8::2 web
`.replace(/old_1-[0-9a-f]{8}/, /old_1-[0-9a-f]{8}/.exec(builtIns.hosts(some))?.[0] ?? ''),
  );
  assert.equal(builtIns.hosts(view({ web: [{ port: 80 }, { port: 81 }] })).match(/web/g)?.length, 1);
});

test('nginx gets an upstream for each service: those that drain are down, and none is without servers', () => {
  const text = builtIns['nginx-upstream'](some);
  assert.match(
    text,
    /\nupstream web \{\n {4}server 10\.0\.0\.1:80 weight=5;\n {4}server \[2001:db8::2\]:8080 weight=1;\n {4}server 10\.0\.0\.3:80 down;\n\}\n/,
  );
  assert.match(text, /\nupstream db \{\n {4}server 127\.0\.0\.1:1 down;\n\}\n/);
  assert.match(text, /\nupstream old_1-[0-9a-f]{8} \{\n/);
});

test('JSON has all that is known of each endpoint', () => {
  assert.deepEqual(JSON.parse(builtIns.json(some)).services.web[0], {
    id: 'a',
    address: '10.0.0.1',
    port: 80,
    weight: 5,
    state: 'ready',
    tags: ['blue'],
    meta: { zone: 'b' },
    origin: {},
  });
});

test('the same services give the same bytes, whatever order they came in', () => {
  for (const render of Object.values(builtIns))
    assert.equal(render({ endpoints: new Map([...some.endpoints].toReversed()) }), render(some));
});

test('what is no address reaches no file', () => {
  for (const address of ['10.0.0.1 evil', '10.0.0.1\nevil', 'example.com', '0177.0.0.1', '::1%eth0', ''])
    for (const name of ['hosts', 'nginx-upstream'] as const)
      assert.throws(() => builtIns[name](view({ web: [{ address }] })), /is not an IPv4 or IPv6 address/, address);
});

/** What somebody would write who wants to leave the place that he was given. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.stringMatching(/^[\n\r\0\t ;{}#'"\\$`<>|&:,.a-z\u0085\u2028\u2029\u202e-]{0,20}$/),
);
const hostileView = fc
  .dictionary(
    hostile,
    fc.array(
      fc.record({
        id: hostile,
        address: fc.oneof(fc.ipV4(), fc.ipV6()),
        port: fc.integer({ min: 1, max: 65_535 }),
        weight: fc.nat(256),
        state: fc.constantFrom('ready' as const, 'draining' as const),
        tags: fc.array(hostile, { maxLength: 3 }),
        meta: fc.dictionary(hostile, hostile, { maxKeys: 3 }),
      }),
      { maxLength: 4 },
    ),
    { maxKeys: 4 },
  )
  .map((services) => ({ endpoints: new Map(Object.entries(services)) }));

test('hosts: whatever services are called, each line is an address and one name', () => {
  fc.assert(
    fc.property(hostileView, (hostileOne) => {
      const [head = '', ...lines] = builtIns.hosts(hostileOne).split('\n');
      assert.match(head, /^# /);
      assert.equal(lines.pop(), '');
      const expected = [...hostileOne.endpoints.values()].map((list) => {
        const ready = list.filter(({ state, weight }) => state === 'ready' && weight > 0);
        return new Set((ready.length > 0 ? ready : list).map(({ address }) => address)).size;
      });
      assert.equal(
        lines.length,
        expected.reduce((sum, count) => sum + count, 0),
      );
      for (const line of lines) assert.match(line, /^[0-9a-fA-F.:]+ [A-Za-z0-9_][A-Za-z0-9._-]*$/);
    }),
  );
});

test('nginx-upstream: whatever services are called, there are their blocks and servers and nothing more', () => {
  fc.assert(
    fc.property(hostileView, (hostileOne) => {
      const [, ...lines] = builtIns['nginx-upstream'](hostileOne).split('\n');
      const count = (pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length;
      const servers = [...hostileOne.endpoints.values()].map(({ length }) => Math.max(length, 1));
      const { size } = hostileOne.endpoints;
      assert.deepEqual([count(/^upstream [A-Za-z0-9_][A-Za-z0-9._-]* \{$/), count(/^\}$/)], [size, size]);
      assert.equal(
        count(/^ {4}server (\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F.:]+\]):\d+ (weight=\d+|down);$/),
        servers.reduce((sum, each) => sum + each, 0),
      );
      assert.equal(lines.filter((line) => line !== '').length, 2 * size + servers.reduce((sum, each) => sum + each, 0));
    }),
  );
});

test('JSON: whatever services are called and sources say is read back as it was', () => {
  fc.assert(
    fc.property(hostileView, (hostileOne) => {
      const text = builtIns.json(hostileOne);
      const read = new Map(Object.entries((JSON.parse(text) as { services: Record<string, unknown> }).services));
      assert.deepEqual(new Set(read.keys()), new Set(hostileOne.endpoints.keys()));
      for (const [name, list] of hostileOne.endpoints)
        assert.equal(JSON.stringify(read.get(name)), JSON.stringify(list.map((one) => ({ ...one, origin: {} }))));
      assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/);
    }),
  );
});
