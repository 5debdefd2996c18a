/**
 * Takes over the state of the catalog when the config or the set of services changes. Where a few services of thousands come,
 * go or change, and nothing else does, nothing is done for each of the others.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Difference, differenceOf, differenceOfLists } from '../lib/difference.ts';
import type { Endpoint, Moment } from '../model.ts';
import { endWait, openIfReady } from './opening.ts';
import { carriedOver, isSameQuery, reconfigureAll, rulesOf } from './reconfigure.ts';
import { type Authority, settle } from './serve.ts';
import {
  type Catalog,
  type CatalogSettings,
  type Index,
  type Origin,
  originOf,
  type ServiceSettings,
  seeded,
} from './state.ts';
import { drop, lookUp, put } from './table.ts';

type Seeds = ReadonlyMap<string, readonly Endpoint[]>;

/** As `reconfigureAll`. */
export function reconfigure(
  catalog: Catalog,
  settings: CatalogSettings,
  now: Moment,
  seeds: Seeds = new Map(),
  authority: Authority = 'config',
): Catalog {
  const change = changeOf(catalog, settings);
  return change === null
    ? reconfigureAll(catalog, settings, now, seeds, authority)
    : follow(catalog, settings, change, { now, seeds, authority });
}

type Change = {
  readonly services: Difference<string, ServiceSettings>;
  /** The queries that come, go or change, or whose services do, by name. */
  readonly queries: ReadonlyMap<string, Query>;
};

/** A query now; `origin` null: nothing asks it any more. */
type Query = {
  readonly origin: Origin | null;
  /** As it was discovered, which goes first in the index. */
  readonly discovered: Origin | null;
  readonly services: readonly string[];
  /** Its result, if there is one, is of another question. */
  readonly isChanged: boolean;
};

/** null: other settings differ too, or a great many services do. */
function changeOf(catalog: Catalog, settings: CatalogSettings): Change | null {
  const { settings: before, index } = catalog;
  const isSame = isDeepStrictEqual(aroundServices(before), aroundServices(settings));
  const services = isSame ? differenceOf(before.services, settings.services) : null;
  const discovered = services === null ? null : differenceOfLists(before.discovered, settings.discovered);
  if (services === null || discovered === null) return null;
  const gone = [...services.gone.flatMap(([, { origins }]) => origins), ...discovered.gone];
  const come = [...services.come.flatMap(([, { origins }]) => origins), ...discovered.come];
  // Whether anything asks a watcher is known only of all services.
  if (gone.some(({ watcher }) => !settings.discovering.includes(watcher))) return null;
  const touched = new Map([...gone, ...come].map((origin) => [originOf(origin), origin]));
  const keys = new Set([...touched.values()].map(({ key }) => key));
  const asDiscovered = new Map<string, Origin>();
  for (const origin of settings.discovered) if (keys.has(origin.key)) asDiscovered.set(originOf(origin), origin);
  const goneNames = new Set(services.gone.map(([name]) => name));
  const queries = new Map<string, Query>();
  for (const name of touched.keys()) {
    const isIt = (origin: Origin): boolean => originOf(origin) === name;
    const asked = ({ services: all }: CatalogSettings, its: readonly string[]): readonly Origin[] =>
      its.flatMap((service) => all.get(service)?.origins.filter(isIt) ?? []);
    const old = lookUp(index.servicesOf, name) ?? [];
    const its = [
      ...old.filter((service) => !goneNames.has(service)),
      ...services.come.flatMap(([service, { origins }]) => (origins.some(isIt) ? [service] : [])),
    ];
    const byDiscovery = asDiscovered.get(name) ?? null;
    const now = asked(settings, its);
    const origin = now[0] ?? byDiscovery;
    // Which of two questions under one name counts depends on the order of all services.
    if (origin !== null && ![...now, byDiscovery ?? origin].every((one) => isSameQuery(one, origin))) return null;
    const stays = byDiscovery !== null && !discovered.come.includes(byDiscovery) ? [byDiscovery] : [];
    const former = [...asked(before, old), ...discovered.gone.filter(isIt), ...stays];
    const isChanged = origin === null || former.some((one) => !isSameQuery(one, origin));
    queries.set(name, { origin, discovered: byDiscovery, services: its, isChanged });
  }
  return { services, queries };
}

/** What has to be the same, so that a service that is the same is served as before. */
function aroundServices(settings: CatalogSettings): unknown {
  const { discovering, own, startTimeout } = settings;
  return { rules: rulesOf(settings), discovering, own, startTimeout };
}

function follow(
  catalog: Catalog,
  settings: CatalogSettings,
  { services: { come, gone }, queries }: Change,
  { now, seeds, authority }: { readonly now: Moment; readonly seeds: Seeds; readonly authority: Authority },
): Catalog {
  const index = indexWith(catalog.index, queries);
  const isMoved = (before: ServiceSettings | undefined): boolean =>
    before?.origins.some((origin) => queries.get(originOf(origin))?.isChanged === true) ?? false;
  let { results, services, awaited } = catalog;
  for (const [name, { isChanged }] of queries) if (isChanged) results = drop(results, name);
  for (const [name] of gone)
    if (!settings.services.has(name)) {
      services = drop(services, name);
      awaited = drop(awaited, name);
    }
  for (const [name, service] of come) {
    const before = lookUp(services, name);
    if (before === undefined) {
      services = put(services, name, seeded(service, index, seeds.get(name)));
      if (catalog.isOpen && !seeds.has(name)) awaited = put(awaited, name, now + settings.startTimeout);
      continue;
    }
    const moved = isMoved(catalog.settings.services.get(name));
    services = put(services, name, carriedOver(before, service, index, moved));
  }
  const next: Catalog = { ...catalog, settings, results, services, awaited, index };
  return openIfReady(come.reduce((all, [name]) => endWait(settle(all, name, authority, now), name), next));
}

function indexWith(index: Index, queries: Change['queries']): Index {
  let { servicesOf, queries: asked } = index;
  const queriedWatchers = new Set(index.queriedWatchers);
  for (const [name, { origin, discovered, services }] of queries)
    if (origin === null) {
      servicesOf = drop(servicesOf, name);
      asked = drop(asked, name);
    } else {
      servicesOf = put(servicesOf, name, services);
      asked = put(asked, name, discovered ?? origin);
      queriedWatchers.add(origin.watcher);
    }
  return { ...index, servicesOf, queries: asked, queriedWatchers };
}
