/** Encoders against the tokeniser: what is put in comes out, as one word, in the place that it was meant for. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { tokenise } from '../../../src/haproxy/text/text.ts';
import {
  address,
  anywhere,
  comment,
  logFormat,
  mapKey,
  mapValue,
  quote,
  sampleArgument,
  word,
} from '../../../src/render/templates/encode.ts';

const hostile = fc
  .oneof(
    fc.string({ unit: 'binary-ascii', minLength: 1 }),
    fc
      .array(
        fc.constantFrom(
          '\n',
          '\r',
          '"',
          "'",
          '\\',
          '#',
          '$',
          '${X}',
          '%[env(HOME)]',
          ' ',
          '\t',
          '{{x}}',
          'server',
          '\x7f',
          'é',
          '}',
          '\\x',
        ),
        {
          minLength: 1,
        },
      )
      .map((parts) => parts.join('')),
  )
  .filter((text) => !text.includes('\0'));

test('a word, quoted or not, is read back as the same text', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      for (const encoded of [word(text), quote(text)])
        assert.deepEqual(exactWords(`string ${encoded} tail`), ['string', text, 'tail']);
    }),
  );
});

test('what is plain stays bare', () => {
  assert.equal(word('/healthz?full=1'), '/healthz?full=1');
  assert.equal(word('a b'), '"a b"');
  assert.equal(word('$HOME'), '"\\$HOME"');
  assert.equal(word('a\nb'), '"a\\x0ab"');
});

test('a text for any place is one word, bare and in quotes, and leaves no comment', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const encoded = anywhere(text);
      const read = text.replaceAll('%', '%%');
      for (const line of [`a ${encoded} b`, `a "${encoded}" b`]) assert.deepEqual(exactWords(line), ['a', read, 'b']);
      // Strong quotes show the escapes; what matters is that they hold.
      assert.deepEqual(exactWords(`a '${encoded}' b`), ['a', encoded, 'b']);
      assert.deepEqual(tokenise(`a # ${encoded}`).words, ['a']);
      assert.ok(!/[\n\r]/.test(encoded));
    }),
  );
});

test('a log format prints the text and evaluates nothing', () => {
  assert.equal(logFormat('%[env(TOKEN)] 100%'), '"%%[env(TOKEN)] 100%%"');
  assert.equal(anywhere('%[env(TOKEN)]'), '%%[env(TOKEN)]');
});

test('an empty text and NUL are refused as arguments', () => {
  for (const encode of [word, quote, anywhere]) {
    assert.throws(() => encode(''), /an empty text cannot be an argument: HAProxy ignores the rest of the line/);
    assert.throws(() => encode('a\0b'), /"a\\u0000b" holds NUL, which HAProxy cannot read/);
  }
});

test('an address is an IP literal and a port, IPv6 in brackets', () => {
  assert.equal(address('10.0.0.1', 80), '10.0.0.1:80');
  assert.equal(address('2001:db8::1', 65_535), '[2001:db8::1]:65535');
  assert.equal(address('::ffff:10.0.0.1', 1), '[::ffff:10.0.0.1]:1');
  for (const ip of [
    '/etc/passwd',
    '0177.0.0.1',
    '2130706433',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4.5',
    '::1]:80 check #',
    'localhost',
    '',
    '*',
    'fe80::1%eth0',
    ':::',
    '1.2.3.4\n',
  ])
    assert.throws(() => address(ip, 80), /is not an IPv4 or IPv6 address/, ip);
  for (const port of [0, 65_536, 1.5, Number.NaN, -1])
    assert.throws(() => address('10.0.0.1', port), /is not a port: 1-65535 is/);
});

test('map files get keys without blanks and values on one line', () => {
  assert.equal(mapKey('shop.example'), 'shop.example');
  assert.equal(mapValue('web blue'), 'web blue');
  for (const key of ['', '#x', 'a b', 'a\tb', 'a\n']) assert.throws(() => mapKey(key), /cannot be the key of a map/);
  for (const value of ['', ' a', 'a ', 'a\nb', 'a\rb'])
    assert.throws(() => mapValue(value), /cannot be the value of a map/);
});

test('a comment stays on its line, and parentheses hold only what every version reads alike', () => {
  assert.equal(comment('a\nb\rc\0d'), 'a b c d');
  assert.equal(sampleArgument('shop.example'), 'shop.example');
  for (const text of ['', 'a)', 'a,b', "a'", 'a b', 'a%b'])
    assert.throws(() => sampleArgument(text), /cannot stand in parentheses/);
});

/** null where they do not follow from the text alone. */
function exactWords(line: string): readonly string[] | null {
  const { words, isExact } = tokenise(line);
  return isExact ? words : null;
}
