/**
 * What is known from the sources: which services there are, those that nobody listed among them, and who serves each. A
 * service that is discovered no more is there until its endpoints are gone: that it vanished may be doubted as well.
 */
import { isDeepStrictEqual } from 'node:util';
import { originOfDiscovered, type Rejected, withDiscovered } from '../config/discover/discovered.ts';
import { queryKeyOf } from '../config/query-key.ts';
import type { Config, Discovery } from '../config/schema.ts';
import type { DiscoveredService, Endpoint, Moment, SourceEvent } from '../model.ts';
import { accept, advance, type Catalog, type CatalogSettings, createCatalog, receive } from './catalog.ts';
import { catalogSettings } from './catalog-settings.ts';
import { reconfigure } from './reconfigure.ts';
import { lookUp } from './table.ts';

/** `isOver`: its source does not have it any more. */
export type KnownService = {
  readonly watcher: string;
  readonly query: string;
  readonly service: DiscoveredService;
  readonly isOver: boolean;
};

export type Collection = {
  /** As it was written. */
  readonly written: Config;
  /** With the services that sources have discovered. */
  readonly config: Config;
  readonly discovered: readonly KnownService[];
  /** Discovered services that are not served, and why. */
  readonly rejected: readonly Rejected[];
  readonly catalog: Catalog;
  /** Addresses of this machine, at which no service is served that would be the one of this config. */
  readonly addresses: readonly string[];
};

/** The last known endpoints of a service; `queryKey` identifies the queries that found them. */
export type Known = { readonly queryKey: string; readonly endpoints: readonly Endpoint[] };

/** What was known last, of discovered services and, by service, of endpoints. */
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
  const catalog = createCatalog(settings, now, seedOf(config, endpoints));
  return { written, config, discovered: wanted, rejected, catalog, addresses };
}

/** What another query found says nothing about this one. */
function seedOf({ services }: Config, last: ReadonlyMap<string, Known>): ReadonlyMap<string, readonly Endpoint[]> {
  const seed = [...services].flatMap(([name, service]) => {
    const its = last.get(name);
    return its?.queryKey === queryKeyOf(service) ? [[name, its.endpoints] as const] : [];
  });
  return new Map(seed);
}

/** What to remember of who serves, by service. */
export function known({ config, catalog }: Collection): ReadonlyMap<string, Known> {
  const all = [...config.services].flatMap(([name, service]) => {
    const its = lookUp(catalog.services, name);
    return its?.basis === 'known' ? [[name, { queryKey: queryKeyOf(service), endpoints: its.endpoints }] as const] : [];
  });
  return new Map(all);
}

/** The same object where the event says nothing new. */
export function collect(collection: Collection, event: SourceEvent, now: Moment): Collection {
  const heard = withCatalog(collection, receive(collection.catalog, event, now));
  if (event.kind === 'discovered') return takeDiscovered(heard, event, now);
  return event.kind === 'synced' ? endUnasked(heard, event.watcher, now) : heard;
}

/** The config was read again. `last`: who is known to serve services that are not in this collection. */
export function recollect(
  collection: Collection,
  written: Config,
  now: Moment,
  { addresses = collection.addresses, last = nothingKnown.endpoints }: Recollection = {},
): Collection {
  const discovered = collection.discovered.filter((known) => discoveryOf(written, known) !== undefined);
  return withoutOver(serve({ ...collection, written, addresses }, discovered, now, last), now);
}

type Recollection = {
  readonly addresses?: readonly string[] | undefined;
  readonly last?: ReadonlyMap<string, Known>;
};

/** Ends what `now` ends. */
export function progress(collection: Collection, now: Moment): Collection {
  return withoutOver(withCatalog(collection, advance(collection.catalog, now)), now);
}

/** An operator believes what the sources say of this service. */
export function acceptLoss(collection: Collection, service: string, now: Moment): Collection {
  return withoutOver(withCatalog(collection, accept(collection.catalog, service, now)), now);
}

