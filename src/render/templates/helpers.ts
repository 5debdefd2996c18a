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
  startsWith: {
    usage: '(startsWith A TEXT)',
    meaning: 'Whether a text begins with another; a field that is not set begins with nothing.',
    takes: 2,
    call: (a, start) => isText(a) && textOf(a).startsWith(textOf(start)),
  },
  endsWith: {
    usage: '(endsWith A TEXT)',
    meaning: 'Whether a text ends with another; a field that is not set ends with nothing.',
    takes: 2,
    call: (a, end) => isText(a) && textOf(a).endsWith(textOf(end)),
  },
  number: {
    usage: '(number A)',
    meaning:
      'The number that a text is, such as `10` or `-0.5`; null where it is none: `{{or (number meta.weight) 1}}`.',
    takes: 1,
    call: (a) => (isText(a) ? numberOf(textOf(a)) : null),
  },
  lessThan: {
    usage: '(lessThan A B)',
    meaning: 'Whether one number is less than another; what is no number is not.',
    takes: 2,
    call: lessThan,
  },
  part: {
    usage: '(part A SEPARATOR N)',
    meaning:
      'The part of a text between separators: the first is 1, the last -1; null where there is none: `(part origin.node "." 1)`.',
    takes: 3,
    call: part,
  },
  replace: {
    usage: '(replace A TEXT OTHER)',
    meaning: 'The text with another in place of each that it holds, letter by letter; null where it is not set.',
    takes: 3,
    call: (a, text, other) => (isText(a) ? like(a, textOf(a).replaceAll(textOf(text), textOf(other))) : null),
  },
  lower: {
    usage: '(lower A)',
    meaning: 'The text in small letters; null where it is not set.',
    takes: 1,
    call: (a) => (isText(a) ? like(a, textOf(a).toLowerCase()) : null),
  },
  tagged: {
    usage: '(tagged LIST KEY)',
    meaning:
      'What follows `KEY=` in the first item of a list such as `tags` that begins so; null where none does: `(or (tagged tags "weight") weight)`.',
    takes: 2,
    call: tagged,
  },
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

/** A text made from another one encodes itself in the same way. */
function like(given: unknown, text: string): Value | string {
  return given instanceof Value ? given.with(text) : text;
}

function numberOf(text: string): number | null {
  return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : null;
}

function lessThan(a: unknown, b: unknown): boolean {
  const [one, other] = [a, b].map((value) => (isText(value) ? numberOf(textOf(value)) : null));
  return typeof one === 'number' && typeof other === 'number' && one < other;
}

function part(given: unknown, separator: unknown, place: unknown): Value | string | null {
  if (typeof place !== 'number' || !Number.isInteger(place) || place === 0)
    throw new Error('part wants a place: 1 is the first, -1 the last');
  if (textOf(separator) === '') throw new Error('part wants a separator that is not empty');
  if (!isText(given)) return null;
  const found = textOf(given)
    .split(textOf(separator))
    .at(place > 0 ? place - 1 : place);
  return found === undefined ? null : like(given, found);
}

function tagged(list: unknown, key: unknown): Value | string | null {
  if (!Array.isArray(list)) throw new Error('tagged wants a list');
  const start = `${textOf(key)}=`;
  const item = (list as readonly unknown[]).find((one) => isText(one) && textOf(one).startsWith(start));
  return item === undefined ? null : like(item, textOf(item).slice(start.length));
}

function readVersion(value: unknown): { readonly major: number; readonly minor: number; readonly text: string } {
  const version = parseVersion(textOf(value));
  if (version === null) throw new Error(`${JSON.stringify(textOf(value))} is not a version such as "2.6"`);
  return version;
}
