/**
 * What is known from the sources: which services there are, those that nobody listed among them, and who serves each. A
 * service that is offered no more is there until its endpoints are gone: that it vanished may be doubted as well.
 */
import { isDeepStrictEqual } from 'node:util';
import { originOfOffer, type Unserved, withOffers } from '../config/discover/offered.ts';
import { askedBy } from '../config/query-key.ts';
import type { Config, Discovery } from '../config/schema.ts';
import type { Endpoint, Moment, Offer, SourceEvent } from '../model.ts';
import { accept, advance, type Catalog, type CatalogSettings, createCatalog, receive } from './catalog.ts';
import { catalogSettings } from './catalog-settings.ts';
import { reconfigure } from './reconfigure.ts';
import { lookUp } from './table.ts';

/** `isOver`: its source does not offer it any more. */
export type KnownOffer = {
  readonly watcher: string;
  readonly query: string;
  readonly offer: Offer;
  readonly isOver: boolean;
};

export type Collection = {
  /** As it was written. */
  readonly written: Config;
  /** With the services that sources offer. */
  readonly config: Config;
  readonly offers: readonly KnownOffer[];
  /** Offers that are not taken, and why. */
  readonly unserved: readonly Unserved[];
  readonly catalog: Catalog;
  /** Addresses of this machine, at which no service is served that would be the one of this config. */
  readonly addresses: readonly string[];
};

/** Who was known to serve a service, by the answers to these questions. */
export type Known = { readonly asked: string; readonly endpoints: readonly Endpoint[] };

/** What was known last, of offers and, by service, of endpoints. */
export type Remembered = {
  readonly offers: readonly KnownOffer[];
  readonly endpoints: ReadonlyMap<string, Known>;
};

export const nothingKnown: Remembered = { offers: [], endpoints: new Map() };

export function createCollection(
  written: Config,
  { offers, endpoints }: Remembered,
  now: Moment,
  addresses: readonly string[] = [],
): Collection {
  const asked = offers.filter((one) => discoveryOf(written, one) !== undefined);
  const { config, unserved, settings } = serving(written, asked, addresses);
  const catalog = createCatalog(settings, now, seedOf(config, endpoints));
  return { written, config, offers: asked, unserved, catalog, addresses };
}

/** What another question found says nothing about this one. */
function seedOf({ services }: Config, last: ReadonlyMap<string, Known>): ReadonlyMap<string, readonly Endpoint[]> {
  const seed = [...services].flatMap(([name, service]) => {
    const its = last.get(name);
    return its?.asked === askedBy(service) ? [[name, its.endpoints] as const] : [];
  });
  return new Map(seed);
}

/** What to remember of who serves, by service. */
export function known({ config, catalog }: Collection): ReadonlyMap<string, Known> {
  const all = [...config.services].flatMap(([name, service]) => {
    const its = lookUp(catalog.services, name);
    return its?.basis === 'known' ? [[name, { asked: askedBy(service), endpoints: its.endpoints }] as const] : [];
  });
  return new Map(all);
}

/** The same object where the event says nothing new. */
export function collect(collection: Collection, event: SourceEvent, now: Moment): Collection {
  const heard = withCatalog(collection, receive(collection.catalog, event, now));
  if (event.kind === 'offers') return takeOffers(heard, event, now);
  return event.kind === 'synced' ? endUnasked(heard, event.watcher, now) : heard;
}

