/** The blocks of a PEM text. */
import { X509Certificate } from 'node:crypto';

export type Block = { readonly label: string; readonly text: string };

/** Encoded again, so that nothing but what was inspected is passed on. */
export function blocksIn(text: string): readonly Block[] {
  return [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g)].map(([, label = '', body = '']) => {
    const base64 = Buffer.from(body, 'base64')
      .toString('base64')
      .replace(/.{1,64}/g, '$&\n');
    return { label, text: `-----BEGIN ${label}-----\n${base64}-----END ${label}-----\n` };
  });
}

/** null: it is none. */
export function readCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}
