/** What the status shows of the catalog: the health of each source, and the endpoints of each service. */
import type { Endpoint, Moment, SourceEvent } from '../model.ts';
import { noRefusals, type Refusal, type Refusals } from './admission.ts';
import { countNamed, placeOf } from './endpoints.ts';
import { endOf, retainedBy } from './loss.ts';
import {
  type Catalog,
  newService,
  noResult,
  type Origin,
  originOf,
  type Service,
  type ServiceSettings,
  type Source,
  type Trouble,
  troubles,
} from './state.ts';
import { emptyTable, lookUp, news } from './table.ts';

export type CatalogReport = {
  readonly sources: readonly SourceReport[];
  readonly services: readonly ServiceReport[];
};

type SourceReport = {
  readonly name: string;
  /** `starting`: no result yet. */
  readonly state: 'starting' | 'up' | 'down';
  readonly required: boolean;
  /** Whether every query has had a result. */
  readonly synced: boolean;
  /** Until when its data were known to be current: now, while it is up. */
  readonly lastSuccess: Moment | null;
  readonly down: Trouble | null;
};

export type ServiceReport = {
  readonly name: string;
  readonly endpoints: {
    readonly ready: number;
    readonly draining: number;
    /** Retained: they serve although no source names them any more. */
    readonly kept: number;
    /** Named by a source, which says that they must not serve: critical, not ready. */
    readonly unfit: number;
    /** Not served, because something in them is not allowed. */
    readonly refused: number;
  };
  /** The sources without a result for this service. */
  readonly unanswered: readonly string[];
  /** Why, and since when, its endpoints may be out of date. */
  readonly stale: Trouble | null;
  readonly kept: Kept | null;
  /** Some of the entries, tags and meta values that were left out, with the reasons. */
  readonly refused: readonly Refusal[];
  /** The number of all of them. */
  readonly refusedCount: number;
};

/**
 * Why endpoints are retained: the sources name none any more (`emptied`) or the config leaves none (`config`), see
 * `onEmpty`; or many went at once (`shrunk`), see `maxShrink`.
 */
export type Kept = {
  readonly reason: 'emptied' | 'config' | 'shrunk';
  readonly since: Moment;
  /** When the last of them is removed; null: never. */
  readonly until: Moment | null;
};

export function report(catalog: Catalog, now: Moment): CatalogReport {
  return {
    sources: [...catalog.settings.watchers].map(([name, { required }]) => {
      const source = catalog.sources.get(name);
      return {
        name,
        state: stateOf(source),
        required,
        synced: source?.isSynced ?? false,
        lastSuccess: source?.hasResult ? (source.down?.since ?? now) : null,
        down: source?.down ?? null,
      };
    }),
    services: [...catalog.settings.services].map(([name, settings]) => reportService(catalog, name, settings)),
  };
}

/** Of a service that was removed from the config. */
export function nothingOf(name: string): ServiceReport {
  return {
    name,
    endpoints: { ready: 0, draining: 0, kept: 0, unfit: 0, refused: 0 },
    unanswered: [],
    stale: null,
    kept: null,
    refused: [],
    refusedCount: 0,
  };
}

/** The endpoints that serve, by service; `isRetained`: no source names it any more. */
export function servedEndpoints(
  catalog: Catalog,
  service: string,
): readonly { readonly endpoint: Endpoint; readonly isRetained: boolean }[] {
  const its = lookUp(catalog.services, service) ?? newService;
  const retained = new Set(retainedBy(its).map(placeOf));
  return its.endpoints.map((endpoint) => ({ endpoint, isRetained: retained.has(placeOf(endpoint)) }));
}

export type LeftOut = Pick<Refusals, 'list' | 'count'>;

/** What is newly left out of a result by `event`; `count`: of all that is left out of it. */
export function newlyRefused(before: Catalog, now: Catalog, event: SourceEvent): LeftOut {
  return event.kind === 'endpoints' ? refusedSince(before, now, event) : noRefusals;
}

