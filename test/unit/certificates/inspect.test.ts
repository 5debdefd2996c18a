/** What is found out about PEM files before HAProxy sees them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Inspected, inspect, whyNotNow } from '../../../src/certificates/inspect.ts';
import { selfSignedPem } from '../../../src/certificates/self-signed.ts';

const fixture = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../../fixtures/certificates', name), 'utf8');
const [leaf, issuer, root, key] = ['leaf.crt', 'inter.crt', 'root.crt', 'leaf.key'].map(fixture) as [
  string,
  string,
  string,
  string,
];
const other = selfSignedPem(new Date());
const otherKey = other.slice(other.indexOf('-----BEGIN PRIVATE'));

const reasonOf = (inspected: Inspected): string | null => (inspected.kind === 'unsound' ? inspected.reason : null);

test('a certificate with its chain and its key is sound: its names, its end and its serial number are known', () => {
  for (const pem of [
    { certificate: leaf + issuer + root + key, key: null },
    { certificate: key + leaf + issuer, key: null },
    { certificate: leaf + issuer, key },
    { certificate: leaf, key },
    { certificate: `comments\r\n\r\n${leaf.replaceAll('\n', '\r\n\r\n')}`, key: `\n\n${key}\n` },
    { certificate: leaf + key, key },
  ]) {
    const inspected = inspect(pem);
    assert.ok(inspected.kind === 'sound', reasonOf(inspected) ?? '');
    assert.deepEqual(inspected.names, ['shop.example.com', '*.shop.example.com']);
    assert.match(inspected.serial, /^[0-9A-F]{38,40}$/);
    assert.ok(inspected.notAfter > Date.parse('2120-01-01'));
    assert.match(inspected.pem, /^(-----BEGIN [A-Z ]+-----\n(\S+\n)+-----END [A-Z ]+-----\n)+$/);
    assert.deepEqual(inspect({ certificate: inspected.pem, key: null }), inspected);
  }
});

const faults: readonly (readonly [why: string, certificate: string, key: string | null, reason: RegExp])[] = [
  ['nothing', ' \n', null, /it is empty/],
  ['garbage', 'garbage', null, /holds no certificate/],
  ['a key alone', key, null, /holds no certificate/],
  ['no key', leaf + issuer, null, /there is no private key/],
  ['the key of another', leaf + issuer, otherKey, /that of another certificate/],
  ['the issuer first', issuer + leaf, key, /does not come first/],
  ['a stranger in the chain', leaf + root, key, /certificate 2 in it did not issue the one before/],
  ['a chain in another order', leaf + root + issuer, key, /certificate 2 in it/],
  ['two keys', leaf + key + otherKey, null, /more than one private key/],
  ['an encrypted key', leaf, fixture('encrypted.key'), /is encrypted/],
  [
    'an encrypted key of the older form',
    leaf,
    key.replace(/\n/, '\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n'),
    /is encrypted/,
  ],
  ['a key that OpenSSL takes for too weak', fixture('weak.pem'), null, /OpenSSL does not serve it: ee key too small/],
  ['half a certificate', leaf.slice(0, 300), key, /holds no certificate/],
  [
    'a spoilt certificate',
    leaf.replace(/\n\w{20}/, '\nAAAAAAAAAAAAAAAAAAAA'),
    key,
    /cannot be read|another certificate/,
  ],
  ['a spoilt key', leaf, key.replace(/\n\w{20}/, '\nAAAAAAAAAAAAAAAAAAAA'), /its private key cannot be read/],
];
for (const [why, certificate, its, reason] of faults)
  test(`a certificate with ${why} is not sound, and the reason says so`, () => {
    assert.match(reasonOf(inspect({ certificate, key: its })) ?? 'it is sound', reason);
  });

test('whatever stands in the files, nothing is thrown and no reason has a part of a key', () => {
  const parts = [leaf, issuer, root, key, other, otherKey, '', '\n', '-----BEGIN ', 'x'.repeat(70)];
  const text = fc
    .array(fc.tuple(fc.constantFrom(...parts), fc.nat(900), fc.nat(900)), { maxLength: 5 })
    .map((all) => all.map(([part, from, cut]) => (cut % 3 ? part : part.slice(from % 100, cut))).join(''));
  const secrets = `${key}${otherKey}`.split('\n').filter((line) => line.length > 12 && !line.startsWith('-'));
  fc.assert(
    fc.property(text, fc.option(text), (certificate, its) => {
      const inspected = inspect({ certificate, key: its });
      if (inspected.kind === 'sound') return assert.ok(!/\n\n|\r/.test(inspected.pem));
      assert.ok(!secrets.some((line) => inspected.reason.includes(line)));
    }),
  );
});

test('a certificate is served from its beginning to its end', () => {
  const now = Date.parse('2026-05-01');
  const made = inspect({ certificate: selfSignedPem(new Date(now), { days: 3 }), key: null });
  assert.ok(made.kind === 'sound');
  assert.equal(whyNotNow(made, now), null);
  assert.equal(whyNotNow(made, Date.parse('2026-05-04')), 'it expired at 2026-05-04T00:00:00.000Z');
  assert.equal(whyNotNow(made, Date.parse('2026-04-01')), 'it is not valid before 2026-04-28T00:00:00.000Z');
});
