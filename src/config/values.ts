/** The small value types of the config that watchers do not use: HAProxy's own, addresses, commands. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { someTime, text, word } from '../../watchers/kit/values.ts';
import { AppError } from '../errors.ts';
import { sectionKeywords } from '../haproxy/text/text.ts';
import { parseRange } from '../lib/net/address.ts';
import { readHost } from '../routes/host.ts';

/** For a duration outside the config; `name` is its name there. Throws an AppError. */
export function readTime(name: string, text: string): number {
  const { success, data, error } = someTime.safeParse(text);
  if (success) return data;
  const problems = error.issues.map(({ message }) => message).join('; ');
  throw new AppError('MYELIN_USAGE', `${name}: ${problems}`);
}

/** HAProxy's own spelling of a time, to the millisecond: `1500ms`, `20s`, `10m`. */
export function formatDuration(ms: number): string {
  if (ms > 0 && ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

/** A name that HAProxy takes for a proxy and that is safe in a command: letters, digits, `_ . : -`. */
export const proxyName = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]+$/, "only letters, digits and _ . : - are allowed in a name (HAProxy's rule for proxies)")
  .max(200);

/** A program and its arguments, run without a shell. A relative path with a slash counts from the config's folder. */
export const command = z
  .array(z.string().regex(/^[^\0]*$/, 'an argument cannot hold NUL'))
  .min(1, 'expected a program and its arguments, each an item of the list')
  .meta({ title: 'list: program and arguments', path: 'command', expected: 'a list: the program and its arguments' });

const commandLineText = 'a program and its arguments, as a text or a list';

/** The same, or one text where no argument contains a blank or a quote. */
export const commandLine = z
  .union([
    command,
    text.regex(/^[^"'\\`$|&;<>*?~#()]*$/, `no shell reads it: write what needs quotes as a list, an item an argument`),
  ])
  .transform((value) => (typeof value === 'string' ? value.trim().split(/ +/) : value))
  .meta({ title: 'program and arguments', path: 'command', expected: commandLineText });

/** One line for `haproxy.cfg`, written by the administrator: anything but line breaks and NUL. */
export const rawLine = z
  .string()
  .regex(/^[^\n\r\0]*$/, 'a line cannot hold a line break: write each line as a list item of its own')
  .meta({ title: 'line', raw: true });

/** What stands after `bind`. A bare port is a number in YAML, and no address for HAProxy. */
export const bindLine = rawLine.meta({
  title: 'line',
  raw: true,
  expected: 'an address with a port, in quotes, such as "127.0.0.1:8080", or ":8080" for every address of this machine',
});

/** Lines within one section; a line that opened another section would pull the rest of the file into it. */
export const lines = z.array(
  rawLine.refine(
    (line) => !opensSection(line),
    'this line opens a section of its own: write it under haproxy.sections',
  ),
);

/** A whole hand-written section. */
export const section = z
  .string()
  .regex(/^[^\r\0]*$/, 'a section cannot hold carriage returns or NUL')
  .refine(
    (block) => opensSection(block.split('\n').find((line) => /^\s*[^\s#]/.test(line)) ?? ''),
    'a section begins with its keyword, such as `listen NAME` or `userlist NAME`',
  )
  .meta({ title: 'block of lines', raw: true });

function opensSection(line: string): boolean {
  return sectionKeywords.has(line.trim().split(/\s/, 1).join());
}

const portRangeText = 'a port, or a range of them such as 10000-19999';

/** `8080` or `10000-19999` → the first and the last port. */
export const portRange = z
  .string()
  .refine((value) => parsePortRange(value) !== null, `expected ${portRangeText}`)
  .transform((value) => parsePortRange(value) ?? { first: 0, last: 0 })
  .meta({ title: 'range of ports', expected: portRangeText });

function parsePortRange(value: string): { readonly first: number; readonly last: number } | null {
  const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(value) ?? [];
  const [first, last] = [Number(from), Number(to)];
  return first >= 1 && last <= 65_535 && first <= last ? { first, last } : null;
}

const listenText = 'HOST:PORT such as 127.0.0.1:8406, [::1]:8406 or *:8406';

/** `HOST:PORT` of one of Myelin's own HTTP servers; IPv6 in brackets. */
export const listen = text
  .refine((value) => parseListen(value) !== null, `expected ${listenText}`)
  .meta({ title: 'HOST:PORT', expected: listenText });

export const listenOrOff = text
  .refine((value) => value === 'off' || parseListen(value) !== null, `expected ${listenText}, or off`)
  .meta({ title: 'HOST:PORT or off', expected: `${listenText}, or off` });

/** Reads `HOST:PORT`, `[IPV6]:PORT`, `:PORT` and `*:PORT`; host null means all addresses. */
export function parseListen(value: string): { readonly host: string | null; readonly port: number } | null {
  const [, ipv6, name = '', digits] = /^(?:\[([^\]]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(value) ?? [];
  const number = Number(digits);
  if (digits === undefined || number < 1 || number > 65_535) return null;
  if (ipv6 !== undefined) return isIP(ipv6) === 6 ? { host: ipv6, port: number } : null;
  return { host: name === '' || name === '*' ? null : name, port: number };
}

const hostNameText = 'a host name such as proxy-1.example.com, or an IP address';

/** A name or address as it stands in a URL, without a port. */
export const hostName = z
  .string()
  .refine(
    (value) => isIP(value) !== 0 || (!value.includes('*') && readHost(value).kind === 'read'),
    `expected ${hostNameText}`,
  )
  .transform((value) => value.toLowerCase())
  .meta({ title: 'host', expected: hostNameText });

const hostPatternText = 'a host such as shop.example.com or *.apps.example.com, or * for any';

/** A host as in a route, or `*` for any. */
export const hostPattern = z
  .string()
  .refine((value) => value === '*' || readHost(value).kind === 'read', `expected ${hostPatternText}`)
  .transform((value) => value.toLowerCase())
  .meta({ title: 'host', expected: hostPatternText });

const cidrText = 'a range of addresses such as 127.0.0.0/8 or fd00::/8, or a single address';

/** A range of addresses; a single address is a range of one. */
export const cidr = z
  .string()
  .refine((value) => parseRange(value) !== null, `expected ${cidrText}`)
  .transform((value) => (value.includes('/') ? value : `${value}/${isIP(value) === 6 ? 128 : 32}`))
  .meta({ title: 'range of addresses', expected: cidrText });

export const urlPath = word.regex(/^\//, 'expected a path that starts with /');
