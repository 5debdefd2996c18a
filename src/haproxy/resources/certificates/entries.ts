/** What the files of certificates and of lists say, as far as it can change while HAProxy runs. */
import { createHash, X509Certificate } from 'node:crypto';
import type { Section } from '../../../model.ts';
import { linesOf } from '../../text/text.ts';
import { canBeNamed } from './commands.ts';

export function isCertificate({ kind }: Pick<Section, 'kind'>): boolean {
  return kind === 'certificate';
}

export function isCrtList({ kind }: Pick<Section, 'kind'>): boolean {
  return kind === 'crt-list';
}

/** `line`: where the running list has a certificate several times. */
export type Entry = { readonly certificate: string; readonly line?: number };

/** null: there is more in the list than names of certificates, such as options. */
export function entriesOf({ text }: Pick<Section, 'text'>): readonly Entry[] | null {
  const entries: Entry[] = [];
  for (const written of linesOf(text)) {
    const [, certificate = '', line] = /^(\S+)(?: #(\d+))?$/.exec(written) ?? [];
    if (!canBeNamed(certificate)) return null;
    entries.push(line === undefined ? { certificate } : { certificate, line: Number(line) });
  }
  return entries;
}

/** Of a running list: no file has the lines. */
export function textOf(entries: readonly Entry[]): string {
  return entries.map(({ certificate, line }) => `${certificate}${line === undefined ? '' : ` #${line}`}\n`).join('');
}

/** A certificate as HAProxy shows it. */
export type Shown = {
  /** SHA-1. */
  readonly fingerprint: string;
  /** The subjects of the certificates behind it, in their order: `/CN=Shop CA`. null: not known how HAProxy writes it. */
  readonly chain: readonly (string | null)[];
};

const known = new WeakMap<Section, Shown>();

/** How HAProxy shows the certificate of this file. */
export function shownOf(section: Section): Shown {
  let shown = known.get(section);
  if (shown === undefined) {
    const [leaf = '', ...chain] = [...section.text.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)/g)].map(
      ([, base64 = '']) => base64,
    );
    const fingerprint = createHash('sha1').update(Buffer.from(leaf, 'base64')).digest('hex').toUpperCase();
    shown = { fingerprint, chain: chain.map((base64) => subjectOf(Buffer.from(base64, 'base64'))) };
    known.set(section, shown);
  }
  return shown;
}

/** null where OpenSSL has more than one way to write it: other alphabets, signs with a meaning. */
function subjectOf(der: Buffer): string | null {
  try {
    const parts = new X509Certificate(der).subject.split('\n');
    return parts.every((part) => /^[A-Za-z]{1,20}=[A-Za-z0-9 .:_'()*@-]+$/.test(part)) ? `/${parts.join('/')}` : null;
  } catch {
    return null;
  }
}

/**
 * Whether the process has this certificate, with this chain. Where the file has no chain, HAProxy may show one that it found
 * elsewhere (`issuers-chain-path`).
 */
export function isAsShown(section: Section, { fingerprint, chain }: Shown): boolean {
  const wanted = shownOf(section);
  if (wanted.fingerprint !== fingerprint) return false;
  if (wanted.chain.length === 0) return true;
  return (
    wanted.chain.length === chain.length &&
    wanted.chain.every((subject, at) => subject === null || subject === chain[at])
  );
}
