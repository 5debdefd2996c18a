/** Takes over the state of the catalog when the config changes, whatever differs in it. */
import { isDeepStrictEqual } from 'node:util';
import type { Endpoint, Moment } from '../model.ts';
import { admit, type Guard } from './admission.ts';
import { admitAgain, admitOrDoubt } from './admit-again.ts';
import { equalLists } from './endpoints.ts';
import { endWait, openIfReady } from './opening.ts';
import { changedPorts } from './own.ts';
import { type Authority, settle } from './serve.ts';
import {
  type Catalog,
  type CatalogSettings,
  guardOf,
  type Index,
  indexOf,
  newSource,
  noResult,
  type Origin,
  originOf,
  type QueryResult,
  type Service,
  type ServiceSettings,
  seeded,
} from './state.ts';
import { emptyTable, lookUp, tableOf } from './table.ts';

/**
 * Results of queries that are still in the settings are kept, and judged by the new rules. A service whose settings are
 * the same object is kept unchanged where the rules are the same. `seeds`: known endpoints of services that are not in
 * this catalog, as for `createCatalog`. `authority`: who changes the settings, `source` where it discovers services.
 */
export function reconfigureAll(
  catalog: Catalog,
  settings: CatalogSettings,
  now: Moment,
  seeds: ReadonlyMap<string, readonly Endpoint[]>,
  authority: Authority,
): Catalog {
  const index = indexOf(settings);
  const hasSameRules = isDeepStrictEqual(rulesOf(catalog.settings), rulesOf(settings));
  const ports = changedPorts(catalog.settings.own, settings.own);
  const isConcerned = (endpoints: readonly Endpoint[] | null): boolean =>
    ports.size > 0 && (endpoints?.some(({ port }) => ports.has(port)) ?? false);
  const mustJudge = ({ received, endpoints }: QueryResult): boolean =>
    !hasSameRules || isConcerned(received ?? endpoints);
  const isSame = (name: string): boolean => {
    const service = settings.services.get(name);
    if (!hasSameRules || service === undefined || catalog.settings.services.get(name) !== service) return false;
    const concerned = service.origins.some((origin) =>
      mustJudge(lookUp(catalog.results, originOf(origin)) ?? noResult),
    );
    return !concerned && !isConcerned(lookUp(catalog.services, name)?.endpoints ?? null);
  };
  const queries = new Map<string, Origin>();
  for (const origin of queriesOf(settings)) queries.set(originOf(origin), origin);
  const changed = new Set<string>();
  for (const origin of queriesOf(catalog.settings))
    if (!isSameQuery(origin, queries.get(originOf(origin)))) changed.add(originOf(origin));

  const results = [...queries].flatMap(([name, { watcher }]) => {
    const result = lookUp(catalog.results, name);
    const guard = index.guards.get(watcher);
    if (result === undefined || guard === undefined || changed.has(name)) return [];
    const most = settings.watchers.get(watcher)?.maxServers;
    return [[name, mustJudge(result) ? judgeAgain(result, guard, { watcher, most }) : result] as const];
  });
  const services = [...settings.services].map(([name, service]) => {
    const before = lookUp(catalog.services, name);
    if (before === undefined) return [name, seeded(service, index, seeds.get(name))] as const;
    if (isSame(name)) return [name, before] as const;
    const isMoved =
      catalog.settings.services.get(name)?.origins.some((origin) => changed.has(originOf(origin))) ?? false;
    return [name, carriedOver(before, service, index, isMoved)] as const;
  });
  const next: Catalog = {
    ...catalog,
    settings,
    sources: new Map([...settings.watchers.keys()].map((name) => [name, catalog.sources.get(name) ?? newSource])),
    results: tableOf(results),
    services: tableOf(services),
    awaited: awaitedOf(catalog, settings, now, seeds),
    index,
  };
  const settled = [...settings.services.keys()].reduce(
    (all, name) => (isSame(name) ? all : endWait(settle(all, name, authority, now), name)),
    next,
  );
  return openIfReady(settled);
}

/** A service with other settings or rules, before it is settled. `isMoved`: its queries have changed. */
export function carriedOver(before: Service, settings: ServiceSettings, index: Index, isMoved: boolean): Service {
  const endpoints = admitAgain(before.endpoints, index.own);
  // The results of the old queries serve until the new queries have results.
  const seed = admitOrDoubt(isMoved ? endpoints : before.seed, { guard: guardOf(settings, index), own: index.own });
  const former = admitAgain(before.former, index.own);
  return { ...before, endpoints, seed, former, basis: isMoved ? 'moved' : before.basis };
}

/** The settings that concern all services. */
export function rulesOf({ watchers, allowAddresses, onlyAddresses }: CatalogSettings): unknown {
  return { watchers, allowAddresses, onlyAddresses };
}

/** New services while the catalog is open. Before that it waits for all services anyway. */
function awaitedOf(
  { isOpen, awaited, settings: before }: Catalog,
  settings: CatalogSettings,
  now: Moment,
  seed: ReadonlyMap<string, unknown>,
) {
  if (!isOpen) return emptyTable<Moment>();
  return tableOf(
    [...settings.services.keys()].flatMap((name): [string, Moment][] => {
      const isKnown = before.services.has(name) || seed.has(name);
      const until = isKnown ? lookUp(awaited, name) : now + settings.startTimeout;
      return until === undefined ? [] : [[name, until]];
    }),
  );
}

function queriesOf({ services, discovered }: CatalogSettings): Origin[] {
  return [...discovered, ...[...services.values()].flatMap(({ origins }) => origins)];
}

export function isSameQuery(before: Origin, after: Origin | undefined): boolean {
  if (after === undefined) return false;
  return before.query === after.query || JSON.stringify(before.query) === JSON.stringify(after.query);
}

function judgeAgain(
  result: QueryResult,
  guard: Guard,
  { watcher, most }: { readonly watcher: string; readonly most: number | undefined },
): QueryResult {
  if (result.endpoints === null) return result;
  const received = result.received ?? result.endpoints;
  const { endpoints, refused } = admit(received, guard, { watcher, unreadable: result.unreadable, most });
  return {
    ...result,
    endpoints: equalLists(result.endpoints, endpoints) ? result.endpoints : endpoints,
    refused,
    received: refused.count > 0 ? received : null,
  };
}
