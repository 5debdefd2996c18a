/**
 * The last good endpoints of every service. Trouble is not absence: an endpoint is removed only when a result says so,
 * and after a source has just reconnected, an empty result is doubted for a while. The catalog is immutable: each event
 * makes a new one, or returns the same one where nothing has changed.
 */
import type { Endpoint, Moment, SourceEvent } from '../model.ts';
import { admit } from './admission.ts';
import { equalLists, equalNames, namesOf } from './endpoints.ts';
import { retainedBy } from './loss.ts';
import { endWait, endWaits, opened, openIfReady, waitingFor } from './opening.ts';
import { endDoubts, settle } from './serve.ts';
import { servedOf } from './served.ts';
import {
  type Catalog,
  type CatalogSettings,
  earliest,
  indexOf,
  moved,
  newService,
  newSource,
  none,
  noResult,
  type Origin,
  originOf,
  type QueryResult,
  type Source,
  seeded,
  troubles,
} from './state.ts';
import { emptyTable, entriesOf, lookUp, put, tableOf } from './table.ts';

export type { Catalog, CatalogSettings } from './state.ts';

export type View = {
  /** false: nothing is rendered yet. */
  readonly open: boolean;
  /** The required sources that are not synced yet. Once the catalog is open, it does not wait for them. */
  readonly waitingFor: readonly string[];
  /** No service has a known endpoint, while a required source is not synced. */
  readonly isBlind: boolean;
  /**
   * By service, without services that were added later and have no result yet: an empty list would be wrong. Lists that
   * did not change are the same objects.
   */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  /** Services whose endpoints are not known: what HAProxy has for them stays as it is. */
  readonly unknown: ReadonlyMap<string, 'unknown' | 'moved'>;
  /** Those of them that may still get a result: the queries of the others cannot be answered. */
  readonly pending: ReadonlySet<string>;
};

/**
 * `seed`: by service, the last results of the same queries before the start. They serve until new results come. `former`:
 * those of other queries, from before the config was edited.
 */
export function createCatalog(
  settings: CatalogSettings,
  now: Moment,
  seed: ReadonlyMap<string, readonly Endpoint[]> = new Map(),
  former: ReadonlyMap<string, readonly Endpoint[]> = new Map(),
): Catalog {
  const index = indexOf(settings);
  const services = [...settings.services].map(([name, service]) => {
    const before = former.get(name);
    return [
      name,
      before === undefined ? seeded(service, index, seed.get(name)) : moved(service, index, before),
    ] as const;
  });
  return openIfReady({
    settings,
    createdAt: now,
    isOpen: false,
    sources: new Map([...settings.watchers.keys()].map((name) => [name, newSource])),
    results: emptyTable(),
    services: tableOf(services),
    awaited: emptyTable(),
    doubtEnds: null,
    index,
  });
}

/** Ignores events of watchers and queries that are not in the settings: a stopped source may still have sent them. */
export function receive(catalog: Catalog, event: SourceEvent, now: Moment): Catalog {
  const source = catalog.sources.get(event.watcher);
  if (source === undefined) return catalog;
  switch (event.kind) {
    case 'started':
      return withSource(catalog, event.watcher, { ...source, era: source.era + 1 });
    case 'failed':
      if (source.down?.reason === event.reason) return catalog;
      return withSource(catalog, event.watcher, {
        ...source,
        era: source.era + 1,
        down: { reason: event.reason, since: source.down?.since ?? now },
      });
    case 'synced':
      return openIfReady(withSourceUp(catalog, event.watcher, { ...source, isSynced: true }));
    case 'stale': {
      const result = lookUp(catalog.results, originOf(event)) ?? noResult;
      if (result.stale?.reason === event.reason) return catalog;
      const stale = { reason: event.reason, since: result.stale?.since ?? now };
      return withResult(catalog, event, { ...result, stale, isUnanswerable: event.isUnanswerable === true }, now);
    }
    // The settings decide which of them are served.
    case 'discovered':
      return withSourceUp(catalog, event.watcher, source);
    case 'gone':
    case 'endpoints':
      return receiveResult(withSourceUp(catalog, event.watcher, source), event, source, now);
  }
}

