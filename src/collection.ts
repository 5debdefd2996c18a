/**
 * What is known from the sources: which services there are, those that nobody listed among them, and who serves each. A
 * service that is offered no more is there until its endpoints are gone: that it vanished may be doubted as well.
 */
import {
  accept,
  advance,
  type Catalog,
  type CatalogSettings,
  createCatalog,
  receive,
  reconfigure,
} from './catalog/catalog.ts';
import { lookUp } from './catalog/table.ts';
import { originOfOffer, type Unserved, withOffers } from './config/offered.ts';
import type { Config, Discovery } from './config/schema.ts';
import type { Endpoint, Moment, Offer, SourceEvent } from './model.ts';
import { catalogSettings } from './settings.ts';

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
};

/** `offers`: those that were known last; `seedOf` gives the servers that serve already, by service. */
export function createCollection(
  written: Config,
  offers: readonly KnownOffer[],
  seedOf: (config: Config) => ReadonlyMap<string, readonly Endpoint[]>,
  now: Moment,
): Collection {
  const asked = offers.filter((known) => discoveryOf(written, known) !== undefined);
  const { config, unserved, settings } = serving(written, asked);
  return { written, config, offers: asked, unserved, catalog: createCatalog(settings, now, seedOf(config)) };
}

/** The same object where the event says nothing new. */
export function collect(collection: Collection, event: SourceEvent, now: Moment): Collection {
  const heard = withCatalog(collection, receive(collection.catalog, event, now));
  return event.kind === 'offers' ? takeOffers(heard, event, now) : heard;
}

/** The config was read again. */
export function recollect(collection: Collection, written: Config, now: Moment): Collection {
  const offers = collection.offers.filter((known) => discoveryOf(written, known) !== undefined);
  return withoutOver(serve({ ...collection, written }, offers, now), now);
}

/** Ends what `now` ends. */
export function progress(collection: Collection, now: Moment): Collection {
  return withoutOver(withCatalog(collection, advance(collection.catalog, now)), now);
}

/** An operator believes what the sources say of this service. */
export function believe(collection: Collection, service: string, now: Moment): Collection {
  return withoutOver(withCatalog(collection, accept(collection.catalog, service, now)), now);
}

function takeOffers(
  collection: Collection,
  { watcher, key: query, offers }: Extract<SourceEvent, { kind: 'offers' }>,
  now: Moment,
): Collection {
  if (discoveryOf(collection.written, { watcher, query }) === undefined) return collection;
  const isOfQuery = (known: KnownOffer): boolean => known.watcher === watcher && known.query === query;
  const before = new Map(collection.offers.filter(isOfQuery).map((known) => [known.offer.key, known]));
  const offered = offers.map((offer): KnownOffer => {
    const known = before.get(offer.key);
    return known !== undefined && !known.isOver && isSameOffer(known.offer, offer)
      ? known
      : { watcher, query, offer, isOver: false };
  });
  const keys = new Set(offers.map(({ key }) => key));
  const over = [...before.values()]
    .filter(({ offer }) => !keys.has(offer.key))
    .map((known) => (known.isOver ? known : { ...known, isOver: true }));
  const knownNow = [...offered, ...over];
  if (knownNow.length === before.size && knownNow.every((known) => before.get(known.offer.key) === known))
    return collection;
  const others = collection.offers.filter((known) => !isOfQuery(known));
  const next = serve(collection, [...others, ...knownNow], now);
  const told = over.reduce(
    (catalog, { offer }) => receive(catalog, { watcher, kind: 'gone', key: offer.key }, now),
    next.catalog,
  );
  return withoutOver(withCatalog(next, told), now);
}

/** The same offers that come again are the same objects: what is made of them is kept. */
function isSameOffer(a: Offer, b: Offer): boolean {
  return a === b || JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}

function plain({ key, name, createdAt, options }: Offer): unknown {
  return [key, name, createdAt, Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1))];
}

/** Lets go the services that are offered no more and have nobody left. */
function withoutOver(collection: Collection, now: Moment): Collection {
  const { catalog, config } = collection;
  const isLeft = ({ watcher, offer, isOver }: KnownOffer): boolean => {
    const isServed = config.services
      .get(offer.name)
      ?.origins.some((one) => one.watcher === watcher && one.key === offer.key);
    return !isOver || (isServed === true && (lookUp(catalog.services, offer.name)?.endpoints.length ?? 0) > 0);
  };
  return collection.offers.every(isLeft) ? collection : serve(collection, collection.offers.filter(isLeft), now);
}

function serve(collection: Collection, offers: readonly KnownOffer[], now: Moment): Collection {
  const { config, unserved, settings } = serving(collection.written, offers);
  return { ...collection, offers, config, unserved, catalog: reconfigure(collection.catalog, settings, now) };
}

function serving(
  written: Config,
  offers: readonly KnownOffer[],
): Pick<Collection, 'config' | 'unserved'> & { readonly settings: CatalogSettings } {
  const offered = offers.flatMap((known) => {
    const discovery = discoveryOf(written, known);
    return discovery === undefined ? [] : [{ discovery, offer: known.offer }];
  });
  const { config, unserved } = withOffers(written, offered);
  return { config, unserved, settings: catalogSettings(config, offered.map(originOfOffer)) };
}

function discoveryOf(
  { discoveries }: Config,
  { watcher, query }: Pick<KnownOffer, 'watcher' | 'query'>,
): Discovery | undefined {
  return discoveries.find((one) => one.watcher === watcher && one.key === query);
}

function withCatalog(collection: Collection, catalog: Catalog): Collection {
  return catalog === collection.catalog ? collection : { ...collection, catalog };
}
