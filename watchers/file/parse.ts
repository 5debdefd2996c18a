/** The format of a file of services: text in, services with their endpoints out, or the first fault with its place. Pure. */
import { type Document, isNode, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import type { Endpoint } from '../../src/model.ts';

export type Parsed =
  | { readonly kind: 'services'; readonly services: ReadonlyMap<string, readonly Endpoint[]> }
  /** `reason` starts with FILE:LINE:COLUMN. */
  | { readonly kind: 'invalid'; readonly reason: string };

export function parseServices(file: string, text: string): Parsed {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const invalid = (offset: number, message: string): Parsed => {
    const { line, col } = lines.linePos(offset);
    return { kind: 'invalid', reason: `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}: ${message}` };
  };

  const [error] = document.errors;
  if (error !== undefined) return invalid(error.pos[0], error.message);
  if (document.contents === null) return invalid(0, 'the file is empty: expected `services:`');
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // An alias without an anchor, or far too many of them.
    return invalid(0, String(error));
  }
  const read = shape.safeParse(value);
  if (read.success) return { kind: 'services', services: new Map(Object.entries(read.data.services)) };
  const [issue] = read.error.issues;
  const path = issue?.path ?? [];
  return invalid(offsetOf(document, path), `${formatPath(path)}${path.length === 0 ? '' : ': '}${issue?.message}`);
}

const word = z.union([z.string(), z.number(), z.boolean()], { error: 'expected a word' }).transform(String);

const endpoint = z
  .strictObject(
    {
      address: text('an IPv4 or IPv6 address'),
      port: whole('a port', 1, 65535),
      id: text('a name in quotes').optional(),
      weight: whole('a weight', 0, 256).default(1),
      state: z.enum(['ready', 'draining'], { error: 'expected ready or draining' }).default('ready'),
      tags: z.array(word, { error: 'expected a list of words' }).default([]),
      meta: z.record(z.string(), word, { error: 'expected words by name' }).default({}),
    },
    {
      error: orUnknownKey(
        'expected ADDRESS:PORT or { address, port, … }',
        'address, port, id, weight, state, tags, meta',
      ),
    },
  )
  .transform(({ id, ...rest }): Endpoint => ({ ...rest, id: id ?? joined(rest.address, rest.port) }));

const shape = z.strictObject(
  {
    services: z.record(
      z.string(),
      z.array(z.preprocess(splitText, endpoint), { error: 'expected a list of endpoints; [] where there is none' }),
      { error: 'expected services by name' },
    ),
  },
  { error: orUnknownKey('expected `services:`', 'services') },
);

function text(what: string): z.ZodString {
  return z.string({ error: `expected ${what}` }).min(1, `expected ${what}`);
}

function whole(what: string, min: number, max: number): z.ZodInt {
  const error = `expected ${what}, a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, error).max(max, error);
}

function orUnknownKey(expected: string, allowed: string): (issue: z.core.$ZodRawIssue) => string {
  return (issue) => {
    if (issue.code !== 'unrecognized_keys') return expected;
    return `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}; allowed: ${allowed}`;
  };
}

/** `10.0.0.1:80` and `[2001:db8::1]:80`; anything else is left as it is, for the schema to refuse. */
function splitText(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(value.trim()) ?? [];
  const address = bracketed ?? plain;
  return address === undefined ? value : { address, port: Number(port) };
}

function joined(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `services.web[1].port`, as in the errors of the config. */
function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${String(part)}`))
    .join('');
}

/** Where the value at `path` stands, or the nearest thing around it that is there. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}
