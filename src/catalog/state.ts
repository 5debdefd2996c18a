/** The state of the catalog: the health of each source, the result of each query, the endpoints of each service. */
import type { Endpoint, Moment, Ms, Unreadable } from '../model.ts';
import { createGuard, type Guard, noRefusals, type Refusals } from './admission.ts';
import { admitOrDoubt } from './admit-again.ts';
import type { Loss, MaxShrink } from './loss.ts';
import { createOwnGuard, type Own } from './own.ts';
import { lookUp, type Table, tableOf } from './table.ts';

export type CatalogSettings = {
  readonly services: ReadonlyMap<string, ServiceSettings>;
  readonly watchers: ReadonlyMap<string, WatcherSettings>;
  /** Watchers that discover services. */
  readonly discovering: readonly string[];
  /** Queries for discovered services. Their results are kept even for services that are not served. */
  readonly discovered: readonly Origin[];
  /** Ranges whose endpoints are accepted although they are loopback, link-local or the like. */
  readonly allowAddresses: readonly string[];
  /** If there are any, only endpoints in these ranges and in `allowAddresses` are accepted. */
  readonly onlyAddresses: readonly string[];
  /** Endpoints that lead to these listeners are never accepted. */
  readonly own: Own;
  readonly startTimeout: Ms;
};

type WatcherSettings = {
  readonly required: boolean;
  readonly loopbackAllowed: boolean;
  /** The limit of endpoints for one service. */
  readonly maxServers: number;
  readonly maxShrink: MaxShrink;
};

export type Origin = {
  readonly watcher: string;
  /** Identifies the query, and its results, within the watcher. */
  readonly key: string;
  /** The settings of the query. When the config changes them, the result under this key is dropped. */
  readonly query?: unknown;
};

export type ServiceSettings = {
  readonly origins: readonly Origin[];
  readonly onEmpty: 'doubt' | 'keep' | 'accept';
  readonly keepFor: Ms;
};

export type Catalog = {
  readonly settings: CatalogSettings;
  readonly createdAt: Moment;
  /** Every required source was synced once, or the start timeout is over. It stays open. */
  readonly isOpen: boolean;
  readonly sources: ReadonlyMap<string, Source>;
  /** By origin. */
  readonly results: Table<QueryResult>;
  readonly services: Table<Service>;
  /** Services that were added later and have no results yet; each is served without them from this moment on. */
  readonly awaited: Table<Moment>;
  /** When the first doubt ends; null: there is none. */
  readonly doubtEnds: Moment | null;
  readonly index: Index;
};

export type Trouble = { readonly reason: string; readonly since: Moment };

export type Source = {
  /** Every query has had a result. */
  readonly isSynced: boolean;
  /** Any query has had a result. */
  readonly hasResult: boolean;
  /** Counts starts and failures: the first result after either may be incomplete. */
  readonly era: number;
  readonly down: Trouble | null;
};

export type QueryResult = {
  /** null: no result yet. */
  readonly endpoints: readonly Endpoint[] | null;
  readonly refused: Refusals;
  /** All received endpoints, where some were refused: they are judged again when the rules change. */
  readonly received: readonly Endpoint[] | null;
  /** Entries that the watcher could not read. */
  readonly unreadable: readonly Unreadable[];
  /** The unfit endpoints, by name, for `isNamedIn`. */
  readonly unfit: ReadonlySet<string>;
  readonly stale: Trouble | null;
  /** The query has no result until it, or the data of the source, is changed. */
  readonly isUnanswerable: boolean;
  readonly era: number;
  /** The time of the first result after a start or failure of the source or of the query. */
  readonly connectedAt: Moment | null;
};

export type Service = {
  /** The endpoints that serve. */
  readonly endpoints: readonly Endpoint[];
  /** Endpoints that serve until every origin has a result: from before the start, or of origins that were removed. */
  readonly seed: readonly Endpoint[];
  /** Endpoints that other queries found before the start. They do not serve unless the new queries find none, which is doubted. */
  readonly former: readonly Endpoint[];
  readonly basis: Basis;
  /** Endpoints that no source names any more, and what is decided about them; null: there are none. */
  readonly loss: Loss | null;
};

