/**
 * All that is known from the sources: the services, those that were discovered included, and the endpoints of each. A
 * service that a source does not discover any more remains until its endpoints are gone, since that may be a mistake as
 * well.
 */
import { type Discovered, originOfDiscovered, type Rejected, withDiscovered } from '../config/discover/discovered.ts';
import { queryKeyOf } from '../config/query-key.ts';
import type { Config, Discovery, Origin } from '../config/schema.ts';
import { MappedList } from '../lib/difference.ts';
import type { DiscoveredService, Endpoint, Moment, SourceEvent } from '../model.ts';
import { accept, advance, type Catalog, type CatalogSettings, createCatalog, receive } from './catalog.ts';
import { catalogSettings } from './catalog-settings.ts';
import { union } from './endpoints.ts';
import { reconfigure } from './services-changed.ts';
import { lookUp } from './table.ts';

/** A discovered service. `isOver`: its source does not have it any more. */
export type KnownService = {
  readonly watcher: string;
  readonly query: string;
  readonly service: DiscoveredService;
  readonly isOver: boolean;
};

export type Collection = {
  /** The config as it was written. */
  readonly written: Config;
  /** The same with the discovered services. */
  readonly config: Config;
  readonly discovered: readonly KnownService[];
  /** Discovered services that are not served, each with the reason. */
  readonly rejected: readonly Rejected[];
  readonly catalog: Catalog;
  /** Of this machine: an endpoint at such an address may lead back to a listener of this config. */
  readonly addresses: readonly string[];
};

/** The last known endpoints of a service; `queryKey` identifies the queries that found them. */
export type Known = { readonly queryKey: string; readonly endpoints: readonly Endpoint[] };

/** What the last Myelin knew: discovered services, and endpoints by service. */
export type Remembered = {
  readonly discovered: readonly KnownService[];
  readonly endpoints: ReadonlyMap<string, Known>;
};

export const nothingKnown: Remembered = { discovered: [], endpoints: new Map() };

export function createCollection(
  written: Config,
  { discovered, endpoints }: Remembered,
  now: Moment,
  addresses: readonly string[] = [],
): Collection {
  const wanted = discovered.filter((one) => discoveryOf(written, one) !== undefined);
  const { config, rejected, settings } = serving(written, wanted, addresses);
  const catalog = createCatalog(settings, now, seedOf(config, endpoints), formerOf(config, endpoints));
  return { written, config, discovered: wanted, rejected, catalog, addresses };
}

/** The endpoints that the same queries found. */
function seedOf({ services }: Config, last: ReadonlyMap<string, Known>): ReadonlyMap<string, readonly Endpoint[]> {
  if (last.size === 0) return new Map();
  const seed = [...services].flatMap(([name, service]) => {
    const its = last.get(name);
    return its?.queryKey === queryKeyOf(service) ? [[name, its.endpoints] as const] : [];
  });
  return new Map(seed);
}

/** Those that other queries found, before the config was edited. */
function formerOf({ services }: Config, last: ReadonlyMap<string, Known>): ReadonlyMap<string, readonly Endpoint[]> {
  const former = [...services].flatMap(([name, service]) => {
    const its = last.get(name);
    return its === undefined || its.queryKey === queryKeyOf(service) ? [] : [[name, its.endpoints] as const];
  });
  return new Map(former);
}

/** The endpoints to remember, by service: one by one, so that whoever writes those of thousands can pause. */
export function* known({ config, catalog }: Collection): Generator<readonly [service: string, known: Known]> {
  for (const [name, service] of config.services) {
    const its = lookUp(catalog.services, name);
    if (its?.basis === 'known') yield [name, { queryKey: queryKeyOf(service), endpoints: its.endpoints }];
    if (its?.basis === 'moved') yield [name, { queryKey: '', endpoints: union(its.endpoints, its.former) }];
  }
}

/** Returns the same object where the event changes nothing. */
export function collect(collection: Collection, event: SourceEvent, now: Moment): Collection {
  const next = withCatalog(collection, receive(collection.catalog, event, now));
  switch (event.kind) {
    case 'discovered':
      return takeDiscovered(next, event, now);
    case 'gone':
      return endGone(next, event, now);
    case 'synced':
      return endUnqueried(next, event.watcher, now);
    case 'started':
    case 'failed':
    case 'stale':
    case 'endpoints':
      return next;
  }
}

