/** The format of a file of services: text in, services with their endpoints out, and every fault with its place. Pure. */
import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { z } from 'zod';
import { hostPort } from '../../src/lib/net/address.ts';
import { type Endpoint, maxWeight, type Unreadable } from '../../src/model.ts';
import { boundedOptions } from '../kit/service-options.ts';

export type Parsed =
  | { readonly kind: 'services'; readonly services: ReadonlyMap<string, Entry> }
  /** It is no file of services. `reason` starts with FILE:LINE:COLUMN. */
  | { readonly kind: 'invalid'; readonly reason: string };

/** One service; `place` is FILE:LINE:COLUMN of its name. Without `options` it is there for those who list it. */
export type Entry = { readonly place: string; readonly options: Options | null } & (
  | {
      readonly kind: 'list';
      readonly endpoints: readonly Endpoint[];
      /** The entries that are wrong, one by one. */
      readonly unreadable: readonly Unreadable[];
    }
  /** The entry has no valid endpoint, but does not say that there are none. */
  | { readonly kind: 'unreadable'; readonly reason: string }
);

type Options = Readonly<Record<string, string>>;

/** The number of wrong entries of one service that are reported one by one. */
const mostTold = 20;

export function parseServices(file: string, text: string): Parsed {
  const lines = new LineCounter();
  const placeAt = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  const invalid = (offset: number, message: string): Parsed => ({
    kind: 'invalid',
    reason: `${placeAt(offset)}: ${message}`,
  });

  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    // Myelin checks this itself: in the parser, the time would grow with the square of the number of keys.
    uniqueKeys: false,
    logLevel: 'error',
  });
  const [error] = document.errors;
  if (error !== undefined) return invalid(error.pos[0], messageOf(error));
  const { contents } = document;
  if (contents === null) return invalid(0, 'the file is empty: expected `services:`');
  if (!isMap(contents)) return invalid(startOf(contents), 'expected `services:`');
  const stranger = contents.items.find(({ key }) => nameOf(key) !== 'services');
  if (stranger !== undefined)
    return invalid(startOf(stranger.key), `unknown key ${JSON.stringify(nameOf(stranger.key))}; allowed: services`);
  const [found, second] = contents.items;
  if (second !== undefined) return invalid(startOf(second.key), '`services` stands twice: keep one of them');
  if (!isMap(found?.value)) return invalid(startOf(found?.value ?? contents), 'services: expected services by name');

  const twice = withoutRepeated(found.value);
  let values: Readonly<Record<string, unknown>>;
  try {
    values = (document.toJS() as { readonly services: Readonly<Record<string, unknown>> }).services;
  } catch (error) {
    // An alias without an anchor, or aliases that stand for far too much.
    const [, name] = /Unresolved alias.*: (\S+)$/.exec(String(error)) ?? [];
    return invalid(
      0,
      name === undefined
        ? 'aliases repeat far too many values: write fewer of them'
        : `the alias *${name} has no anchor &${name} before it`,
    );
  }
  const services = new Map<string, Entry>();
  for (const { key, value } of found.value.items) {
    const name = nameOf(key);
    const place = placeAt(startOf(key));
    const written = readService(Object.hasOwn(values, name) ? values[name] : undefined, value, `services.${name}`);
    if ('problem' in written || !isScalar(key)) {
      const reason =
        'problem' in written && isScalar(key)
          ? `${placeAt(startOf(written.at ?? key))}: ${written.problem}`
          : `${place}: the name of a service must be plain text`;
      services.set(name, { kind: 'unreadable', place, options: null, reason });
      continue;
    }
    const { list, at: listNode, path, options } = written;
    const judged = list.map((item, at) => readEndpoint(item, itemOf(listNode, at), `${path}[${at}]`, placeAt));
    const endpoints = judged.filter((one) => 'address' in one);
    const wrong = judged.filter((one) => 'reason' in one);
    const repeated = (twice.get(name) ?? []).map((again): Unreadable => {
      const where = placeAt(startOf(again));
      return {
        id: where,
        reason: `${where}: services.${name} stands twice in this file, first at ${place}: the first counts`,
      };
    });
    const [first] = wrong;
    // No endpoint is readable, which is not the same as no endpoints.
    if (endpoints.length === 0 && first !== undefined)
      services.set(name, { kind: 'unreadable', place, options, reason: first.reason });
    else services.set(name, { kind: 'list', place, options, endpoints, unreadable: few([...wrong, ...repeated]) });
  }
  return { kind: 'services', services };
}

type WrittenService =
  | {
      readonly list: readonly unknown[];
      /** The node of the list, and its name for people. */
      readonly at: unknown;
      readonly path: string;
      readonly options: Options | null;
    }
  | { readonly problem: string; readonly at: unknown };

const word = z.union([z.string(), z.number(), z.boolean()], { error: 'expected a word' }).transform(String);