/** The same for results that were there before, and are now judged by another config. */
export function refusedByConfig(before: Catalog, now: Catalog): readonly (Origin & LeftOut)[] {
  const origins = new Map(
    [...now.settings.services.values()].flatMap((service) => service.origins.map((one) => [originOf(one), one])),
  );
  return [...origins].flatMap(([name, { watcher, key }]) => {
    if (lookUp(before.results, name) === undefined) return [];
    const refused = refusedSince(before, now, { watcher, key });
    return refused.count === 0 ? [] : [{ watcher, key, ...refused }];
  });
}

function refusedSince(before: Catalog, now: Catalog, origin: Origin): LeftOut {
  const refusedIn = ({ results }: Catalog): Refusals => (lookUp(results, originOf(origin)) ?? noResult).refused;
  const refused = refusedIn(now);
  if (refused === refusedIn(before)) return noRefusals;
  const known = new Set(refusedIn(before).list.map((one) => JSON.stringify(one)));
  const list = refused.list.filter((one) => !known.has(JSON.stringify(one)));
  return list.length === 0 ? noRefusals : { list, count: refused.count };
}

/** Services whose endpoints begin to be retained, for another reason than before, or cease to be. */
export function newlyKept(
  before: Catalog | null,
  now: Catalog,
): readonly { readonly service: string; readonly kept: Kept | null; readonly count: number }[] {
  const left = before === null ? [] : news(now.services, before.services);
  const ended = left.flatMap(([name, service]) => {
    const isOver = keptIn(service) !== null && lookUp(now.services, name) === undefined;
    return isOver ? [{ service: name, kept: null, count: 0 }] : [];
  });
  const changed = news(before?.services ?? emptyTable<Service>(), now.services).flatMap(([name, service]) => {
    const kept = keptIn(service);
    const known = before === null ? null : keptIn(lookUp(before.services, name) ?? newService);
    return kept?.reason === known?.reason ? [] : [{ service: name, kept, count: retainedBy(service).length }];
  });
  return [...ended, ...changed];
}

function keptIn({ loss }: Service): Kept | null {
  if (loss === null || loss.kind === 'shrinking') return null;
  const reason = loss.kind === 'emptied' && loss.by === 'config' ? 'config' : loss.kind;
  return { reason, since: loss.since, until: endOf(loss, 'last') };
}

function stateOf(source: Source | undefined): SourceReport['state'] {
  if (source === undefined || (!source.hasResult && source.down === null)) return 'starting';
  return source.down === null ? 'up' : 'down';
}

function reportService(catalog: Catalog, name: string, settings: ServiceSettings): ServiceReport {
  const service = lookUp(catalog.services, name) ?? newService;
  const kept = new Set(retainedBy(service).map(placeOf));
  const results = settings.origins.map((origin) => ({
    watcher: origin.watcher,
    ...(lookUp(catalog.results, originOf(origin)) ?? noResult),
  }));
  const refusals = results.map(({ refused }) => refused);
  const current = service.endpoints.filter((endpoint) => !kept.has(placeOf(endpoint)));
  const draining = current.filter(({ state }) => state === 'draining').length;
  return {
    name,
    endpoints: {
      ready: current.length - draining,
      draining,
      kept: kept.size,
      unfit: results.reduce((sum, { unfit }) => sum + countNamed(unfit), 0),
      refused: refusals.reduce((sum, { endpoints }) => sum + endpoints, 0),
    },
    unanswered: results.filter((result) => result.endpoints === null).map(({ watcher }) => watcher),
    stale: troubles(catalog, settings).toSorted((a, b) => a.since - b.since)[0] ?? null,
    kept: keptIn(service),
    refused: refusals.flatMap(({ list }) => list),
    refusedCount: refusals.reduce((sum, { count }) => sum + count, 0),
  };
}
