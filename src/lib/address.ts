/** IP addresses as numbers: strict literals only, one spelling for each, ranges, and the IPv4 hidden inside IPv6 forms. */
import { isIP } from 'node:net';

export type Address = {
  readonly family: 4 | 6;
  /** The one spelling by which equal addresses are equal texts; IPv6 in its shortest form, IPv4-mapped as IPv4. */
  readonly text: string;
  readonly value: bigint;
};

export type Range = { readonly family: 4 | 6; readonly first: bigint; readonly last: bigint };

const size = { 4: 32, 6: 128 } as const;

/** Null for anything but a plain literal: no zone, no octal, hexadecimal or shortened IPv4, no brackets, no name. */
export function parseAddress(text: string): Address | null {
  // `fe80::1%eth0` means something on one machine only.
  if (text.includes('%')) return null;
  switch (isIP(text)) {
    case 4:
      return ipv4(ipv4Value(text));
    case 6: {
      const value = ipv6Value(text);
      // The same address on the wire: a socket connected to it speaks IPv4.
      return value >> 32n === mappedPrefix ? ipv4(low32(value)) : { family: 6, text: shortestIPv6(text), value };
    }
    default:
      return null;
  }
}

/** Reads `ADDRESS/BITS` or a single address; null where it is neither. An IPv4-mapped range is the IPv4 range. */
export function parseRange(text: string): Range | null {
  const [, literal = '', digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseAddress(literal);
  if (address === null) return null;
  const written = isIP(literal) === 6 ? 128 : 32;
  const bits = digits === undefined ? written : Number(digits);
  if (bits > written) return null;
  const isMapped = written === 128 && address.family === 4;
  if (isMapped && bits < 96) return around(6, ipv6Value(literal), bits);
  return around(address.family, address.value, isMapped ? bits - 96 : bits);
}

export function contains({ family, first, last }: Range, address: Address): boolean {
  return family === address.family && first <= address.value && address.value <= last;
}

/** The IPv4 address that routers or translators would reach by this IPv6 address; null where there is none in it. */
export function embeddedIPv4(address: Address): Address | null {
  const { family, value } = address;
  if (family === 4) return null;
  for (const { prefix, at } of embeddings) if (contains(prefix, address)) return ipv4(low32(value >> at));
  // ISATAP: any prefix, then 0000:5efe or 0200:5efe, then the IPv4 address.
  const middle = (value >> 32n) & 0xfdff_ffffn;
  if (middle === 0x5efen) return ipv4(low32(value));
  // Teredo: the client's IPv4 address with every bit turned.
  if (value >> 96n === 0x2001_0000n) return ipv4(low32(~value));
  return null;
}

/**
 * All IPv4 addresses that may be reached by it: of a NAT64 prefix for local use only the translator knows the length, and so
 * the place of the address (RFC 6052, section 2.2: around the eight bits from 64 on, and what follows it is ignored).
 */
export function reachedIPv4(address: Address): readonly Address[] {
  const embedded = embeddedIPv4(address);
  if (embedded === null || !contains(localNat64, address)) return embedded === null ? [] : [embedded];
  const bits = (from: bigint, to: bigint): bigint => (address.value >> (128n - to)) & ((1n << (to - from)) - 1n);
  const others = [(bits(48n, 64n) << 16n) | bits(72n, 88n), (bits(56n, 64n) << 24n) | bits(72n, 96n), bits(72n, 104n)];
  // Of a longer prefix they are zeros, which is nobody's address.
  return [embedded, ...others.filter((one) => one >> 24n !== 0n).map(ipv4)];
}

const mappedPrefix = 0xffffn;

const embeddings = (
  [
    ['::/96', 0n], // IPv4-compatible
    ['::ffff:0:0:0/96', 0n], // IPv4-translated (SIIT)
    ['64:ff9b::/96', 0n], // NAT64
    ['64:ff9b:1::/48', 0n], // NAT64, local use
    ['2002::/16', 80n], // 6to4
  ] as const
).map(([text, at]) => ({ prefix: range(text), at }));

const localNat64 = range('64:ff9b:1::/48');

/** A range that is known to be well formed. */
export function range(text: string): Range {
  const parsed = parseRange(text);
  if (parsed === null) throw new TypeError(`not a range of addresses: ${text}`);
  return parsed;
}

/** The block of `bits` fixed leading bits that `value` lies in. */
function around(family: 4 | 6, value: bigint, bits: number): Range {
  const free = BigInt(size[family] - bits);
  const first = (value >> free) << free;
  return { family, first, last: first + (1n << free) - 1n };
}

function ipv4(value: bigint): Address {
  const number = Number(value);
  return { family: 4, text: [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.'), value };
}

function ipv4Value(text: string): bigint {
  return BigInt(text.split('.').reduce((value, part) => value * 256 + Number(part), 0));
}

function ipv6Value(text: string): bigint {
  const [left = '', right] = shortestIPv6(text).split('::');
  const head = groups(left);
  const tail = right === undefined ? [] : groups(right);
  const all = [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  return BigInt(`0x${all.map((group) => group.padStart(4, '0')).join('')}`);
}

function groups(text: string): string[] {
  return text === '' ? [] : text.split(':');
}

/** RFC 5952, with the last two groups in hexadecimal as well. */
function shortestIPv6(text: string): string {
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

function low32(value: bigint): bigint {
  return value & 0xffff_ffffn;
}
