/**
 * Reads the addresses of HAProxy's `bind` lines, so that conflicting addresses are found before HAProxy
 * fails on them, and a foreign process on one of them too.
 */
import { parseAddress } from '../../lib/net/address.ts';
import { tokenise } from './text.ts';

export type BindAddress =
  | {
      /** `udp` is QUIC. */
      readonly kind: 'tcp' | 'udp';
      /** Which of the two may answer: a host name may be either, `::` without `v6only` is both. */
      readonly family: 4 | 6 | 'any';
      /** null: all addresses of the family. IPv6 without brackets, in its shortest form; a name as it was written. */
      readonly host: string | null;
      readonly port: number;
      /** The last port of a range; equal to `port` where there is none. */
      readonly portEnd: number;
      /** Bound to one network interface, or in another network namespace than Myelin's. */
      readonly interface: string | null;
      readonly namespace: string | null;
      /** May be an address that the machine does not have; a socket without that is another one. */
      readonly isTransparent: boolean;
    }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'abns'; readonly name: string }
  /** What cannot be known from the text: inherited descriptors, HAProxy's own variables, reverse HTTP. */
  | { readonly kind: 'other'; readonly text: string };

/** `addresses` are those that could be read; `problems` say what HAProxy would refuse, or misread, in the others. */
export type Bind = { readonly addresses: readonly BindAddress[]; readonly problems: readonly string[] };

/** HAProxy creates a unix socket as `PATH.PID.tmp` and refuses a longer path; in bytes. */
export const maxSocketPath = 97;

/** Reads what stands after `bind`: addresses separated by commas, then options. */
export function parseBind(text: string): Bind {
  const [written = '', ...options] = text.trim().split(/\s+/);
  const { words, isExact } = tokenise(written);
  const [first = ''] = words;
  if (written.includes('$') || !isExact) return { addresses: [{ kind: 'other', text: written }], problems: [] };
  const addresses: BindAddress[] = [];
  const problems: string[] = [];
  // HAProxy takes `:80,` for `:80`.
  for (const part of first.replace(/,$/, '').split(',')) {
    const address = parseBindAddress(part, readOptions(options));
    if (typeof address === 'string') problems.push(address);
    else addresses.push(address);
  }
  return { addresses, problems };
}

/** Whether the `bind` line asks for TLS without naming certificates. */
export function lacksCertificates(text: string): boolean {
  const { words } = tokenise(text);
  return words.includes('ssl') && !words.includes('crt') && !words.includes('crt-list');
}

/** Whether HAProxy refuses the `bind` line for its lack of certificates, whatever else stands in its section. */
export function needsCertificates(text: string): boolean {
  const { words, isExact } = tokenise(text);
  const others = ['default-crt', 'strict-sni', 'generate-certificates'];
  return isExact && lacksCertificates(text) && !others.some((word) => words.includes(word));
}

/** Whether the `bind` line asks for TLS without saying what is asked of clients. */
export function asksNoClients(text: string): boolean {
  const { words } = tokenise(text);
  return words.includes('ssl') && !words.includes('ca-file') && !words.includes('verify');
}

/** Whether the second of the two could not be bound while the first is held (without sharing by SO_REUSEPORT). */
export function bindsOverlap(a: BindAddress, b: BindAddress): boolean {
  switch (a.kind) {
    case 'tcp':
    case 'udp':
      return (
        a.kind === b.kind &&
        a.port <= b.portEnd &&
        b.port <= a.portEnd &&
        (a.family === 'any' || b.family === 'any' || a.family === b.family) &&
        (a.host === null || b.host === null || a.host === b.host) &&
        // A socket bound to an interface still collides with one that is bound to none.
        (a.interface === null || b.interface === null || a.interface === b.interface) &&
        a.namespace === b.namespace
      );
    case 'unix':
      return b.kind === 'unix' && a.path === b.path;
    case 'abns':
      return b.kind === 'abns' && a.name === b.name;
    case 'other':
      return false;
  }
}

