/**
 * Decides whether HAProxy could serve the PEM files of a certificate before HAProxy gets them: it would refuse its
 * whole config because of one bad certificate. No reason contains a byte of a key.
 */
import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Timestamp } from '../model.ts';
import { blocksIn, readCertificate } from './pem.ts';

/** The contents of the files. `key` null: there is none beside the certificate. */
export type Pem = { readonly certificate: string; readonly key: string | null };

export type Inspected =
  | ({ readonly kind: 'sound' } & Sound)
  /** `reason` names the problem, and what helps. */
  | { readonly kind: 'unsound'; readonly reason: string };

/** A certificate with its chain and its key. */
export type Sound = {
  /** The leaf, its issuers in order, the key: without comments, and without blank lines, which end runtime commands. */
  readonly pem: string;
  /** The names that it is valid for: from its subject and its alternative names, in lower case. */
  readonly names: readonly string[];
  readonly notBefore: Timestamp;
  readonly notAfter: Timestamp;
  /** In hexadecimal, as HAProxy shows it. */
  readonly serial: string;
};

export function inspect({ certificate, key }: Pem): Inspected {
  const blocks = blocksIn(certificate);
  const keys = [...blocks, ...blocksIn(key ?? '')].filter(({ label }) => label.endsWith('PRIVATE KEY'));
  const certificates = blocks.filter(({ label }) => label === 'CERTIFICATE');
  const [keyBlock, ...otherKeys] = keys;
  if (`${certificate}${key ?? ''}`.trim() === '') return unsound('it is empty');
  if (certificates.length === 0) return unsound('it holds no certificate (-----BEGIN CERTIFICATE-----)');
  const isEncrypted =
    keyBlock?.label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type: 4,ENCRYPTED/m.test(`${certificate}\n${key ?? ''}`);
  if (isEncrypted) return unsound('its private key is encrypted, and nobody is there to give the passphrase');
  if (keyBlock === undefined)
    return unsound('there is no private key in it, nor in a file of the same name that ends in .key');
  if (otherKeys.some(({ text }) => text !== keyBlock.text)) return unsound('there is more than one private key');
  const chain = certificates.map(({ text }) => readCertificate(text));
  const unreadable = chain.indexOf(null);
  if (unreadable !== -1) return unsound(`certificate ${unreadable + 1} in it cannot be read`);
  const privateKey = readKey(keyBlock.text);
  if (privateKey === null) return unsound('its private key cannot be read');
  const [leaf, ...issuers] = chain.filter((each) => each !== null);
  if (leaf === undefined) return unsound('it holds no certificate');
  if (!leaf.checkPrivateKey(privateKey))
    return unsound(
      issuers.some((each) => each.checkPrivateKey(privateKey))
        ? 'the certificate of its private key does not come first: the others follow it, each the issuer of the one before'
        : 'its private key is that of another certificate',
    );
  const misplaced = issuers.findIndex((issuer, at) => !isIssuedBy(at === 0 ? leaf : issuers[at - 1], issuer));
  if (misplaced !== -1)
    return unsound(`certificate ${misplaced + 2} in it did not issue the one before: it belongs elsewhere, or away`);
  const chainText = certificates.map(({ text }) => text).join('');
  const refusal = whyNotServed(chainText, keyBlock.text);
  if (refusal !== null) return unsound(`OpenSSL does not serve it: ${refusal}`);
  return {
    kind: 'sound',
    pem: `${chainText}${keyBlock.text}`,
    names: namesOf(leaf),
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    serial: leaf.serialNumber,
  };
}

/** Why the certificate must not be served at this time; null: it may be. */
export function whyNotNow({ notBefore, notAfter }: Sound, now: Timestamp): string | null {
  if (now >= notAfter) return `it expired at ${new Date(notAfter).toISOString()}`;
  if (now < notBefore) return `it is not valid before ${new Date(notBefore).toISOString()}`;
  return null;
}

function unsound(reason: string): Inspected {
  return { kind: 'unsound', reason };
}

function readKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}

/** What OpenSSL, which is HAProxy's library as well, says of a key or a signature that is too weak, or of no kind for TLS. */
function whyNotServed(cert: string, key: string): string | null {
  try {
    // Without `ca` it would read all root certificates.
    createSecureContext({ cert, key, ca: [] });
    return null;
  } catch (error) {
    return error instanceof Error && 'reason' in error ? String(error.reason) : 'it is not fit for TLS';
  }
}

function isIssuedBy(certificate: X509Certificate | undefined, issuer: X509Certificate): boolean {
  return certificate?.checkIssued(issuer) === true && certificate.verify(issuer.publicKey);
}

function namesOf({ subject, subjectAltName }: X509Certificate): readonly string[] {
  const [, common] = /^CN=(.+)$/m.exec(subject ?? '') ?? [];
  const others = [...(subjectAltName ?? '').matchAll(/(?:^|, )DNS:([^,"]+)/g)].map(([, name = '']) => name);
  const names = [...(common === undefined ? [] : [common]), ...others];
  return [...new Set(names.map((name) => name.toLowerCase()))];
}
