import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { admit, createGuard, noRefusals } from '../../../src/catalog/admission.ts';
import { createOwnGuard } from '../../../src/catalog/own.ts';
import { parseAddress } from '../../../src/lib/net/address.ts';
import type { Endpoint } from '../../../src/model.ts';

const strict = createGuard([], false);
const good: Endpoint = { id: 'a', address: '10.0.0.1', port: 80, weight: 1, state: 'ready' };

function reasonFor(change: object, guard = strict): string | undefined {
  return admit([{ ...good, ...change } as Endpoint], guard).refused.list[0]?.reason;
}

test('with a list of ranges none outside of it are accepted, in whatever form an address is written', () => {
  const guard = createGuard(['127.0.0.5/32'], false, undefined, ['10.0.0.0/8', '2001:db8::/32']);
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '2001:db8::7', '127.0.0.5'])
    assert.equal(reasonFor({ address }, guard), undefined, address);
  for (const address of ['11.0.0.1', '::ffff:11.0.0.1', '2001:db9::7', '192.0.2.1'])
    assert.match(reasonFor({ address }, guard) ?? '', /is in none of the ranges of onlyAddresses$/, address);
  assert.match(
    reasonFor({ address: '127.0.0.1' }, createGuard([], false, undefined, ['127.0.0.0/8'])) ?? '',
    /is a loopback/,
  );
});

test('of more endpoints than a source may name those that are ready go first, then by name; the others are told', () => {
  const many = Array.from({ length: 30_000 }, (_, at): Endpoint => {
    const address = `10.0.${Math.floor(at / 250)}.${(at % 250) + 1}`;
    return { ...good, id: `${at}`.padStart(5, '0'), address, state: at < 2 ? 'draining' : 'ready' };
  });
  const { endpoints, refused } = admit(many.toReversed(), strict, { most: 1000 });
  assert.deepEqual([endpoints.length, endpoints[0]?.id, endpoints.at(-1)?.id], [1000, '00002', '01001']);
  assert.deepEqual([refused.count, refused.endpoints, refused.list.length], [29_000, 29_000, 1]);
  assert.equal(refused.list[0]?.reason, 'of 30000 endpoints 1000 are taken (maxServers)');
  assert.equal(admit(many.slice(0, 1000), strict, { most: 1000 }).refused, noRefusals);
});

test('an ordinary endpoint passes as it is', () => {
  const endpoint = { ...good, tags: ['blue'], meta: { version: '2' } };
  assert.deepEqual(admit([endpoint], strict), { endpoints: [endpoint], refused: noRefusals });
});

test('addresses that lead to this machine, its link or nobody are refused in every disguise', () => {
  for (const address of [
    '127.0.0.1',
    '127.200.3.4',
    '::1',
    '::ffff:127.0.0.1',
    '::127.0.0.1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::127.0.0.1',
    '2002:7f00:1::1',
    '0.0.0.0',
    '0.1.2.3',
    '::',
    '169.254.1.1',
    'fe80::1',
    'febf::1',
    '224.0.0.1',
    '239.255.255.255',
    'ff02::1',
    '255.255.255.255',
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '64:ff9b::169.254.169.254',
    '100.100.100.200',
    '192.0.0.192',
    '168.63.129.16',
    'fd00:ec2::254',
    'FD00:0EC2::0254',
    '64:ff9b:1:0:a9:fea9:fe00:0',
    'fd00:42::42',
  ])
    assert.match(reasonFor({ address }) ?? 'accepted', /write allowAddresses: \[.+\]$/, address);
  for (const address of ['10.1.2.3', '100.64.0.1', '192.168.0.1', '203.0.113.7', '2001:db8::1', 'fd12:3456::1'])
    assert.equal(reasonFor({ address }), undefined, address);
});

