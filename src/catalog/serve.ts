/** Decides which endpoints serve: by the last results, and by the doubts about a sudden loss. */
import type { Moment } from '../model.ts';
import { arrange, equalLists, isNamedIn, union } from './endpoints.ts';
import { endOf, judgeLoss, type LossRules, retainedBy } from './loss.ts';
import {
  type Catalog,
  type CatalogSettings,
  earliest,
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

/** Who says that endpoints are gone: a source may be doubted, an operator ends all doubt. */
type Authority = 'source' | 'config' | 'operator';

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
  const isDoubtful = authority === 'source' && before.basis !== 'moved';
  const rules = { ...rulesOf(catalog, settings, results), isDoubtful };
  const loss = authority === 'operator' ? null : judgeLoss(before, wanted, rules, now);
  return withService(catalog, name, before, {
    endpoints: sameOr(before.endpoints, union(wanted, retainedBy({ endpoints: before.endpoints, loss }))),
    seed: isComplete ? none : before.seed,
    basis: isComplete ? 'known' : before.basis,
    loss,
  });
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
): Omit<LossRules, 'isDoubtful'> {
  return {
    ...strictest(settings, catalog.settings),
    onEmpty: settings.onEmpty,
    keepFor: settings.keepFor,
    connectedAt: results.reduce((latest, result) => Math.max(latest, result.connectedAt ?? latest), -Infinity),
    isTroubled: troubles(catalog, settings).length > 0,
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
