/** What people are told of the catalog: the health of the sources, and of each service who serves and why. */
import type { Moment, SourceEvent } from '../model.ts';
import { noRefusals, type Refusal, type Refusals } from './admission.ts';
import { placeOf } from './endpoints.ts';
import { endOf, retainedBy } from './loss.ts';
import {
  type Catalog,
  newService,
  type Origin,
  originOf,
  type Service,
  type ServiceSettings,
  type Source,
  type Trouble,
  troubles,
  unanswered,
} from './state.ts';
import { emptyTable, lookUp, news } from './table.ts';

export type CatalogReport = {
  readonly sources: readonly SourceReport[];
  readonly services: readonly ServiceReport[];
};

type SourceReport = {
  readonly name: string;
  /** `starting`: never answered yet. */
  readonly state: 'starting' | 'up' | 'down';
  readonly required: boolean;
  /** Whether it has answered every question once. */
  readonly synced: boolean;
  /** Until when what is known of it was known to be current: the present while it is up. */
  readonly lastSuccess: Moment | null;
  readonly down: Trouble | null;
};

type ServiceReport = {
  readonly name: string;
  readonly endpoints: {
    readonly ready: number;
    readonly draining: number;
    /** Serve on although the sources do not name them any more. */
    readonly kept: number;
    /** Left out, because something in them is not allowed. */
    readonly refused: number;
  };
  /** The sources that have not answered for this service yet. */
  readonly unanswered: readonly string[];
  /** Why, and since when, its endpoints may be out of date. */
  readonly stale: Trouble | null;
  readonly kept: Kept | null;
  /** Entries, tags and meta values that were left out, and why: some of each source, */
  readonly refused: readonly Refusal[];
  /** and how many there are. */
  readonly refusedCount: number;
};

/** Why endpoints serve on that no source names: all went (`onEmpty`), or many at once (`maxShrink`). */
export type Kept = {
  readonly reason: 'emptied' | 'shrunk';
  readonly since: Moment;
  /** When the last of them is let go; null: never. */
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
        lastSuccess: source?.hasAnswered ? (source.down?.since ?? now) : null,
        down: source?.down ?? null,
      };
    }),
    services: [...catalog.settings.services].map(([name, settings]) => reportService(catalog, name, settings)),
  };
}

/** Of a service that is not wanted any more. */
export function nothingOf(name: string): ServiceReport {
  return {
    name,
    endpoints: { ready: 0, draining: 0, kept: 0, refused: 0 },
    unanswered: [],
    stale: null,
    kept: null,
    refused: [],
    refusedCount: 0,
  };
}

export type LeftOut = Pick<Refusals, 'list' | 'count'>;

/** What is left out of an answer since `event`, and was not before; `count`: of all that is left out of it. */
export function newlyRefused(before: Catalog, now: Catalog, event: SourceEvent): LeftOut {
  return event.kind === 'endpoints' ? refusedSince(before, now, event) : noRefusals;
}

/** The same of the answers that were there already, and are judged by another config. */
export function refusedByConfig(before: Catalog, now: Catalog): readonly (Origin & LeftOut)[] {
  const origins = new Map(
    [...now.settings.services.values()].flatMap((service) => service.origins.map((one) => [originOf(one), one])),
  );
  return [...origins].flatMap(([name, { watcher, key }]) => {
    if (lookUp(before.answers, name) === undefined) return [];
    const refused = refusedSince(before, now, { watcher, key });
    return refused.count === 0 ? [] : [{ watcher, key, ...refused }];
  });
}

function refusedSince(before: Catalog, now: Catalog, origin: Origin): LeftOut {
  const refusedIn = ({ answers }: Catalog): Refusals => (lookUp(answers, originOf(origin)) ?? unanswered).refused;
  const refused = refusedIn(now);
  if (refused === refusedIn(before)) return noRefusals;
  const known = new Set(refusedIn(before).list.map((one) => JSON.stringify(one)));
  const list = refused.list.filter((one) => !known.has(JSON.stringify(one)));
  return list.length === 0 ? noRefusals : { list, count: refused.count };
}

/** The services of which endpoints are kept now and were not before, for another reason, or the other way round. */
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
  return { reason: loss.kind, since: loss.since, until: endOf(loss, 'last') };
}

function stateOf(source: Source | undefined): SourceReport['state'] {
  if (source === undefined || (!source.hasAnswered && source.down === null)) return 'starting';
  return source.down === null ? 'up' : 'down';
}

function reportService(catalog: Catalog, name: string, settings: ServiceSettings): ServiceReport {
  const service = lookUp(catalog.services, name) ?? newService;
  const kept = new Set(retainedBy(service).map(placeOf));
  const answers = settings.origins.map((origin) => ({
    watcher: origin.watcher,
    ...(lookUp(catalog.answers, originOf(origin)) ?? unanswered),
  }));
  const refusals = answers.map(({ refused }) => refused);
  const current = service.endpoints.filter((endpoint) => !kept.has(placeOf(endpoint)));
  const draining = current.filter(({ state }) => state === 'draining').length;
  return {
    name,
    endpoints: {
      ready: current.length - draining,
      draining,
      kept: kept.size,
      refused: refusals.reduce((sum, { endpoints }) => sum + endpoints, 0),
    },
    unanswered: answers.filter((answer) => answer.endpoints === null).map(({ watcher }) => watcher),
    stale: troubles(catalog, settings).toSorted((a, b) => a.since - b.since)[0] ?? null,
    kept: keptIn(service),
    refused: refusals.flatMap(({ list }) => list),
    refusedCount: refusals.reduce((sum, { count }) => sum + count, 0),
  };
}