type Options = {
  readonly interface: string | null;
  readonly namespace: string | null;
  readonly isTransparent: boolean;
  readonly v6only: boolean;
};

function readOptions(words: readonly string[]): Options {
  const comment = words.findIndex((word) => word.startsWith('#'));
  const known = comment === -1 ? words : words.slice(0, comment);
  const after = (keyword: string): string | null => {
    const at = known.indexOf(keyword);
    return at === -1 ? null : (known[at + 1] ?? null);
  };
  return {
    interface: after('interface'),
    namespace: after('namespace'),
    isTransparent: known.includes('transparent'),
    v6only: known.includes('v6only'),
  };
}

/** The address, or what is wrong with it. */
function parseBindAddress(text: string, options: Options): BindAddress | string {
  if (text === '') return 'no address; write ADDRESS:PORT, :PORT or a path';
  if (text.startsWith('/')) return unixSocket(text);
  const [, prefix = '', rest = text] = /^([a-z0-9+]+)@(.*)$/.exec(text) ?? [];
  const kind = prefix.replace(/^(stream|dgram)\+/, '');
  switch (kind) {
    case 'unix':
    case 'uxst':
      return unixSocket(rest);
    case 'abns':
    case 'abnsz':
      return { kind: 'abns', name: rest };
    case '':
    case 'tcp':
    case 'mptcp':
      return inetSocket('tcp', rest, null, options);
    case 'ipv4':
    case 'tcp4':
    case 'mptcp4':
      return inetSocket('tcp', rest, 4, options);
    case 'ipv6':
    case 'tcp6':
    case 'mptcp6':
      return inetSocket('tcp', rest, 6, options);
    case 'quic4':
      return inetSocket('udp', rest, 4, options);
    case 'quic6':
      return inetSocket('udp', rest, 6, options);
    default:
      return { kind: 'other', text };
  }
}

function unixSocket(path: string): BindAddress | string {
  const length = Buffer.byteLength(path);
  if (path === '') return 'no path for the unix socket';
  if (length > maxSocketPath)
    return `the path of the unix socket is ${length} bytes long and HAProxy takes ${maxSocketPath} at most: ${path}`;
  return { kind: 'unix', path };
}

function inetSocket(
  kind: 'tcp' | 'udp',
  text: string,
  wanted: 4 | 6 | null,
  { v6only, ...scope }: Options,
): BindAddress | string {
  const colon = text.lastIndexOf(':');
  if (colon === -1 || text.endsWith(']')) return `no port in ${JSON.stringify(text)}; write ADDRESS:PORT or :PORT`;
  const ports = parsePorts(text.slice(colon + 1));
  if (typeof ports === 'string') return ports;
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const all = { kind, ...ports, ...scope, host: null };
  if (host === '' || host === '*') {
    if (wanted !== 6) return { ...all, family: 4 };
    return { ...all, family: v6only ? 6 : 'any' };
  }
  if (host === '0.0.0.0' || host === '0') return { ...all, family: 4 };
  const [literal = '', zone] = host.split('%');
  const address = parseAddress(literal);
  if (address === null) return { ...all, host, family: 'any' };
  const { family, text: short } = address;
  if (short === '::') return { ...all, family: v6only ? 6 : 'any' };
  return { ...all, host: zone === undefined ? short : `${short}%${zone}`, family };
}

/** `80` or `8000-8010`. Stricter than HAProxy, which reads `8x` as 8. */
function parsePorts(text: string): { readonly port: number; readonly portEnd: number } | string {
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  if (first === undefined) return `${JSON.stringify(text)} is not a port; write a number or a range such as 8000-8010`;
  const port = Number(first);
  const portEnd = Number(last);
  if (port < 1 || portEnd > 65_535) return `port ${text} is outside 1-65535`;
  if (portEnd < port) return `the range of ports ${text} ends before it begins`;
  return { port, portEnd };
}
