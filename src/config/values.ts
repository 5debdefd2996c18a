/**
 * The small value types of the config: how each is written in YAML and what the program gets. `meta.expected` is what
 * an error message asks for; `meta.path` marks a path that is relative to the config file; `meta.secret` is masked.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { sectionKeywords } from '../haproxy/text/text.ts';
import { parseRange } from '../lib/address.ts';

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** HAProxy counts a time in milliseconds in 31 bits and refuses what is more. */
const maxDurationMs = 2 ** 31 - 1;

const durationText = 'a duration such as 250ms, 20s, 10m or 2h';

/** `250ms`, `20s`, `10m`, `2h`, `1d` → milliseconds. */
export const duration = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, `expected ${durationText}`)
  .transform(parseDuration)
  .refine((ms) => ms <= maxDurationMs, 'expected at most 24d (HAProxy counts no further)')
  .meta({ title: 'duration', expected: durationText });

/** A duration that must not be zero. */
export const someTime = duration.refine((ms) => ms > 0, 'expected more than 0ms');

/** For a duration that stands outside the config; `name` is what it is called there. Throws an AppError. */
export function readTime(name: string, text: string): number {
  const { success, data, error } = someTime.safeParse(text);
  if (success) return data;
  const problems = error.issues.map(({ message }) => message).join('; ');
  throw new AppError('MYELIN_USAGE', `${name}: ${problems}`);
}

/** Milliseconds of a text that matches the `duration` pattern. */
function parseDuration(text: string): number {
  const [, number, unit] = /^([\d.]+)(ms|s|m|h|d)$/.exec(text) ?? [];
  return Math.round(Number(number) * units[unit as keyof typeof units]);
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

/** Text on one line: no control characters. */
export const text = z
  .string()
  .min(1)
  .regex(/^[^\x00-\x1f\x7f]*$/, 'expected text without line breaks or other control characters');

/** One word of `haproxy.cfg`, such as a host or user name. */
export const word = text.regex(/^\S*$/, 'expected a single word, without spaces');

/** The path of a file or folder; relative ones count from the config file's folder. */
export const filePath = text.meta({ title: 'path', path: 'file', expected: 'a path' });

/** A program and its arguments, run without a shell. A relative path with a slash counts from the config file's folder. */
export const command = z
  .array(z.string().regex(/^[^\0]*$/, 'an argument cannot hold NUL'))
  .min(1, 'expected a program and its arguments, each an item of the list')
  .meta({ title: 'list: program and arguments', path: 'command', expected: 'a list: the program and its arguments' });

/** One line for `haproxy.cfg`, written by the administrator: anything but line breaks and NUL. */
export const rawLine = z
  .string()
  .regex(/^[^\n\r\0]*$/, 'a line cannot hold a line break: write each line as a list item of its own')
  .meta({ title: 'line' });

/** Lines within one section; a line that opened another section would take the rest of the file with it. */
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
  .meta({ title: 'block of lines' });

function opensSection(line: string): boolean {
  return sectionKeywords.has(line.trim().split(/\s/, 1).join());
}

export const port = z.number().int().min(1).max(65_535).meta({ title: 'port' });

const portRangeText = 'a port, or a range of them such as 10000-19999';

/** `8080` or `10000-19999` → the first and the last. */
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

const cidrText = 'a range of addresses such as 127.0.0.0/8 or fd00::/8, or a single address';

/** A range of addresses; a single address is the range of one. */
export const cidr = z
  .string()
  .refine((value) => parseRange(value) !== null, `expected ${cidrText}`)
  .transform((value) => (value.includes('/') ? value : `${value}/${isIP(value) === 6 ? 128 : 32}`))
  .meta({ title: 'range of addresses', expected: cidrText });
