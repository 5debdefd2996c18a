/** Decides which endpoints serve: by the last results, and by the doubts about a sudden loss. */
import type { Endpoint, Moment } from '../model.ts';
import { admitAgain } from './admit-again.ts';
import { arrange, equalLists, isNamedIn, placeOf, union } from './endpoints.ts';
import { endOf, judgeLoss, type LossRules, retainedBy } from './loss.ts';
import {
  type Catalog,
  type CatalogSettings,
  earliest,
  guardOf,
  newService,
  none,
  noResult,
  originOf,
  type QueryResult,
  type Service,
  type ServiceSettings,
  troubles,
} from './state.ts';
import { lookUp, put } from './table.ts';

/** Who says that endpoints are gone: a source and an edit of the config may be doubted, an operator ends all doubt. */
export type Authority = 'source' | 'config' | 'operator';

/** Computes again which endpoints serve a service, from the last results of its origins. */
export function settle(catalog: Catalog, name: string, authority: Authority, now: Moment): Catalog {
  const settings = catalog.settings.services.get(name);
  const before = lookUp(catalog.services, name);
  if (settings === undefined || before === undefined) return catalog;
  const results = settings.origins.map((origin) => lookUp(catalog.results, originOf(origin)) ?? noResult);
  const isComplete = results.every(({ endpoints }) => endpoints !== null);
  const [only = none, ...others] = results.map(({ endpoints }) => endpoints ?? none);
  const found = others.length === 0 ? only : arrange([only, ...others].flat());
  const wanted = isComplete ? found : union(found, before.seed);
  const serving = servingOf(catalog, settings, before, { wanted, authority, isComplete });
  const isByConfig = authority === 'config' || before.basis === 'moved';
  const rules = { ...rulesOf(catalog, settings, results), isByConfig };
  const loss =
    authority === 'operator' ? null : judgeLoss({ endpoints: serving, loss: before.loss }, wanted, rules, now);
  return withService(catalog, name, before, {
    endpoints: sameOr(before.endpoints, union(wanted, retainedBy({ endpoints: serving, loss }))),
    seed: isComplete ? none : before.seed,
    former: isComplete ? none : before.former,
    basis: isComplete ? 'known' : before.basis,
    loss,
  });
}

/**
 * What `wanted` is compared with. An edit that forbids some endpoints is meant, so they are not among these. That it forbids
 * all of them is doubted, unless a source had already ceased to name them.
 */
function servingOf(
  { index }: Catalog,
  settings: ServiceSettings,
  { endpoints, former, loss }: Service,
  by: { readonly wanted: readonly Endpoint[]; readonly authority: Authority; readonly isComplete: boolean },
): readonly Endpoint[] {
  const doubted = loss?.kind === 'emptied' ? loss.by : null;
  if (by.isComplete && former.length > 0) return endpoints.length === 0 ? former : endpoints;
  if (by.authority !== 'config' && doubted !== 'config') return endpoints;
  const mayBeDoubted = by.wanted.length === 0 && doubted !== 'source';
  return mayBeDoubted ? endpoints : admitAgain(endpoints, guardOf(settings, index));
}

/** Removes endpoints that were retained until `now`, unless a source of the service fails: it may name them again. */
export function endDoubts(catalog: Catalog, now: Moment): Catalog {
  let next: Catalog = { ...catalog, doubtEnds: null };
  for (const [name, settings] of catalog.settings.services) {
    const end = endOf((lookUp(catalog.services, name) ?? newService).loss, 'first');
    if (end === null || troubles(catalog, settings).length > 0) continue;
    if (end <= now) next = settle(next, name, 'source', now);
    else next = { ...next, doubtEnds: earliest(next.doubtEnds, end) };
  }
  return next;
}

function rulesOf(
  catalog: Catalog,
  settings: ServiceSettings,
  results: readonly QueryResult[],
): Omit<LossRules, 'isByConfig'> {
  const isReceived = (endpoint: Endpoint): boolean =>
    results.some(({ received }) => received?.some((one) => placeOf(one) === placeOf(endpoint)) === true);
  return {
    ...strictest(settings, catalog.settings),
    onEmpty: settings.onEmpty,
    keepFor: settings.keepFor,
    connectedAt: results.reduce((latest, result) => Math.max(latest, result.connectedAt ?? latest), -Infinity),
    isTroubled: troubles(catalog, settings).length > 0,
    isForbidden: isReceived,
    isUnfit: (endpoint) => results.some(({ unfit }) => isNamedIn(unfit, endpoint)),
  };
}

/** A service of several sources has the smallest share and the longest hold of theirs. */
function strictest({ origins }: ServiceSettings, { watchers }: CatalogSettings): { share: number; hold: number } {
  const all = origins.flatMap(({ watcher }) => watchers.get(watcher)?.maxShrink ?? []);
  return all.reduce(
    (one, other) => ({ share: Math.min(one.share, other.share), hold: Math.max(one.hold, other.hold) }),
    { share: 1, hold: 0 },
  );
}

function withService(catalog: Catalog, name: string, before: Service, after: Service): Catalog {
  const isSame =
    after.endpoints === before.endpoints &&
    after.seed === before.seed &&
    after.former === before.former &&
    after.basis === before.basis &&
    after.loss === before.loss;
  if (isSame) return catalog;
  return {
    ...catalog,
    services: put(catalog.services, name, after),
    doubtEnds: earliest(catalog.doubtEnds, endOf(after.loss, 'first')),
  };
}

function sameOr(before: Service['endpoints'], after: Service['endpoints']): Service['endpoints'] {
  return equalLists(before, after) ? before : after;
}