type Basis =
  /** Its queries never all had results. */
  | 'unknown'
  /** Its queries were changed; some have no result yet. That the new results lack some of the endpoints is no loss. */
  | 'moved'
  /** All its queries had results, now or before the start. */
  | 'known';

/** Derived from the settings. */
export type Index = {
  readonly guards: ReadonlyMap<string, Guard>;
  /** Refuses only what leads back to a listener of this config. */
  readonly own: Guard;
  readonly servicesOf: Table<readonly string[]>;
  /** By origin, the settings of its query. */
  readonly queries: Table<Pick<Origin, 'query'>>;
  readonly queriedWatchers: ReadonlySet<string>;
};

export const none: readonly Endpoint[] = [];
export const newSource: Source = { isSynced: false, hasResult: false, era: 0, down: null };
export const noResult: QueryResult = {
  endpoints: null,
  refused: noRefusals,
  received: null,
  unreadable: [],
  unfit: new Set(),
  stale: null,
  isUnanswerable: false,
  era: 0,
  connectedAt: null,
};
export const newService: Service = { endpoints: none, seed: none, former: none, basis: 'unknown', loss: null };

/** The key of an origin in the tables. The name of a watcher has no slash. */
export function originOf({ watcher, key }: Omit<Origin, 'query'>): string {
  return `${watcher}/${key}`;
}

/** Why the endpoints of a service may be out of date: failures of its queries and of its sources. */
export function troubles({ sources, results }: Catalog, { origins }: ServiceSettings): Trouble[] {
  return origins
    .flatMap((origin) => [lookUp(results, originOf(origin))?.stale, sources.get(origin.watcher)?.down])
    .filter((trouble) => trouble != null);
}

export function indexOf(settings: CatalogSettings): Index {
  const servicesOf = new Map<string, string[]>();
  const queries = new Map<string, Pick<Origin, 'query'>>();
  const queriedWatchers = new Set<string>(settings.discovering);
  for (const [name, { origins }] of settings.services)
    for (const origin of origins) {
      queriedWatchers.add(origin.watcher);
      queries.set(originOf(origin), origin);
      const names = servicesOf.get(originOf(origin));
      if (names === undefined) servicesOf.set(originOf(origin), [name]);
      else names.push(name);
    }
  for (const origin of settings.discovered) {
    if (!servicesOf.has(originOf(origin))) servicesOf.set(originOf(origin), []);
    queries.set(originOf(origin), origin);
  }
  const isOwn = createOwnGuard(settings.own);
  const guards = new Map(
    [...settings.watchers].map(([name, { loopbackAllowed }]) => [
      name,
      createGuard(settings.allowAddresses, loopbackAllowed, isOwn, settings.onlyAddresses),
    ]),
  );
  const own = createGuard(['0.0.0.0/0', '::/0'], true, isOwn);
  return { guards, own, servicesOf: tableOf(servicesOf), queries: tableOf(queries), queriedWatchers };
}

/** For endpoints whose source is not known: it allows what is allowed for any source of the service. */
export function guardOf({ origins }: ServiceSettings, { guards }: Index): Guard {
  return (address, port) => {
    const judged = origins.map(({ watcher }) => guards.get(watcher)?.(address, port) ?? null);
    return judged.includes(null) ? null : (judged[0] ?? null);
  };
}

export function earliest(a: Moment | null, b: Moment | null): Moment | null {
  return a === null ? b : b === null ? a : Math.min(a, b);
}

/** A new service; `seed`: its known endpoints. */
export function seeded(settings: ServiceSettings, index: Index, seed: readonly Endpoint[] | undefined): Service {
  if (seed === undefined) return newService;
  const endpoints = admitOrDoubt(seed, { guard: guardOf(settings, index), own: index.own });
  return { ...newService, endpoints, seed: endpoints, basis: 'known' };
}

/** A new service; `former`: endpoints that other queries found for it. */
export function moved(settings: ServiceSettings, index: Index, former: readonly Endpoint[]): Service {
  return {
    ...newService,
    former: admitOrDoubt(former, { guard: guardOf(settings, index), own: index.own }),
    basis: 'moved',
  };
}
