/** The helpers that templates have, each with the words that document it. */
import { atLeast, parseVersion } from '../../haproxy/binary/version.ts';
import { identifier } from '../names.ts';
import { comment, logFormat, mapKey, mapValue, quote, sampleArgument, word } from './encode.ts';
import { textOf, Value } from './value.ts';

export type Helper = {
  readonly usage: string;
  readonly meaning: string;
  /** The number of arguments; undefined: any. */
  readonly takes?: number;
  readonly call: (...values: readonly unknown[]) => unknown;
};

/** Helpers that do not depend on HAProxy. */
export const plainHelpers: Readonly<Record<string, Helper>> = {
  eq: {
    usage: '(eq A B)',
    meaning: 'Whether two texts or numbers are the same; a field that is not set equals nothing.',
    takes: 2,
    call: (a, b) => isText(a) && isText(b) && textOf(a) === textOf(b),
  },
  not: {
    usage: '(not A)',
    meaning: 'Whether A is not set, false, zero or empty.',
    takes: 1,
    call: (value) => !isTruthy(value),
  },
  and: {
    usage: '(and A B …)',
    meaning: 'Whether all are set and not false, zero or empty.',
    call: (...values) => values.every(isTruthy),
  },
  or: {
    usage: '(or A B …)',
    meaning:
      'The first that is set and not false, zero or empty; else the last. Gives a default: `{{or meta.zone "none"}}`.',
    call: (...values) => values.find(isTruthy) ?? values.at(-1),
  },
  has: {
    usage: '(has LIST TEXT)',
    meaning: 'Whether a list such as `tags` holds a text, or `meta` a key.',
    takes: 2,
    call: has,
  },
  join: { usage: '{{join LIST TEXT}}', meaning: 'The items of a list with a text between them.', takes: 2, call: join },
};

export const helpers: Readonly<Record<string, Helper>> = {
  word: encoder('word', word, 'One argument: bare where that is safe, else in quotes.'),
  quote: encoder('quote', quote, 'One argument, always in quotes.'),
  logFormat: encoder(
    'logFormat',
    logFormat,
    'One argument that HAProxy reads as a log format, as in `set-header`; `%` is doubled.',
  ),
  sampleArgument: encoder(
    'sampleArgument',
    sampleArgument,
    'The text between the parentheses of a sample expression such as `str(…)`. Refuses what cannot stand there.',
  ),
  identifier: encoder(
    'identifier',
    identifier,
    'The name of a server, ACL or proxy: reduced to `[A-Za-z0-9_.:-]`, with a hash where that changed it.',
  ),
  comment: encoder('comment', comment, 'Text after a `#`; line breaks become blanks.'),
  mapKey: encoder('mapKey', mapKey, 'The key of a line in a map file. Refuses blanks.'),
  mapValue: encoder('mapValue', mapValue, 'The value of a line in a map file. Refuses line breaks.'),
  ...plainHelpers,
  atLeast: {
    usage: '(atLeast haproxy.version "2.6")',
    meaning: 'Whether one version is not older than another.',
    takes: 2,
    call: (version, wanted) => {
      const { major, minor } = readVersion(wanted);
      return atLeast(readVersion(version), major, minor);
    },
  },
};

function encoder(name: string, encode: (text: string) => string, meaning: string): Helper {
  return { usage: `{{${name} A}}`, meaning, takes: 1, call: (value) => encode(textOf(value)) };
}

function isText(value: unknown): boolean {
  return value instanceof Value || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** Decides like Handlebars' own `if`. */
function isTruthy(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function has(where: unknown, wanted: unknown): boolean {
  const text = textOf(wanted);
  if (Array.isArray(where)) return where.some((item) => isText(item) && textOf(item) === text);
  return typeof where === 'object' && where !== null && Object.hasOwn(where, text);
}

function join(list: unknown, separator: unknown): Value | string {
  if (!Array.isArray(list)) throw new Error('join wants a list');
  const text = list.map(textOf).join(textOf(separator));
  // Where an item encodes itself, the result does as well; an empty list prints nothing.
  const from = [...(list as readonly unknown[]), separator].find((item) => item instanceof Value);
  return text !== '' && from !== undefined ? from.with(text) : text;
}

function readVersion(value: unknown): { readonly major: number; readonly minor: number; readonly text: string } {
  const version = parseVersion(textOf(value));
  if (version === null) throw new Error(`${JSON.stringify(textOf(value))} is not a version such as "2.6"`);
  return version;
}