const longForm = z.strictObject(
  {
    endpoints: z.array(z.unknown(), { error: 'expected a list of endpoints; [] where there is none' }),
    options: z
      .record(
        z.string(),
        z.union([word, z.array(word).transform((words) => words.join(', '))], {
          error: 'expected a word or a list of words',
        }),
        { error: 'expected options by name; {} where there is none' },
      )
      .transform((options) => boundedOptions(new Map(Object.entries(options))))
      .optional(),
  },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}; allowed: endpoints, options`
        : undefined,
  },
);

/** The short form is the list of endpoints alone. */
function readService(value: unknown, node: unknown, path: string): WrittenService {
  if (Array.isArray(value)) return { list: value, at: node, path, options: null };
  if (!isMap(node)) return { problem: `${path}: expected a list of endpoints; [] where there is none`, at: node };
  const nodeOf = (key: string): unknown => node.get(key, true);
  for (const [where, map] of [
    ['', node],
    ['.options', nodeOf('options')],
  ] as const) {
    const [twice] = isMap(map) ? repeatedIn(map) : [];
    if (twice !== undefined) return { problem: `${path}${where}.${twice}: stands twice: keep one of them`, at: map };
  }
  const read = longForm.safeParse(value);
  if (read.success)
    return {
      list: read.data.endpoints,
      at: nodeOf('endpoints'),
      path: `${path}.endpoints`,
      options: read.data.options ?? null,
    };
  const [issue] = read.error.issues;
  return {
    problem: `${path}${formatPath(issue?.path ?? [])}: ${issue?.message ?? 'expected a service'}`,
    at: nodeAt(node, issue?.path ?? []),
  };
}

/** Removes from `map` the services whose name stands there already; returns their places. */
function withoutRepeated(map: YAMLMap<unknown, unknown>): ReadonlyMap<string, readonly unknown[]> {
  const known = new Set<string>();
  const repeated = new Map<string, unknown[]>();
  map.items = map.items.filter(({ key }) => {
    const name = nameOf(key);
    if (!known.has(name)) return known.add(name);
    const others = repeated.get(name);
    if (others === undefined) repeated.set(name, [key]);
    else others.push(key);
    return false;
  });
  return repeated;
}

function few(all: readonly Unreadable[]): readonly Unreadable[] {
  if (all.length <= mostTold) return all;
  const more = all.length - mostTold;
  return [...all.slice(0, mostTold), { id: `${more} more`, reason: `${more} more entries are left out` }];
}

const keys = ['address', 'port', 'id', 'weight', 'state', 'tags', 'meta'];

const endpoint = z
  .strictObject(
    {
      address: text('an IPv4 or IPv6 address'),
      port: whole('a port', 1, 65535),
      id: text('a name in quotes').optional(),
      weight: whole('a weight', 0, maxWeight).default(1),
      state: z.enum(['ready', 'draining'], { error: 'expected ready or draining' }).default('ready'),
      tags: z.array(word, { error: 'expected a list of words' }).default([]),
      meta: z.record(z.string(), word, { error: 'expected words by name' }).default({}),
    },
    {
      error: (issue) =>
        issue.code === 'unrecognized_keys'
          ? `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}; allowed: ${keys.join(', ')}`
          : 'expected ADDRESS:PORT or { address, port, … }',
    },
  )
  .transform(({ id, ...rest }): Endpoint => ({ ...rest, id: id ?? hostPort(rest.address, rest.port) }));

function readEndpoint(
  value: unknown,
  node: Node | undefined,
  path: string,
  placeAt: (offset: number) => string,
): Endpoint | Unreadable {
  const wrong = (inner: readonly PropertyKey[], message: string): Unreadable => {
    const place = placeAt(startOf(nodeAt(node, inner)));
    return { id: idOf(value) ?? path, reason: `${place}: ${path}${formatPath(inner)}: ${message}` };
  };
  const twice = isMap(node) ? [...repeatedIn(node)] : [];
  if (twice[0] !== undefined) return wrong([twice[0]], 'stands twice: keep one of them');
  const read = endpoint.safeParse(splitText(value));
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  return wrong(issue?.path ?? [], issue?.message ?? 'not an endpoint');
}

function* repeatedIn({ items }: YAMLMap<unknown, unknown>): Iterable<string> {
  const known = new Set<string>();
  for (const { key } of items) {
    if (known.has(nameOf(key))) yield nameOf(key);
    known.add(nameOf(key));
  }
}

function text(what: string): z.ZodString {
  return z.string({ error: `expected ${what}` }).min(1, `expected ${what}`);
}

function whole(what: string, min: number, max: number): z.ZodInt {
  const error = `expected ${what}, a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, error).max(max, error);
}

/** `10.0.0.1:80` and `[2001:db8::1]:80`; anything else is left as it is, for the schema to refuse. */
function splitText(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(value.trim()) ?? [];
  const address = bracketed ?? plain;
  return address === undefined ? value : { address, port: Number(port) };
}

/** A name of a wrong entry for people; undefined where it has none. */
function idOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, address }: { readonly id?: unknown; readonly address?: unknown } = value;
  return [id, address].find((one) => typeof one === 'string' && one !== '') as string | undefined;
}

/** As in the errors of the config: `.meta.zone`, `.tags[1]`. */
function formatPath(path: readonly PropertyKey[]): string {
  return path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
}

function nameOf(key: unknown): string {
  return isScalar(key) ? String(key.value ?? '') : '';
}

function itemOf(list: unknown, at: number): Node | undefined {
  const item: unknown = isSeq(list) ? list.items[at] : list;
  return isNode(item) ? item : undefined;
}

/** The node at `path` below `node`; where there is none, the nearest one around that place. */
function nodeAt(node: Node | undefined, path: readonly PropertyKey[]): Node | undefined {
  let nearest = node;
  for (const part of path) {
    const inner: unknown = isMap(nearest) || isSeq(nearest) ? nearest.get(part, true) : undefined;
    if (!isNode(inner)) return nearest;
    nearest = inner;
  }
  return nearest;
}

function startOf(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

function messageOf({ code, message }: Document['errors'][number]): string {
  return code === 'MULTIPLE_DOCS' ? 'a second document begins here: remove the line `---`' : message;
}