test('the refusal of an address prints the line that allows it, and that line does', () => {
  for (const address of [
    '127.0.0.1',
    '::1',
    '64:ff9b::127.0.0.1',
    '169.254.169.254',
    'fe80::1',
    '224.0.0.1',
    '0.0.0.0',
  ]) {
    const [, range = ''] = /write allowAddresses: \["?([^"\]]+)"?\]$/.exec(reasonFor({ address }) ?? '') ?? [];
    assert.notEqual(range, '', address);
    assert.equal(reasonFor({ address }, createGuard([range], false)), undefined, address);
  }
  assert.match(reasonFor({ address: '127.0.0.1' }) ?? '', /write allowAddresses: \[127\.0\.0\.0\/8\]$/);
});

test('a source that may name this machine may name loopback and nothing else of the kind', () => {
  const local = createGuard([], true);
  assert.equal(reasonFor({ address: '127.0.0.1' }, local), undefined);
  assert.equal(reasonFor({ address: '::1' }, local), undefined);
  assert.match(reasonFor({ address: '169.254.169.254' }, local) ?? '', /metadata/);
});

test('what leads back to a listener of this config is refused in every disguise, whatever is allowed', () => {
  const isOwn = createOwnGuard({
    addresses: ['10.0.0.5', '2001:db8::5'],
    listeners: [
      { host: null, port: 80, text: '*:80' },
      { host: '127.0.0.1', port: 8405, text: '127.0.0.1:8405' },
      { host: '10.0.0.9', port: 443, text: '10.0.0.9:443' },
      { host: 'localhost', port: 8406, text: 'localhost:8406' },
    ],
  });
  const guard = createGuard(['0.0.0.0/0', '::/0'], true, isOwn);
  for (const [address, port] of [
    ['10.0.0.5', 80],
    ['2001:DB8:0::5', 80],
    ['::ffff:10.0.0.5', 80],
    ['64:ff9b::10.0.0.5', 80],
    ['127.0.0.1', 80],
    ['127.3.2.1', 80],
    ['::1', 80],
    ['0.0.0.0', 80],
    ['127.0.0.1', 8405],
    ['0.0.0.0', 8405],
    ['10.0.0.9', 443],
    ['127.0.0.1', 8406],
  ] as const)
    assert.match(
      reasonFor({ address, port }, guard) ?? 'accepted',
      /leads back to \S+ of this config/,
      `${address} ${port}`,
    );
  for (const [address, port] of [
    ['10.0.0.5', 81],
    ['10.0.0.6', 80],
    ['10.0.0.5', 8405],
    ['127.0.0.2', 8405],
    ['10.0.0.5', 443],
  ] as const)
    assert.equal(reasonFor({ address, port }, guard), undefined, `${address} ${port}`);
});

test('allowing an address allows no other', () => {
  const guard = createGuard(['169.254.3.4/32'], false);
  assert.equal(reasonFor({ address: '169.254.3.4' }, guard), undefined);
  assert.match(reasonFor({ address: '169.254.169.254' }, guard) ?? '', /metadata/);
});

test('an entry with a wrong value is left out alone, and the reason names the value', () => {
  for (const [change, reason] of [
    [{ id: '' }, /id must be text of 1 to 512/],
    [{ id: 'x'.repeat(513) }, /id must be text of 1 to 512/],
    [{ id: 'a\nserver evil 10.0.0.9:80' }, /control characters/],
    [{ id: 'a\u0085' }, /control characters/],
    [{ id: 'a\ud800' }, /control characters/],
    [{ id: 7 }, /id must be text/],
    [{ address: 'web.example' }, /address must be an IPv4 or IPv6 literal, not "web.example": names are not resolved$/],
    [{ address: '010.0.0.1' }, /not "010.0.0.1"/],
    [{ address: undefined }, /address must be/],
    [{ port: 0 }, /port must be a whole number from 1 to 65535, not 0/],
    [{ port: 65_536 }, /not 65536/],
    [{ port: 80.5 }, /not 80.5/],
    [{ port: '80' }, /not "80"/],
    [{ weight: -1 }, /weight must be a whole number from 0 to 256, not -1/],
    [{ weight: 257 }, /not 257/],
    [{ weight: Number.NaN }, /not NaN/],
    [{ state: 'up' }, /state must be ready or draining, not "up"/],
  ] as const) {
    const other = { ...good, id: 'b', address: '10.0.0.2' };
    const { endpoints, refused } = admit([{ ...good, ...change } as Endpoint, other], strict);
    assert.deepEqual(endpoints, [other]);
    assert.match(refused.list[0]?.reason ?? 'accepted', reason);
  }
});

