/** What may be handed to HAProxy as CA certificates, and what is said of the rest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { inspectCa, whyNoneNow } from '../../../src/certificates/inspect-ca.ts';
import { selfSignedPem } from '../../../src/certificates/self-signed.ts';

const now = new Date('2026-06-01T00:00:00Z');
const day = 86_400_000;
const ca = (name: string, agoDays = 0): string => {
  const pem = selfSignedPem(new Date(now.getTime() - agoDays * day), { names: [name], days: 30 });
  return pem.slice(0, pem.indexOf('-----BEGIN PRIVATE'));
};
const reasonOf = (text: string): string => {
  const inspected = inspectCa(text);
  return inspected.kind === 'unsound' ? inspected.reason : '';
};

test('of a file the certificates alone are handed on, each once, without comments, blank lines and keys', () => {
  const [a, b] = [ca('a'), ca('b')];
  const key = selfSignedPem(now).replace(/^.*(?=-----BEGIN PRIVATE)/s, '');
  const inspected = inspectCa(`# all\r\n\n${a}\n\n${key}${b.replaceAll('\n', '\r\n')}\n${a}`);
  assert.ok(inspected.kind === 'sound');
  assert.equal(inspected.pem, a + b);
  assert.deepEqual(
    inspected.certificates.map(({ subject }) => subject),
    ['CN=a', 'CN=b', 'CN=a'],
  );
});

test('what is empty, none, cut off or garbled is said to be so', () => {
  const a = ca('a');
  assert.equal(reasonOf(' \n'), 'it is empty');
  assert.match(reasonOf('hello\n'), /^it holds no certificate/);
  assert.match(reasonOf(a + ca('b').slice(0, 200)), /^1 of 2 certificates in it do not end/);
  assert.match(reasonOf(a + a.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE')), /are not plain CERTIFICATE/);
  assert.equal(
    reasonOf(`${a}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`),
    'certificate 2 in it cannot be read',
  );
});

test('a file verifies somebody as long as one certificate in it is valid', () => {
  const of = (text: string): string | null => {
    const inspected = inspectCa(text);
    assert.ok(inspected.kind === 'sound');
    return whyNoneNow(inspected.certificates, now.getTime());
  };
  assert.equal(of(ca('old', 40) + ca('a')), null);
  assert.equal(of(ca('old', 40)), 'CN=old expired at 2026-05-22T00:00:00.000Z');
  assert.match(of(ca('older', 50) + ca('old', 40)) ?? '', /^CN=old expired at .*, the others before$/);
  assert.match(of(ca('later', -40)) ?? '', /^CN=later is not valid before/);
});

test('whatever stands in a file, what is handed on is whole blocks and nothing else', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(ca('a'), ca('b'), '-----BEGIN CERTIFICATE-----', '<<', '\n\n', 'del map'),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const inspected = inspectCa(pieces.join(''));
      if (inspected.kind === 'sound')
        assert.match(
          inspected.pem,
          /^(?:-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END CERTIFICATE-----\n)+$/,
        );
    }),
  );
});
