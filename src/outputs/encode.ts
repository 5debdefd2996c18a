/**
 * Puts a text of a source into a file that HAProxy does not read, so that it is one value there and nothing more: no
 * line, no directive, no command. Anyone who may register may have written the text.
 */
import { createHash } from 'node:crypto';
import type { outputEncodings } from '../config/schema/outputs.ts';
import { hostPort, parseAddress } from '../lib/net/address.ts';

/** How a template's values are written where it does not specify otherwise. */
export const encoders = {
  /** Letters, digits and `. _ : / @ + , -`; anything else becomes `_`. No known syntax gives it a special meaning. */
  word: (text: string): string => text.replace(/[^A-Za-z0-9._:/@+,-]/g, '_') || '_',
  /** Any text on one line: a line break or another control character becomes a blank. */
  line: (text: string): string => text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' '),
  /** A text of JSON with its quotes, which YAML and JavaScript read as the same text. */
  json: (text: string): string => escapeControls(JSON.stringify(text)),
  /** One argument of a POSIX shell. */
  shell: (text: string): string => `'${text.replaceAll('\0', '').replaceAll("'", `'\\''`)}'`,
} as const satisfies Record<Encoding, (text: string) => string>;

export type Encoding = (typeof outputEncodings)[number];

/**
 * A name of letters, digits, `.`, `_` and `-` that begins with a letter or digit: `text` where it is one, else the
 * valid part of it, with a short hash of the whole, so that different texts stay different.
 */
export function plainName(text: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(text)) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
  const reduced = text.replace(/[^A-Za-z0-9._-]+/g, '_').replace(/^[.-]+/, '');
  return `${reduced.slice(0, 190)}-${hash}`.replace(/^-/, '_');
}

/** ADDRESS:PORT, IPv6 in brackets. Refuses what is no address. */
export function place(ip: string, port: number): string {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error(`${port} is not a port: 1-65535 is`);
  return hostPort(address(ip), port);
}

export function address(ip: string): string {
  if (parseAddress(ip) === null) throw new Error(`${JSON.stringify(ip)} is not an IPv4 or IPv6 address`);
  return ip;
}

/** Escapes characters that only texts of JSON contain: line separators of some readers, and other controls. */
export function escapeControls(json: string): string {
  return json.replace(
    /[\u2028\u2029\u007f-\u009f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