/** Whether the query of this event is the same in both catalogs, or in neither. */
export function isSameQueryIn(a: Catalog, b: Catalog, event: SourceEvent): boolean {
  if (!('key' in event)) return true;
  const [one, other] = [a, b].map(({ index }) => lookUp(index.queries, originOf(event))?.query);
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

/** Whether a source or a query of this service fails. */
export function isTroubled(catalog: Catalog, service: string): boolean {
  const settings = catalog.settings.services.get(service);
  return settings !== undefined && troubles(catalog, settings).length > 0;
}

/** An operator accepts the results for this service: none of its endpoints is retained any more. */
export function accept(catalog: Catalog, service: string, now: Moment): Catalog {
  return retainedOf(catalog, service) === 0 ? catalog : settle(catalog, service, 'operator', now);
}

/** The number of endpoints that serve although no source names them any more. */
export function retainedOf({ services }: Catalog, service: string): number {
  return retainedBy(lookUp(services, service) ?? newService).length;
}

/** Ends waits and doubts that are over at `now`. */
export function advance(catalog: Catalog, now: Moment): Catalog {
  const isLate = !catalog.isOpen && now >= catalog.createdAt + catalog.settings.startTimeout;
  const next = endWaits(isLate ? opened(catalog) : catalog, now);
  return next.doubtEnds !== null && now >= next.doubtEnds ? endDoubts(next, now) : next;
}

/** When to call `advance` next; null: only an event can change the catalog. */
export function nextDeadline(catalog: Catalog): Moment | null {
  const opensAt = catalog.isOpen ? null : catalog.createdAt + catalog.settings.startTimeout;
  return [catalog.doubtEnds, ...entriesOf(catalog.awaited).map(([, until]) => until)].reduce(earliest, opensAt);
}

export function view(catalog: Catalog): View {
  return {
    open: catalog.isOpen,
    get waitingFor() {
      return waitingFor(catalog);
    },
    get isBlind() {
      const { settings, services } = catalog;
      const isServed = (name: string): boolean => (lookUp(services, name)?.endpoints.length ?? 0) > 0;
      return waitingFor(catalog).length > 0 && ![...settings.services.keys()].some(isServed);
    },
    // Computed on demand: `open` alone may be read at each of ten thousand events.
    get endpoints() {
      return servedOf(catalog).endpoints;
    },
    get unknown() {
      return servedOf(catalog).unknown;
    },
    get pending() {
      return new Set([...this.unknown.keys()].filter((name) => isPending(catalog, name)));
    },
  };
}

function isPending({ settings, results }: Catalog, name: string): boolean {
  return (settings.services.get(name)?.origins ?? []).some((origin) => {
    const { endpoints, isUnanswerable } = lookUp(results, originOf(origin)) ?? noResult;
    return endpoints === null && !isUnanswerable;
  });
}

function receiveResult(
  catalog: Catalog,
  event: SourceEvent & { readonly kind: 'endpoints' | 'gone' },
  { era }: Source,
  now: Moment,
): Catalog {
  const guard = catalog.index.guards.get(event.watcher);
  const before = lookUp(catalog.results, originOf(event)) ?? noResult;
  if (guard === undefined) return catalog;
  const received = event.kind === 'endpoints' ? event.endpoints : none;
  const unreadable = (event.kind === 'endpoints' && event.unreadable) || [];
  const most = catalog.settings.watchers.get(event.watcher)?.maxServers;
  const admitted = admit(received, guard, { watcher: event.watcher, unreadable, most });
  const unfit = namesOf(event.kind === 'endpoints' ? event.unfit : none);
  const isSameUnfit = equalNames(before.unfit, unfit);
  const isSame = before.endpoints !== null && equalLists(before.endpoints, admitted.endpoints);
  const isSameRefused = JSON.stringify(before.refused) === JSON.stringify(admitted.refused);
  const isFirst = before.endpoints === null || before.stale !== null || before.era !== era;
  if (isSame && isSameRefused && isSameUnfit && !isFirst) return catalog;
  const result: QueryResult = {
    endpoints: isSame ? before.endpoints : admitted.endpoints,
    refused: isSameRefused ? before.refused : admitted.refused,
    received: admitted.refused.count > 0 ? received : null,
    unreadable,
    unfit: isSameUnfit ? before.unfit : unfit,
    stale: null,
    isUnanswerable: false,
    era,
    connectedAt: isFirst ? now : before.connectedAt,
  };
  return withResult(catalog, event, result, now);
}

/** A source that sends a result is up. */
function withSourceUp(catalog: Catalog, name: string, source: Source): Catalog {
  const before = catalog.sources.get(name);
  const isNews = source.isSynced !== before?.isSynced || !source.hasResult || source.down !== null;
  return isNews ? withSource(catalog, name, { ...source, hasResult: true, down: null }) : catalog;
}

function withSource(catalog: Catalog, name: string, source: Source): Catalog {
  return { ...catalog, sources: new Map(catalog.sources).set(name, source) };
}

function withResult(catalog: Catalog, origin: Origin, result: QueryResult, now: Moment): Catalog {
  const services = lookUp(catalog.index.servicesOf, originOf(origin));
  if (services === undefined) return catalog;
  const next = { ...catalog, results: put(catalog.results, originOf(origin), result) };
  return services.reduce((all, name) => endWait(settle(all, name, 'source', now), name), next);
}
