/**
 * A self-signed certificate, where there is no other. Node signs but does not write X.509, so the few DER structures of
 * RFC 5280 that are needed are built here.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

type SelfSigned = {
  /** The first name is the subject. */
  readonly names?: readonly [string, ...string[]];
  /** The certificate is valid for this many days, up to the year 2049, and has been valid for as many. */
  readonly days?: number;
};

/** Certificate and key in PEM, one after the other as HAProxy's `crt` wants them. Also good for 127.0.0.1. */
export function selfSignedPem(now: Date, { names = ['localhost'], days = 7 }: SelfSigned = {}): string {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(set(sequence(oid('2.5.4.3'), utf8(names[0]))));
  const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
  const [notBefore, notAfter] = [-days, days].map((each) => new Date(now.getTime() + each * 86_400_000));
  const toBeSigned = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    // The first bit stays 0: a serial number is positive.
    integer(Buffer.concat([Buffer.from([0x01]), randomBytes(15)])),
    ecdsaWithSha256,
    name,
    sequence(utcTime(notBefore ?? now), utcTime(notAfter ?? now)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(subjectAltName(names))),
  );
  const signature = sign('sha256', toBeSigned, privateKey);
  const certificate = sequence(toBeSigned, ecdsaWithSha256, bitString(signature));
  const base64 = certificate.toString('base64').replace(/.{1,64}/g, '$&\n');
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return `-----BEGIN CERTIFICATE-----\n${base64}-----END CERTIFICATE-----\n${key}`;
}

function subjectAltName(names: readonly string[]): Buffer {
  const dns = names.map((name) => tagged(0x82, Buffer.from(name)));
  return sequence(oid('2.5.29.17'), tagged(0x04, sequence(...dns, tagged(0x87, Buffer.from([127, 0, 0, 1])))));
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, Math.floor(length / 0x100), length % 0x100];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => tagged(0x30, Buffer.concat(parts));
const set = (content: Buffer): Buffer => tagged(0x31, content);
const integer = (bytes: Buffer): Buffer => tagged(0x02, bytes);
const utf8 = (text: string): Buffer => tagged(0x0c, Buffer.from(text));
const bitString = (bytes: Buffer): Buffer => tagged(0x03, Buffer.concat([Buffer.from([0]), bytes]));

/** YYMMDDHHMMSSZ, as RFC 5280 wants it until 2049. */
function utcTime(date: Date): Buffer {
  return tagged(0x17, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = rest.flatMap((part) => {
    const groups = [part & 0x7f];
    for (let high = part >> 7; high > 0; high >>= 7) groups.unshift((high & 0x7f) | 0x80);
    return groups;
  });
  return tagged(0x06, Buffer.from([first * 40 + second, ...bytes]));
}
