/** Validates endpoints before anything else uses them: anybody who may register can send hostile data. */
import { type Address, contains, parseAddress, type Range, range, reachedIPv4 } from '../lib/net/address.ts';
import { type Endpoint, type EndpointOrigin, maxWeight, originFields, type Unreadable } from '../model.ts';
import { arrange } from './endpoints.ts';
import { sharedOrigin } from './origins.ts';
import type { OwnGuard } from './own.ts';

/** What is left out: an endpoint, an entry that its watcher could not read (`entry`), or a tag or meta value. */
export type Refusal = {
  readonly id: string;
  readonly part: 'endpoint' | 'entry' | 'tag' | 'meta' | 'origin';
  readonly reason: string;
};

/** A limited number of refusals, and the number of all: anybody who may register can cause any number. */
export type Refusals = {
  readonly list: readonly Refusal[];
  readonly count: number;
  /** The number of endpoints and entries among them. */
  readonly endpoints: number;
};

/** null: the address and port may get traffic; else the reason why not, and what would allow it. */
export type Guard = (address: Address, port: number) => string | null;

const limits = {
  id: 512,
  tags: 256,
  tag: 1024,
  meta: 256,
  metaKey: 256,
  metaValue: 4096,
  origin: 256,
  refusals: 100,
  reason: 500,
} as const;

/**
 * `loopbackAllowed`: the source may name this machine. `isOwn` refuses an endpoint whatever the settings allow.
 * `onlyAddresses`: others are refused; empty: none are.
 */
export function createGuard(
  allowAddresses: readonly string[],
  loopbackAllowed: boolean,
  isOwn: OwnGuard = () => null,
  onlyAddresses: readonly string[] = [],
): Guard {
  const allowed = allowAddresses.map(range);
  const only = onlyAddresses.map(range);
  const isAllowed = (address: Address): boolean => allowed.some((one) => contains(one, address));
  const isOutside = (address: Address): boolean => only.length > 0 && !only.some((one) => contains(one, address));
  return (address, port) => {
    const listener = isOwn(address, port);
    if (listener !== null)
      return `${address.text} port ${port} leads back to ${listener.text} of this config, and is never served`;
    if (isAllowed(address)) return null;
    const reached = reachedIPv4(address);
    if (isOutside(address) && (reached.length === 0 || reached.some(isOutside)))
      return `${address.text} is in none of the ranges of onlyAddresses`;
    // `::1` and `::` are in the range of IPv4-compatible addresses as well: the address itself is checked first.
    for (const one of [address, ...reached]) {
      const found = special.find(({ ranges }) => ranges.some((candidate) => contains(candidate, one)));
      if (found === undefined) continue;
      if (isAllowed(one) || (found.what === 'loopback' && loopbackAllowed)) return null;
      const remedy = found.what === 'loopback' && one.family === 4 ? '127.0.0.0/8' : one.text;
      const where = one === address ? address.text : `${address.text} stands for ${one.text}, which`;
      return `${where} is ${found.label}; to accept it, write allowAddresses: [${one.family === 4 ? remedy : JSON.stringify(remedy)}]`;
    }
    return null;
  };
}

export const noRefusals: Refusals = { list: [], count: 0, endpoints: 0 };

type Received = {
  /** The watcher, which becomes a part of each origin; without it they keep what they have. */
  readonly watcher?: string;
  /** Entries that are added to the refused ones. */
  readonly unreadable?: readonly Unreadable[];
  /** The number of endpoints that are accepted at most. */
  readonly most?: number | undefined;
};

/** Splits received endpoints into accepted ones, normalised, and refused ones. Does not throw, whatever it receives. */
export function admit(
  received: readonly Endpoint[],
  guard: Guard,
  { watcher, unreadable = [], most = Number.POSITIVE_INFINITY }: Received = {},
): { readonly endpoints: readonly Endpoint[]; readonly refused: Refusals } {
  const endpoints: Endpoint[] = [];
  const refused = new Refused();
  for (const { id, reason } of unreadable)
    refused.add({ id: clip(id), part: 'entry', reason: clip(reason, limits.reason) });
  for (const entry of Array.isArray(received) ? (received as readonly unknown[]) : [received]) {
    const judged = judge(entry, guard, refused, watcher);
    if (typeof judged === 'string') refused.add({ id: label(entry), part: 'endpoint', reason: judged });
    else endpoints.push(judged);
  }
  const arranged = arrange(endpoints);
  if (arranged.length <= most) return { endpoints: arranged, refused: refused.all() };
  refused.addBeyond(arranged.length - most, `of ${arranged.length} endpoints ${most} are taken (maxServers)`);
  const [draining, ready] = [arranged.filter(isDraining), arranged.filter((endpoint) => !isDraining(endpoint))];
  return { endpoints: arrange([...ready, ...draining].slice(0, most)), refused: refused.all() };
}