test('a bad tag or meta value is left out and reported, and its server serves on', () => {
  const { endpoints, refused } = admit(
    [
      {
        ...good,
        tags: ['blue', 'two\nlines', 'x'.repeat(1025)],
        meta: JSON.parse('{"version":"2","note":"a\\u0000b","__proto__":"x","bad\\nname":"y"}') as Record<
          string,
          string
        >,
      },
    ],
    strict,
  );
  assert.deepEqual(endpoints, [{ ...good, tags: ['blue'], meta: { version: '2' } }]);
  assert.deepEqual(refused.list.map(({ part }) => part).sort(), ['meta', 'meta', 'meta', 'tag', 'tag']);
});

test('the number of tags and meta values is bounded', () => {
  const many = Array.from({ length: 1000 }, (_, at) => `t${at}`);
  const meta = Object.fromEntries(many.map((name) => [name, 'x']));
  const [endpoint] = admit([{ ...good, tags: many, meta }], strict).endpoints;
  assert.equal(endpoint?.tags?.length, 256);
  assert.equal(Object.keys(endpoint?.meta ?? {}).length, 256);
});

test('of any number of bad tags and endpoints a few are told, with how many there are', () => {
  const lines = Array<string>(200_000).fill('two\nlines');
  const judged = admit([{ ...good, tags: lines }, ...lines.map((id) => ({ ...good, id }))], strict);
  assert.deepEqual(judged.endpoints, [{ ...good, tags: [] }]);
  const { list, ...counts } = judged.refused;
  assert.deepEqual(counts, { count: 1 + 256 + 200_000, endpoints: 200_000 });
  assert.equal(list.length, 100);
  assert.ok(JSON.stringify(list).length < 50_000);
});

test('which refusals are told does not depend on the order in which they came', () => {
  const bad = Array.from({ length: 1000 }, (_, at) => ({ ...good, id: `e${at}`, port: 0 }));
  assert.deepEqual(admit(bad, strict), admit(bad.toReversed(), strict));
});

test('no hostile entry passes the border or makes it throw', () => {
  const nasty = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      'a\nb',
      '127.0.0.1',
      '::1',
      'fe80::1%lo',
      '10.0.0.1',
      '::ffff:7f00:1',
      '${HOME}',
      '{{x}}',
      'a"b',
      '#',
    ),
    fc.ipV4(),
    fc.ipV6(),
  );
  const entry = fc.oneof(
    fc.anything(),
    fc.record(
      {
        id: fc.oneof(nasty, fc.anything()),
        address: fc.oneof(nasty, fc.anything()),
        port: fc.oneof(fc.integer({ min: -2, max: 70_000 }), fc.anything()),
        weight: fc.oneof(fc.integer({ min: -2, max: 300 }), fc.anything()),
        state: fc.oneof(fc.constantFrom('ready', 'draining'), fc.anything()),
        tags: fc.oneof(fc.array(nasty), fc.anything()),
        meta: fc.oneof(fc.dictionary(nasty, nasty), fc.anything()),
      },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const { endpoints } = admit(entries as Endpoint[], strict);
      for (const { id, address, port, weight, state, tags = [], meta = {} } of endpoints) {
        assert.equal(parseAddress(address)?.text, address);
        assert.doesNotMatch(address, /^(127\.|0\.|169\.254\.|2(2[4-9]|3\d)\.|::1?$|fe[89ab][0-9a-f]:|ff[0-9a-f]{2}:)/);
        assert.ok(Number.isInteger(port) && port >= 1 && port <= 65_535);
        assert.ok(Number.isInteger(weight) && weight >= 0 && weight <= 256);
        assert.ok(state === 'ready' || state === 'draining');
        for (const text of [id, ...tags, ...Object.keys(meta), ...Object.values(meta)]) {
          assert.equal(typeof text, 'string');
          assert.doesNotMatch(text, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
          assert.ok(text.isWellFormed());
        }
      }
    }),
    { numRuns: 200 },
  );
});
