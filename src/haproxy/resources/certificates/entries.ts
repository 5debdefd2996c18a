/** What the files of certificates and of lists say, as far as it can change while HAProxy runs. */
import { createHash } from 'node:crypto';
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

const known = new WeakMap<Section, string>();

/** SHA-1 of the first certificate, as HAProxy shows it. */
export function fingerprintOf(section: Section): string {
  let fingerprint = known.get(section);
  if (fingerprint === undefined) {
    const [, base64 = ''] = /-----BEGIN CERTIFICATE-----([^-]*)/.exec(section.text) ?? [];
    fingerprint = createHash('sha1').update(Buffer.from(base64, 'base64')).digest('hex').toUpperCase();
    known.set(section, fingerprint);
  }
  return fingerprint;
}