/** The config was read again. `last`: who is known to serve services that are not in this collection. */
export function recollect(
  collection: Collection,
  written: Config,
  now: Moment,
  { addresses = collection.addresses, last = nothingKnown.endpoints }: Recollection = {},
): Collection {
  const offers = collection.offers.filter((known) => discoveryOf(written, known) !== undefined);
  return withoutOver(serve({ ...collection, written, addresses }, offers, now, last), now);
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

function takeOffers(
  collection: Collection,
  { watcher, key: query, offers }: Extract<SourceEvent, { kind: 'offers' }>,
  now: Moment,
): Collection {
  if (!collection.written.discoveries.some((one) => one.watcher === watcher && one.key === query)) return collection;
  const keys = new Set(offers.map(({ key }) => key));
  // One that another question found before, as where the config names the namespace now, goes over to this one.
  const isConcerned = (known: KnownOffer): boolean =>
    known.watcher === watcher && (known.query === query || keys.has(known.offer.key));
  const before = new Map(collection.offers.filter(isConcerned).map((known) => [known.offer.key, known]));
  const offered = offers.map((offer): KnownOffer => {
    const known = before.get(offer.key);
    const isSame = known !== undefined && known.query === query && !known.isOver && isSameOffer(known.offer, offer);
    return isSame ? known : { watcher, query, offer, isOver: false };
  });
  const missing = [...before.values()].filter(({ offer }) => !keys.has(offer.key));
  if (missing.length === 0 && offered.every((known) => before.get(known.offer.key) === known)) return collection;
  const others = collection.offers.filter((known) => !isConcerned(known));
  return end(collection, [...others, ...offered], missing, now);
}

/** After all questions of a new config have been answered: what only those of the old one found is not offered any more. */
function endUnasked(collection: Collection, watcher: string, now: Moment): Collection {
  const { discoveries } = collection.written;
  const isUnasked = (known: KnownOffer): boolean =>
    known.watcher === watcher && !discoveries.some((one) => one.watcher === watcher && one.key === known.query);
  const missing = collection.offers.filter((known) => isUnasked(known) && !known.isOver);
  if (missing.length === 0) return collection;
  return end(
    collection,
    collection.offers.filter((known) => !missing.includes(known)),
    missing,
    now,
  );
}

/** These are not offered any more; who of them is doubted to have gone stays. */
function end(
  collection: Collection,
  others: readonly KnownOffer[],
  missing: readonly KnownOffer[],
  now: Moment,
): Collection {
  const catalog = missing
    .filter(({ isOver }) => !isOver)
    .reduce(
      (all, { watcher, offer }) => receive(all, { watcher, kind: 'gone', key: offer.key }, now),
      collection.catalog,
    );
  const told = withCatalog(collection, catalog);
  const over = missing
    .map((known) => (known.isOver ? known : { ...known, isOver: true }))
    .filter((known) => isLeft(told, known));
  return serve(told, [...others, ...over], now);
}

/** The same offers that come again are the same objects: what is made of them is kept. */
function isSameOffer(a: Offer, b: Offer): boolean {
  return a === b || isDeepStrictEqual(a, b);
}

/** Lets go the services that are offered no more and have nobody left. */
function withoutOver(collection: Collection, now: Moment): Collection {
  const left = collection.offers.filter((known) => isLeft(collection, known));
  return left.length === collection.offers.length ? collection : serve(collection, left, now);
}

function isLeft({ catalog, config }: Collection, { watcher, offer, isOver }: KnownOffer): boolean {
  if (!isOver) return true;
  const origins = config.services.get(offer.name)?.origins ?? [];
  const isServed = origins.some((one) => one.watcher === watcher && one.key === offer.key);
  return isServed && (lookUp(catalog.services, offer.name)?.endpoints.length ?? 0) > 0;
}

function serve(
  collection: Collection,
  offers: readonly KnownOffer[],
  now: Moment,
  last: ReadonlyMap<string, Known> = nothingKnown.endpoints,
): Collection {
  const { config, unserved, settings } = serving(collection.written, offers, collection.addresses);
  const catalog = reconfigure(collection.catalog, settings, now, seedOf(config, last));
  return { ...collection, offers, config, unserved, catalog };
}

function serving(
  written: Config,
  offers: readonly KnownOffer[],
  addresses: readonly string[],
): Pick<Collection, 'config' | 'unserved'> & { readonly settings: CatalogSettings } {
  const offered = offers.flatMap((known) => {
    const discovery = discoveryOf(written, known);
    return discovery === undefined ? [] : [{ discovery, offer: known.offer }];
  });
  const { config, unserved } = withOffers(written, offered);
  return { config, unserved, settings: catalogSettings(config, { offered: offered.map(originOfOffer), addresses }) };
}

/** Where the config asks in other words now, the limits of that until its answers are there. */
function discoveryOf(
  { discoveries }: Config,
  { watcher, query }: Pick<KnownOffer, 'watcher' | 'query'>,
): Discovery | undefined {
  const its = discoveries.filter((one) => one.watcher === watcher);
  return its.find(({ key }) => key === query) ?? its[0];
}

function withCatalog(collection: Collection, catalog: Catalog): Collection {
  return catalog === collection.catalog ? collection : { ...collection, catalog };
}
