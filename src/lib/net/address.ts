/** IP addresses as bytes: strict literals only, one spelling for each, ranges, and the IPv4 hidden inside IPv6 forms. */
import { isIP } from 'node:net';

export type Address = {
  readonly family: 4 | 6;
  /** The one spelling by which equal addresses are equal texts; IPv6 in its shortest form, IPv4-mapped as IPv4. */
  readonly text: string;
  /** Four or sixteen. */
  readonly bytes: readonly number[];
};

/** The addresses whose first `bits` are those of `bytes`. */
export type Range = Pick<Address, 'family' | 'bytes'> & { readonly bits: number };

/** Null for anything but a plain literal: no zone, no octal, hexadecimal or shortened IPv4, no brackets, no name. */
export function parseAddress(text: string): Address | null {
  const written = parseWritten(text);
  // IPv4-mapped is the same address on the wire: a socket connected to it speaks IPv4.
  return written !== null && isMapped(written) ? ipv4(written.bytes.slice(12)) : written;
}

/** Reads `ADDRESS/BITS` or a single address; null where it is neither. An IPv4-mapped range is the IPv4 range. */
export function parseRange(text: string): Range | null {
  const [, literal = '', digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const written = parseWritten(literal);
  if (written === null) return null;
  const { family, bytes } = written;
  const bits = digits === undefined ? bytes.length * 8 : Number(digits);
  if (bits > bytes.length * 8) return null;
  if (bits < 96 || !isMapped(written)) return { family, bytes, bits };
  return { family: 4, bytes: bytes.slice(12), bits: bits - 96 };
}

/** A range that is known to be well formed. */
export function range(text: string): Range {
  const parsed = parseRange(text);
  if (parsed === null) throw new TypeError(`not a range of addresses: ${text}`);
  return parsed;
}

export function contains(range: Range, address: Address): boolean {
  if (range.family !== address.family) return false;
  for (let at = 0, left = range.bits; left > 0; at++, left -= 8) {
    const differing = (range.bytes[at] ?? 0) ^ (address.bytes[at] ?? 0);
    if (differing >> Math.max(0, 8 - left) !== 0) return false;
  }
  return true;
}

/** `10.0.0.1:80` or `[2001:db8::1]:80`. */
export function hostPort(host: string, port: number | string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The IPv4 address that routers or translators would reach by this IPv6 address; null where there is none in it. */
export function embeddedIPv4(address: Address): Address | null {
  const { family, bytes } = address;
  if (family === 4) return null;
  const found = embeddings.find(({ prefix }) => contains(prefix, address));
  if (found !== undefined) return ipv4(bytes.slice(found.at, found.at + 4));
  // ISATAP: any prefix, then 0000:5efe or 0200:5efe, then the IPv4 address.
  const [high = 0, ...rest] = bytes.slice(8, 12);
  if ((high & 0xfd) === 0 && rest.join() === '0,94,254') return ipv4(bytes.slice(12));
  // Teredo: the client's IPv4 address with every bit turned.
  return contains(teredo, address) ? ipv4(bytes.slice(12).map((byte) => byte ^ 0xff)) : null;
}

/**
 * All IPv4 addresses that may be reached by it: of a NAT64 prefix for local use only the translator knows the length, and so
 * the place of the address (RFC 6052, section 2.2: around the eight bits from 64 on, and what follows it is ignored).
 */
export function reachedIPv4(address: Address): readonly Address[] {
  const embedded = embeddedIPv4(address);
  if (embedded === null || !contains(localNat64, address)) return embedded === null ? [] : [embedded];
  const { bytes } = address;
  const others = [
    [...bytes.slice(6, 8), ...bytes.slice(9, 11)],
    [...bytes.slice(7, 8), ...bytes.slice(9, 12)],
    bytes.slice(9, 13),
  ];
  // Zeros, from a longer prefix, are no address.
  return [embedded, ...others.filter(([first]) => first !== 0).map(ipv4)];
}

const teredo = range('2001::/32');

const localNat64 = range('64:ff9b:1::/48');

/** Where in the sixteen bytes the four begin. */
const embeddings = (
  [
    ['::/96', 12], // IPv4-compatible
    ['::ffff:0:0:0/96', 12], // IPv4-translated (SIIT)
    ['64:ff9b::/96', 12], // NAT64
    ['64:ff9b:1::/48', 12], // NAT64, local use
    ['2002::/16', 2], // 6to4
  ] as const
).map(([text, at]) => ({ prefix: range(text), at }));

/** The address in the family that it is written in. */
function parseWritten(text: string): Address | null {
  // `fe80::1%eth0` means something on one machine only.
  if (text.includes('%')) return null;
  switch (isIP(text)) {
    case 4:
      return { family: 4, text, bytes: text.split('.').map(Number) };
    case 6:
      return ipv6(text);
    default:
      return null;
  }
}

function isMapped({ family, bytes }: Address): boolean {
  return family === 6 && bytes.slice(0, 12).join() === '0,0,0,0,0,0,0,0,0,0,255,255';
}

function ipv4(bytes: readonly number[]): Address {
  return { family: 4, text: bytes.join('.'), bytes };
}

function ipv6(written: string): Address {
  // RFC 5952, with the last two groups in hexadecimal as well.
  const text = new URL(`http://[${written}]`).hostname.slice(1, -1);
  const [head = [], tail = []] = text.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const groups = [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  const bytes = groups.flatMap((group) => {
    const number = Number.parseInt(group, 16);
    return [number >> 8, number & 0xff];
  });
  return { family: 6, text, bytes };
}