function isDraining({ state }: Endpoint): boolean {
  return state === 'draining';
}

/** Counts all refusals and holds a limited number of them. */
class Refused {
  readonly #list: Refusal[] = [];
  #count = 0;
  #endpoints = 0;

  add(refusal: Refusal): void {
    this.#count += 1;
    if (refusal.part === 'endpoint' || refusal.part === 'entry') this.#endpoints += 1;
    this.#list.push(refusal);
    if (this.#list.length === 2 * limits.refusals) this.#trim();
  }

  /** Adds `count` endpoints that are refused for one reason. */
  addBeyond(count: number, reason: string): void {
    this.add({ id: '', part: 'endpoint', reason });
    this.#count += count - 1;
    this.#endpoints += count - 1;
  }

  all(): Refusals {
    if (this.#count === 0) return noRefusals;
    this.#trim();
    return { list: this.#list, count: this.#count, endpoints: this.#endpoints };
  }

  #trim(): void {
    this.#list.sort(byText).splice(limits.refusals);
  }
}

/** A user's watcher, or a bug, may pass values that do not have the declared types. */
function judge(entry: unknown, guard: Guard, refused: Refused, watcher: string | undefined): Endpoint | string {
  if (!isRecord(entry)) return `expected an endpoint, got ${show(entry)}`;
  const { id, address, port, weight, state } = entry;
  if (typeof id !== 'string' || id === '' || id.length > limits.id)
    return `the id must be text of 1 to ${limits.id} characters`;
  if (unprintable.test(id)) return `the id ${show(id)} holds line breaks or other control characters`;
  const parsed = typeof address === 'string' ? parseAddress(address) : null;
  if (parsed === null)
    return `the address must be an IPv4 or IPv6 literal, not ${show(address)}${isName(address) ? ': names are not resolved' : ''}`;
  if (!isWhole(port, 1, 65_535)) return `the port must be a whole number from 1 to 65535, not ${show(port)}`;
  if (!isWhole(weight, 0, maxWeight))
    return `the weight must be a whole number from 0 to ${maxWeight}, not ${show(weight)}`;
  if (state !== 'ready' && state !== 'draining') return `the state must be ready or draining, not ${show(state)}`;
  const reason = guard(parsed, port);
  if (reason !== null) return reason;
  const drop: Drop = (part, reason) => refused.add({ id: label(entry), part, reason });
  const tags = readTags(entry.tags, drop);
  const meta = readMeta(entry.meta, drop);
  const origin = readOrigin(entry.origin, watcher, drop);
  return {
    id,
    address: parsed.text,
    port,
    weight,
    state,
    ...(tags === null ? {} : { tags }),
    ...(meta === null ? {} : { meta }),
    ...(origin === null ? {} : { origin }),
  };
}

type Drop = (part: 'tag' | 'meta' | 'origin', why: string) => void;

/*
 * A wrong tag or meta value does not refuse its endpoint: these are for templates only, and annotations of several
 * lines are common. Values with line breaks are left out and reported; values beyond the limits are not read.
 */
function readTags(tags: unknown, drop: Drop): readonly string[] | null {
  if (tags === undefined) return null;
  if (!Array.isArray(tags)) {
    drop('tag', `tags must be a list of texts, not ${show(tags)}`);
    return null;
  }
  if (tags.length > limits.tags) drop('tag', `of ${tags.length} tags only the first ${limits.tags} are taken`);
  return (tags as readonly unknown[]).slice(0, limits.tags).filter((tag): tag is string => {
    const why = wrong(tag, limits.tag);
    if (why !== null) drop('tag', `the tag ${show(tag)} ${why}`);
    return why === null;
  });
}

function readMeta(meta: unknown, drop: Drop): Readonly<Record<string, string>> | null {
  if (meta === undefined) return null;
  if (!isRecord(meta) || Array.isArray(meta)) {
    drop('meta', `meta must be texts by name, not ${show(meta)}`);
    return null;
  }
  // Sorted keys make equal objects compare as equal.
  const keys = Object.keys(meta).sort();
  if (keys.length > limits.meta) drop('meta', `of ${keys.length} meta values only the first ${limits.meta} are taken`);
  const pairs = keys.slice(0, limits.meta).map((key) => [key, meta[key]] as const);
  const good = pairs.filter((pair): pair is [string, string] => {
    const [key, value] = pair;
    // An assignment to this name would replace the prototype of an object.
    const badKey = key === '__proto__' ? 'is not a name for data' : wrong(key, limits.metaKey);
    const why = badKey ?? wrong(value, limits.metaValue);
    if (why !== null) drop('meta', `the meta ${badKey === null ? 'value' : 'name'} ${show(key)} ${why}`);
    return why === null;
  });
  return Object.fromEntries(good);
}

function readOrigin(origin: unknown, watcher: string | undefined, drop: Drop): EndpointOrigin | null {
  const said = isRecord(origin) ? origin : {};
  const read: Partial<Record<(typeof originFields)[number], string>> = {};
  for (const field of originFields) {
    const value = field === 'watcher' ? (watcher ?? said.watcher) : said[field];
    const why = value === undefined ? null : wrong(value, limits.origin);
    if (why !== null) drop('origin', `the ${field} of the origin ${why}`);
    else if (value !== undefined && value !== '') read[field] = value as string;
  }
  return Object.keys(read).length === 0 ? null : sharedOrigin(read);
}

function wrong(value: unknown, maxLength: number): string | null {
  if (typeof value !== 'string') return `is not text but ${show(value)}`;
  if (value.length > maxLength) return `is longer than ${maxLength} characters`;
  return unprintable.test(value) ? 'holds line breaks or other control characters' : null;
}

/** Control characters, line and paragraph separators, and lone surrogates. */
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u;

function isName(address: unknown): boolean {
  return typeof address === 'string' && /^(?=.*[a-z])[a-z0-9_.-]{1,253}$/i.test(address);
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function label(entry: unknown): string {
  return isRecord(entry) && typeof entry.id === 'string' ? clip(entry.id) : '';
}

/** For messages: short, and always on one line. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(clip(value));
  if (value === null || ['number', 'boolean', 'undefined', 'bigint'].includes(typeof value)) return String(value);
  return Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`;
}

function clip(text: string, most = 80): string {
  const printable = text.slice(0, most).replaceAll(new RegExp(unprintable, 'gu'), '\ufffd');
  return text.length > most ? `${printable}…` : printable;
}

/** Endpoints and entries come before tags and meta values. */
function byText(a: Refusal, b: Refusal): number {
  const one = `${a.part}\n${a.id}\n${a.reason}`;
  const other = `${b.part}\n${b.id}\n${b.reason}`;
  return one < other ? -1 : one > other ? 1 : 0;
}

type Special = { readonly what: string; readonly label: string; readonly ranges: readonly Range[] };

/** In this order: an address of cloud metadata is reported as that, not as link-local. */
const special: readonly Special[] = [
  {
    what: 'metadata',
    label: 'where a cloud hands out its metadata and credentials',
    ranges: [
      '169.254.169.254', // AWS, Azure, GCP, DigitalOcean and most others
      '169.254.170.2', // AWS ECS: credentials of tasks
      '169.254.170.23', // AWS EKS: identity of pods
      '168.63.129.16', // Azure: WireServer
      '100.100.100.200', // Alibaba
      '192.0.0.192', // Oracle
      'fd00:ec2::254', // AWS
      'fd00:ec2::23', // AWS EKS
      'fd20:ce::254', // GCP
      'fd00:42::42', // Scaleway
    ].map(range),
  },
  { what: 'loopback', label: 'a loopback address, this very machine', ranges: ['127.0.0.0/8', '::1'].map(range) },
  { what: 'unspecified', label: 'no address of any host', ranges: ['0.0.0.0/8', '::'].map(range) },
  { what: 'linkLocal', label: 'a link-local address', ranges: ['169.254.0.0/16', 'fe80::/10'].map(range) },
  { what: 'multicast', label: 'a multicast address', ranges: ['224.0.0.0/4', 'ff00::/8'].map(range) },
  { what: 'broadcast', label: 'the broadcast address', ranges: ['255.255.255.255'].map(range) },
];
