import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  contains,
  embeddedIPv4,
  hostPort,
  parseAddress,
  parseRange,
  reachedIPv4,
} from '../../../src/lib/net/address.ts';

test('every spelling of an address becomes one', () => {
  for (const [written, text] of [
    ['10.0.0.1', '10.0.0.1'],
    ['::FFFF:10.0.0.1', '10.0.0.1'],
    ['0:0:0:0:0:ffff:0a00:0001', '10.0.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::0:1', '2001:db8::1'],
    ['::', '::'],
    ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
  ] as const)
    assert.equal(parseAddress(written)?.text, text, written);
});

test('only literals are addresses', () => {
  for (const written of [
    '',
    'localhost',
    '127.1',
    '0177.0.0.1',
    '0x7f000001',
    '2130706433',
    '127.0.0.01',
    '1.2.3.4 ',
    '1.2.3.4\n',
    '1.2.3.4:80',
    '[::1]',
    'fe80::1%eth0',
    '::1%',
    '::ffff:127.0.0.1%1',
    '１２７.0.0.1',
    '1.2.3.4/8',
  ])
    assert.equal(parseAddress(written), null, written);
});

test('the one spelling of an address is read as itself', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (written) => {
      const parsed = parseAddress(written);
      assert.ok(parsed);
      assert.deepEqual(parseAddress(parsed.text), parsed);
    }),
  );
});

test('a range holds the addresses between its ends', () => {
  const holds = (range: string, address: string): boolean => {
    const [parsedRange, parsedAddress] = [parseRange(range), parseAddress(address)];
    assert.ok(parsedRange && parsedAddress);
    return contains(parsedRange, parsedAddress);
  };
  assert.ok(holds('127.0.0.0/8', '127.255.255.255'));
  assert.ok(!holds('127.0.0.0/8', '128.0.0.0'));
  assert.ok(holds('0.0.0.0/0', '255.255.255.255'));
  assert.ok(!holds('0.0.0.0/0', '::1'));
  assert.ok(holds('10.0.0.1', '10.0.0.1'));
  assert.ok(holds('fe80::/10', 'febf::1'));
  assert.ok(!holds('fe80::/10', 'fec0::1'));
  assert.ok(holds('::/0', '2001:db8::1'));
});

test('whether an address lies in a range is what Node says of it, at every length and on both sides of its ends', () => {
  const literal = fc.oneof(fc.ipV4(), fc.ipV6());
  const length = fc.nat(128);
  fc.assert(
    fc.property(literal, length, literal, length, (network, bits, other, flipped) => {
      const parsed = parseRange(`${network}/${bits}`);
      if (parsed === null) return;
      const judge = new BlockList();
      judge.addSubnet(network, bits, network.includes(':') ? 'ipv6' : 'ipv4');
      const near = parseAddress(flipBit(network, flipped));
      for (const address of [near, parseAddress(other)]) {
        assert.ok(address);
        if (address.family !== parsed.family) assert.equal(contains(parsed, address), false);
        else
          assert.equal(
            contains(parsed, address),
            judge.check(address.text, address.family === 4 ? 'ipv4' : 'ipv6'),
            `${network}/${bits} ${address.text}`,
          );
      }
    }),
    { numRuns: 1000 },
  );
});

/** The same address but for one bit. */
function flipBit(text: string, place: number): string {
  const { bytes, family } = parseAddress(text) ?? assert.fail(text);
  const at = place % (bytes.length * 8);
  const flipped = bytes.map((byte, index) => (index === at >> 3 ? byte ^ (0x80 >> (at & 7)) : byte));
  return family === 4 ? flipped.join('.') : (Buffer.from(flipped).toString('hex').match(/.{4}/g)?.join(':') ?? '');
}

test('a place is written with brackets where the address has colons of its own', () => {
  assert.equal(hostPort('10.0.0.1', 80), '10.0.0.1:80');
  assert.equal(hostPort('2001:db8::1', 80), '[2001:db8::1]:80');
});

test('an IPv4-mapped range is the range of IPv4', () => {
  assert.deepEqual(parseRange('::ffff:127.0.0.0/104'), parseRange('127.0.0.0/8'));
  assert.equal(parseRange('::ffff:0:0/90')?.family, 6);
});

test('what is no range is refused', () => {
  for (const written of ['', '10.0.0.0/33', '::1/129', '10.0.0.0/-1', '10.0.0/8', '10.0.0.0/8/8', 'x/8'])
    assert.equal(parseRange(written), null, written);
});

test('the IPv4 address inside an IPv6 address is found', () => {
  for (const written of [
    '::127.0.0.1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::127.0.0.1',
    '64:ff9b:1::127.0.0.1',
    '2002:7f00:1::',
    '2002:7f00:1:abcd::5',
    'fd00::5efe:127.0.0.1',
    'fd00::200:5efe:127.0.0.1',
    '2001:0:4136:e378:8000:63bf:80ff:fffe',
  ]) {
    const parsed = parseAddress(written);
    assert.ok(parsed);
    assert.equal(embeddedIPv4(parsed)?.text, '127.0.0.1', written);
  }
  for (const written of ['2001:db8::7f00:1', 'fd00::1', '10.0.0.1']) {
    const parsed = parseAddress(written);
    assert.ok(parsed);
    assert.equal(embeddedIPv4(parsed), null, written);
  }
});

test('of a NAT64 prefix for local use the IPv4 address is looked for wherever its length may have put it', () => {
  for (const written of [
    '64:ff9b:1:a9fe:a9:fe00::',
    '64:ff9b:1:a9:fe:a9fe::',
    '64:ff9b:1:0:a9:fea9:fe00:0',
    '64:ff9b:1:0:a9:fea9:fe00:1',
    '64:ff9b:1::169.254.169.254',
  ]) {
    const parsed = parseAddress(written);
    assert.ok(parsed);
    assert.ok(
      reachedIPv4(parsed).some(({ text }) => text === '169.254.169.254'),
      `${written}: ${reachedIPv4(parsed).map(({ text }) => text)}`,
    );
  }
  const plain = parseAddress('64:ff9b:1::10.0.0.1');
  assert.ok(plain);
  assert.deepEqual(
    reachedIPv4(plain).map(({ text }) => text),
    ['10.0.0.1'],
  );
});
