/** Decides whether a file of CA certificates can be handed to HAProxy. Pure. */
import type { Timestamp } from '../model.ts';
import { blocksIn, readCertificate } from './pem.ts';

export type CaCertificate = {
  /** On one line: `CN=Shop CA, O=Shop`. */
  readonly subject: string;
  readonly notBefore: Timestamp;
  readonly notAfter: Timestamp;
};

export type InspectedCa =
  | {
      readonly kind: 'sound';
      /** The certificates alone, each once: without comments, keys and blank lines. */
      readonly pem: string;
      readonly certificates: readonly CaCertificate[];
    }
  /** `reason` names the problem, and what helps. */
  | { readonly kind: 'unsound'; readonly reason: string };

export function inspectCa(text: string): InspectedCa {
  if (text.trim() === '') return unsound('it is empty');
  const begun = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g)?.length ?? 0;
  const blocks = blocksIn(text).filter(({ label }) => label === 'CERTIFICATE');
  if (begun === 0) return unsound('it holds no certificate (-----BEGIN CERTIFICATE-----)');
  const read = blocks.map((block) => readCertificate(block.text));
  const unreadable = read.indexOf(null);
  if (unreadable !== -1) return unsound(`certificate ${unreadable + 1} in it cannot be read`);
  // As of a file that is being written, or of `TRUSTED CERTIFICATE`, which carries more than the certificate.
  if (blocks.length < begun)
    return unsound(`${begun - blocks.length} of ${begun} certificates in it do not end, or are not plain CERTIFICATE`);
  return {
    kind: 'sound',
    pem: [...new Set(blocks.map((block) => block.text))].join(''),
    certificates: read.flatMap((each) =>
      each === null
        ? []
        : [
            {
              subject: oneLine(each.subject ?? each.serialNumber),
              notBefore: each.validFromDate.getTime(),
              notAfter: each.validToDate.getTime(),
            },
          ],
    ),
  };
}

/** Why nobody could be verified with these now; null: somebody can. */
export function whyNoneNow(certificates: readonly CaCertificate[], now: Timestamp): string | null {
  if (certificates.some(({ notBefore, notAfter }) => notBefore <= now && now < notAfter)) return null;
  const [first] = certificates.toSorted((a, b) => b.notAfter - a.notAfter);
  if (first === undefined) return 'it holds no certificate';
  const { subject, notBefore, notAfter } = first;
  return now < notBefore
    ? `${subject} is not valid before ${new Date(notBefore).toISOString()}`
    : `${subject} expired at ${new Date(notAfter).toISOString()}${certificates.length === 1 ? '' : ', the others before'}`;
}

function unsound(reason: string): InspectedCa {
  return { kind: 'unsound', reason };
}

/** Whoever made the certificate chose its text. */
function oneLine(subject: string): string {
  return subject
    .replaceAll('\n', ', ')
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 200);
}