/** The config was read again. `last`: known endpoints of services that are not in this collection. */
export function recollect(
  collection: Collection,
  written: Config,
  now: Moment,
  { addresses = collection.addresses, last = nothingKnown.endpoints }: Recollection = {},
): Collection {
  const discovered = collection.discovered.filter((known) => discoveryOf(written, known) !== undefined);
  const edited = serve({ ...collection, written, addresses }, discovered, now, { authority: 'config', last });
  return withoutOver(edited, now);
}

type Recollection = {
  readonly addresses?: readonly string[] | undefined;
  readonly last?: ReadonlyMap<string, Known>;
};

/** Ends waits and doubts that are over at `now`. */
export function progress(collection: Collection, now: Moment): Collection {
  return withoutOver(withCatalog(collection, advance(collection.catalog, now)), now);
}

/** An operator accepts the results for these services. */
export function acceptLosses(collection: Collection, services: readonly string[], now: Moment): Collection {
  const catalog = services.reduce((all, service) => accept(all, service, now), collection.catalog);
  return withoutOver(withCatalog(collection, catalog), now);
}

function takeDiscovered(
  collection: Collection,
  { watcher, key: query, services }: Extract<SourceEvent, { kind: 'discovered' }>,
  now: Moment,
): Collection {
  if (!collection.written.discoveries.some((one) => one.watcher === watcher && one.key === query)) return collection;
  const isItsOwn = (known: KnownService): boolean => known.watcher === watcher && known.query === query;
  const own = collection.discovered.filter(isItsOwn);
  const others =
    own.length === collection.discovered.length ? [] : collection.discovered.filter((one) => !isItsOwn(one));
  // Of thousands of services one comes or goes at a time: what the lists begin and end with is as it was.
  const isSameAt = (at: number, other: number): boolean => {
    const [known, service] = [own[at], services[other]];
    return known !== undefined && service !== undefined && !known.isOver && isSameService(known.service, service);
  };
  const shorter = Math.min(own.length, services.length);
  let start = 0;
  while (start < shorter && isSameAt(start, start)) start++;
  let tail = 0;
  while (tail < shorter - start && isSameAt(own.length - 1 - tail, services.length - 1 - tail)) tail++;
  const [old, fresh] = [own.slice(start, own.length - tail), services.slice(start, services.length - tail)];
  if (old.length + fresh.length === 0) return collection;
  const keys = new Set(fresh.map(({ key }) => key));
  // A service that another query found before belongs to this one now, for example where the config adds the namespace.
  const isTaken = (known: KnownService): boolean => known.watcher === watcher && keys.has(known.service.key);
  const taken = others.filter(isTaken);
  const before = new Map([...taken, ...old].map((known) => [known.service.key, known]));
  const discovered = fresh.map((service): KnownService => {
    const known = before.get(service.key);
    const isSame = known !== undefined && isItsOwn(known) && !known.isOver && isSameService(known.service, service);
    return isSame ? known : { watcher, query, service, isOver: false };
  });
  const isListed = (key: string): boolean => keys.has(key) || services.some((service) => service.key === key);
  const missing = old.filter(({ service }) => !isListed(service.key));
  if (missing.length === 0 && discovered.every((known) => before.get(known.service.key) === known)) return collection;
  const left = taken.length === 0 ? others : others.filter((known) => !isTaken(known));
  const all = [...left, ...own.slice(0, start), ...discovered, ...own.slice(own.length - tail)];
  return end(collection, all, missing, now);
}

/**
 * A discovered service that is gone has ended, whether the list without it comes before this or after it: until then, its route
 * would lead to a backend without servers.
 */
function endGone(
  collection: Collection,
  { watcher, key }: Extract<SourceEvent, { kind: 'gone' }>,
  now: Moment,
): Collection {
  const isIt = (known: KnownService): boolean => known.watcher === watcher && known.service.key === key;
  return endThose(collection, isIt, now);
}

/** All queries of a new config have a result: services that only queries of the old config found have ended. */
function endUnqueried(collection: Collection, watcher: string, now: Moment): Collection {
  const { discoveries } = collection.written;
  const isUnqueried = (known: KnownService): boolean =>
    known.watcher === watcher && !discoveries.some((one) => one.watcher === watcher && one.key === known.query);
  return endThose(collection, isUnqueried, now);
}