function takeDiscovered(
  collection: Collection,
  { watcher, key: query, services }: Extract<SourceEvent, { kind: 'discovered' }>,
  now: Moment,
): Collection {
  if (!collection.written.discoveries.some((one) => one.watcher === watcher && one.key === query)) return collection;
  const keys = new Set(services.map(({ key }) => key));
  // One that another query found before, as where the config names the namespace now, goes over to this one.
  const isConcerned = (known: KnownService): boolean =>
    known.watcher === watcher && (known.query === query || keys.has(known.service.key));
  const before = new Map(collection.discovered.filter(isConcerned).map((known) => [known.service.key, known]));
  const discovered = services.map((service): KnownService => {
    const known = before.get(service.key);
    const isSame =
      known !== undefined && known.query === query && !known.isOver && isSameService(known.service, service);
    return isSame ? known : { watcher, query, service, isOver: false };
  });
  const missing = [...before.values()].filter(({ service }) => !keys.has(service.key));
  if (missing.length === 0 && discovered.every((known) => before.get(known.service.key) === known)) return collection;
  const others = collection.discovered.filter((known) => !isConcerned(known));
  return end(collection, [...others, ...discovered], missing, now);
}

/** After all queries of a new config have had a result: what only those of the old one found is not there any more. */
function endUnasked(collection: Collection, watcher: string, now: Moment): Collection {
  const { discoveries } = collection.written;
  const isUnasked = (known: KnownService): boolean =>
    known.watcher === watcher && !discoveries.some((one) => one.watcher === watcher && one.key === known.query);
  const missing = collection.discovered.filter((known) => isUnasked(known) && !known.isOver);
  if (missing.length === 0) return collection;
  return end(
    collection,
    collection.discovered.filter((known) => !missing.includes(known)),
    missing,
    now,
  );
}

/** These are not there any more; who of them is doubted to have gone stays. */
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
  const told = withCatalog(collection, catalog);
  const over = missing
    .map((known) => (known.isOver ? known : { ...known, isOver: true }))
    .filter((known) => isLeft(told, known));
  return serve(told, [...others, ...over], now);
}

/** The same services that come again are the same objects: what is made of them is kept. */
function isSameService(a: DiscoveredService, b: DiscoveredService): boolean {
  return a === b || isDeepStrictEqual(a, b);
}

/** Lets go the services that are discovered no more and have nobody left. */
function withoutOver(collection: Collection, now: Moment): Collection {
  const left = collection.discovered.filter((known) => isLeft(collection, known));
  return left.length === collection.discovered.length ? collection : serve(collection, left, now);
}

function isLeft({ catalog, config }: Collection, { watcher, service, isOver }: KnownService): boolean {
  if (!isOver) return true;
  const origins = config.services.get(service.name)?.origins ?? [];
  const isServed = origins.some((one) => one.watcher === watcher && one.key === service.key);
  return isServed && (lookUp(catalog.services, service.name)?.endpoints.length ?? 0) > 0;
}

function serve(
  collection: Collection,
  discovered: readonly KnownService[],
  now: Moment,
  last: ReadonlyMap<string, Known> = nothingKnown.endpoints,
): Collection {
  const { config, rejected, settings } = serving(collection.written, discovered, collection.addresses);
  const catalog = reconfigure(collection.catalog, settings, now, seedOf(config, last));
  return { ...collection, discovered, config, rejected, catalog };
}

function serving(
  written: Config,
  known: readonly KnownService[],
  addresses: readonly string[],
): Pick<Collection, 'config' | 'rejected'> & { readonly settings: CatalogSettings } {
  const discovered = known.flatMap((one) => {
    const discovery = discoveryOf(written, one);
    return discovery === undefined ? [] : [{ discovery, service: one.service }];
  });
  const { config, rejected } = withDiscovered(written, discovered);
  return {
    config,
    rejected,
    settings: catalogSettings(config, { discovered: discovered.map(originOfDiscovered), addresses }),
  };
}

/** Where the config asks in other words now, the limits of that until its answers are there. */
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
