/** What people are told of the catalog: the health of the sources, and of each service who serves and why. */
import type { Moment, SourceEvent } from '../model.ts';
import type { Refusal } from './guard.ts';
import {
  type Catalog,
  newService,
  originOf,
  type ServiceSettings,
  type Source,
  type Trouble,
  troubles,
  unanswered,
} from './state.ts';
import { lookUp } from './table.ts';

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
    /** Serve on although the sources say that nobody is there. */
    readonly kept: number;
    /** Left out, because something in them is not allowed. */
    readonly refused: number;
  };
  /** The sources that have not answered for this service yet. */
  readonly unanswered: readonly string[];
  /** Why, and since when, its endpoints may be out of date. */
  readonly stale: Trouble | null;
  /** `until` null: for ever. */
  readonly kept: { readonly since: Moment; readonly until: Moment | null } | null;
  /** Entries, tags and meta values that were left out, and why. */
  readonly refused: readonly Refusal[];
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
        lastSuccess: source?.isHeard ? (source.down?.since ?? now) : null,
        down: source?.down ?? null,
      };
    }),
    services: [...catalog.settings.services].map(([name, settings]) => reportService(catalog, name, settings)),
  };
}

/** What is left out of an answer since `event`, and was not before. */
export function newlyRefused(before: Catalog, now: Catalog, event: SourceEvent): readonly Refusal[] {
  if (event.kind !== 'endpoints') return [];
  const refusedIn = ({ answers }: Catalog): readonly Refusal[] =>
    (lookUp(answers, originOf(event)) ?? unanswered).refused;
  const refused = refusedIn(now);
  if (refused === refusedIn(before)) return [];
  const known = new Set(refusedIn(before).map((one) => JSON.stringify(one)));
  return refused.filter((one) => !known.has(JSON.stringify(one)));
}

function stateOf(source: Source | undefined): SourceReport['state'] {
  if (source === undefined || (!source.isHeard && source.down === null)) return 'starting';
  return source.down === null ? 'up' : 'down';
}

function reportService(catalog: Catalog, name: string, settings: ServiceSettings): ServiceReport {
  const { endpoints, kept } = lookUp(catalog.services, name) ?? newService;
  const answers = settings.origins.map((origin) => ({
    watcher: origin.watcher,
    ...(lookUp(catalog.answers, originOf(origin)) ?? unanswered),
  }));
  const refused = answers.flatMap((answer) => answer.refused);
  const draining = endpoints.filter(({ state }) => state === 'draining').length;
  return {
    name,
    endpoints: {
      ready: kept === null ? endpoints.length - draining : 0,
      draining: kept === null ? draining : 0,
      kept: kept === null ? 0 : endpoints.length,
      refused: refused.filter(({ part }) => part === 'endpoint').length,
    },
    unanswered: answers.filter((answer) => answer.endpoints === null).map(({ watcher }) => watcher),
    stale: troubles(catalog, settings).toSorted((a, b) => a.since - b.since)[0] ?? null,
    kept,
    refused,
  };
}
