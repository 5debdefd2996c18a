/** What the catalog remembers: of every source its health, of every question its last answer, of every service who serves. */
import type { Endpoint, Moment, Ms, Unreadable } from '../model.ts';
import { admit, createGuard, type Guard, noRefusals, type Refusals } from './admission.ts';
import type { Loss, MaxShrink } from './loss.ts';
import { createOwnGuard, type Own } from './own.ts';
import { lookUp, type Table } from './table.ts';

export type CatalogSettings = {
  readonly services: ReadonlyMap<string, ServiceSettings>;
  readonly watchers: ReadonlyMap<string, WatcherSettings>;
  /** Watchers that are asked for services which nobody listed. */
  readonly discovering: readonly string[];
  /** Queries for services that such a watcher has discovered: the results are kept, whether the service is served or not. */
  readonly discovered: readonly Origin[];
  /** Ranges in which endpoints are accepted although they are loopback, link-local or the like. */
  readonly allowAddresses: readonly string[];
  /** Ranges outside of which, and of those, no endpoint is accepted; empty: any. */
  readonly onlyAddresses: readonly string[];
  /** No endpoint leads back there, whatever is allowed. */
  readonly own: Own;
  readonly startTimeout: Ms;
};

type WatcherSettings = {
  readonly required: boolean;
  readonly loopbackAllowed: boolean;
  /** Of one service. */
  readonly maxServers: number;
  readonly maxShrink: MaxShrink;
};

export type Origin = {
  readonly watcher: string;
  /** Names the question, and its answers, among those of the watcher. */
  readonly key: string;
  /** What is asked: the answer to another question under the same key is not kept when the config changes. */
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
  /** Whether every required source has been synced once, or the start timeout is over. It never closes again. */
  readonly isOpen: boolean;
  readonly sources: ReadonlyMap<string, Source>;
  /** By origin. */
  readonly answers: Table<Answer>;
  readonly services: Table<Service>;
  /** Services that came later, until their questions are answered; at the moment given they count without that. */
  readonly awaited: Table<Moment>;
  /** No doubt ends before this; null where there is none. */
  readonly doubtEnds: Moment | null;
  readonly index: Index;
};

export type Trouble = { readonly reason: string; readonly since: Moment };

export type Source = {
  /** Has answered every query once. */
  readonly isSynced: boolean;
  /** Has answered anything. */
  readonly hasAnswered: boolean;
  /** Counts starts and failures: the first answer after either may be wrong about who is there. */
  readonly era: number;
  readonly down: Trouble | null;
};

export type Answer = {
  /** Null: not answered yet. */
  readonly endpoints: readonly Endpoint[] | null;
  readonly refused: Refusals;
  /** As it came, where something was refused: judged again when what is allowed changes. */
  readonly received: readonly Endpoint[] | null;
  /** What its watcher could not read. */
  readonly unreadable: readonly Unreadable[];
  /** Names of those that are there and not to be used, for `isNamedIn`. */
  readonly unfit: ReadonlySet<string>;
  readonly stale: Trouble | null;
  /** It is the query that does not fit what is there: it will have no result as long as both are as they are. */
  readonly isUnanswerable: boolean;
  readonly era: number;
  /** When this question was first answered after the source's start, reconnection or its own trouble. */
  readonly connectedAt: Moment | null;
};

export type Service = {
  /** Those that serve. */
  readonly endpoints: readonly Endpoint[];
  /** Served until every origin has answered: known from before the start, or from origins that the config no longer has. */
  readonly seed: readonly Endpoint[];
  readonly basis: Basis;
  /** What the sources take away, and whether it is believed; null: nothing. */
  readonly loss: Loss | null;
};

type Basis =
  /** Its questions have never all been answered: who serves is not known. */
  | 'unknown'
  /** They are others than before, and not all answered yet: what the new answers leave out is what the config wants. */
  | 'moved'
  /** All of them were answered once, by now or before the start. */
  | 'known';

/** What follows from the settings alone. */
export type Index = {
  readonly guards: ReadonlyMap<string, Guard>;
  readonly servicesOf: ReadonlyMap<string, readonly string[]>;
  /** What each origin asks. */
  readonly queries: ReadonlyMap<string, unknown>;
  readonly queriedWatchers: ReadonlySet<string>;
};

export const none: readonly Endpoint[] = [];
export const unansweredSource: Source = { isSynced: false, hasAnswered: false, era: 0, down: null };
export const unanswered: Answer = {
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
export const newService: Service = { endpoints: none, seed: none, basis: 'unknown', loss: null };

/** Names an origin in the tables. A watcher's name holds no slash. */
export function originOf({ watcher, key }: Omit<Origin, 'query'>): string {
  return `${watcher}/${key}`;
}

/** Why a service's endpoints may be out of date: its questions' own failures, and those of the sources that it asks. */
export function troubles({ sources, answers }: Catalog, { origins }: ServiceSettings): Trouble[] {
  return origins
    .flatMap((origin) => [lookUp(answers, originOf(origin))?.stale, sources.get(origin.watcher)?.down])
    .filter((trouble) => trouble != null);
}

export function indexOf(settings: CatalogSettings): Index {
  const servicesOf = new Map<string, string[]>();
  const queries = new Map<string, unknown>();
  const queriedWatchers = new Set<string>(settings.discovering);
  for (const [name, { origins }] of settings.services)
    for (const origin of origins) {
      queriedWatchers.add(origin.watcher);
      queries.set(originOf(origin), origin.query);
      const names = servicesOf.get(originOf(origin));
      if (names === undefined) servicesOf.set(originOf(origin), [name]);
      else names.push(name);
    }
  for (const origin of settings.discovered) {
    if (!servicesOf.has(originOf(origin))) servicesOf.set(originOf(origin), []);
    queries.set(originOf(origin), origin.query);
  }
  const isOwn = createOwnGuard(settings.own);
  const guards = new Map(
    [...settings.watchers].map(([name, { loopbackAllowed }]) => [
      name,
      createGuard(settings.allowAddresses, loopbackAllowed, isOwn, settings.onlyAddresses),
    ]),
  );
  return { guards, servicesOf, queries, queriedWatchers };
}

/** For endpoints of which only the service is known: what any of its sources may name. */
export function guardOf({ origins }: ServiceSettings, { guards }: Index): Guard {
  return (address, port) => {
    const judged = origins.map(({ watcher }) => guards.get(watcher)?.(address, port) ?? null);
    return judged.includes(null) ? null : (judged[0] ?? null);
  };
}

export function earliest(a: Moment | null, b: Moment | null): Moment | null {
  return a === null ? b : b === null ? a : Math.min(a, b);
}

/** A service as it begins; `seed`: who is known to serve it. */
export function seeded(seed: readonly Endpoint[] | undefined, guard: Guard): Service {
  if (seed === undefined) return newService;
  const { endpoints } = admit(seed, guard);
  return { ...newService, endpoints, seed: endpoints, basis: 'known' };
}