/** The discovered services that this is true of have ended. */
function endThose(collection: Collection, isEnded: (known: KnownService) => boolean, now: Moment): Collection {
  const missing = collection.discovered.filter((known) => isEnded(known) && !known.isOver);
  if (missing.length === 0) return collection;
  const others = collection.discovered.filter((known) => !missing.includes(known));
  return end(collection, others, missing, now);
}

/** `missing` services have ended; those whose end is doubted remain. */
function end(
  collection: Collection,
  others: readonly KnownService[],
  missing: readonly KnownService[],
  now: Moment,
): Collection {
  const catalog = missing
    .filter(({ isOver }) => !isOver)
    .reduce(
      (all, { watcher, service }) => receive(all, { watcher, kind: 'gone', key: service.key }, now),
      collection.catalog,
    );
  const next = withCatalog(collection, catalog);
  const over = missing
    .map((known) => (known.isOver ? known : { ...known, isOver: true }))
    .filter((known) => remains(next, known));
  return serve(next, [...others, ...over], now);
}

/** Equal services stay the same objects, so that what was made of them can be reused. */
function isSameService(a: DiscoveredService, b: DiscoveredService): boolean {
  if (a === b) return true;
  const { key, name, owner, createdAt } = a;
  if (key !== b.key || name !== b.name || owner !== b.owner || createdAt !== b.createdAt) return false;
  const options = Object.keys(a.options);
  return (
    options.length === Object.keys(b.options).length &&
    options.every((option) => Object.hasOwn(b.options, option) && a.options[option] === b.options[option])
  );
}

/** Removes services that have ended and have no endpoints left. */
function withoutOver(collection: Collection, now: Moment): Collection {
  const left = collection.discovered.filter((known) => remains(collection, known));
  return left.length === collection.discovered.length ? collection : serve(collection, left, now);
}

function remains({ catalog, config }: Collection, { watcher, service, isOver }: KnownService): boolean {
  if (!isOver) return true;
  const origins = config.services.get(service.name)?.origins ?? [];
  const isServed = origins.some((one) => one.watcher === watcher && one.key === service.key);
  return isServed && (lookUp(catalog.services, service.name)?.endpoints.length ?? 0) > 0;
}

type Change = {
  /** Who changes the set of services. */
  readonly authority?: 'source' | 'config';
  readonly last?: ReadonlyMap<string, Known>;
};

function serve(
  collection: Collection,
  discovered: readonly KnownService[],
  now: Moment,
  { authority = 'source', last = nothingKnown.endpoints }: Change = {},
): Collection {
  const { config, rejected, settings } = serving(collection.written, discovered, collection.addresses);
  const catalog = reconfigure(collection.catalog, settings, now, seedOf(config, last), authority);
  return { ...collection, discovered, config, rejected, catalog };
}

function serving(
  written: Config,
  known: readonly KnownService[],
  addresses: readonly string[],
): Pick<Collection, 'config' | 'rejected'> & { readonly settings: CatalogSettings } {
  const lists = listsOf(written);
  const found = lists.discovered.of(known);
  const discovered = found.includes(null) ? found.filter((one) => one !== null) : (found as readonly Discovered[]);
  const { config, rejected } = withDiscovered(written, discovered);
  return {
    config,
    rejected,
    settings: catalogSettings(config, { discovered: lists.origins.of(discovered), addresses }),
  };
}

type Lists = {
  readonly discovered: MappedList<KnownService, Discovered | null>;
  readonly origins: MappedList<Discovered, Origin>;
};

const listsByConfig = new WeakMap<Config, Lists>();

function listsOf(written: Config): Lists {
  const before = listsByConfig.get(written);
  if (before !== undefined) return before;
  const discovered = new MappedList((one: KnownService): Discovered | null => {
    const discovery = discoveryOf(written, one);
    return discovery === undefined ? null : { discovery, service: one.service };
  });
  const lists = { discovered, origins: new MappedList(originOfDiscovered) };
  listsByConfig.set(written, lists);
  return lists;
}

/** Where the query has changed in the config, the new limits count at once. */
function discoveryOf(
  { discoveries }: Config,
  { watcher, query }: Pick<KnownService, 'watcher' | 'query'>,
): Discovery | undefined {
  const its = discoveries.filter((one) => one.watcher === watcher);
  return its.find(({ key }) => key === query) ?? its[0];
}

function withCatalog(collection: Collection, catalog: Catalog): Collection {
  return catalog === collection.catalog ? collection : { ...collection, catalog };
}
