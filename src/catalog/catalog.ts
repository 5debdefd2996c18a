/**
 * The last good endpoints of every service. Trouble is not absence: only a source's own word removes an endpoint, and
 * where the source has just come back, its word that nobody is there is doubted for a while. Nothing here changes in
 * place: each event gives a new catalog, or the same one where it says nothing new.
 */
import type { Endpoint, Moment, SourceEvent } from '../model.ts';
import { admit } from './admission.ts';
import { equalLists, equalNames, namesOf } from './endpoints.ts';
import { retainedBy } from './loss.ts';
import { endWait, endWaits, opened, openIfReady, waitingFor } from './opening.ts';
import { endDoubts, settle } from './serve.ts';
import {
  type Answer,
  type Catalog,
  type CatalogSettings,
  earliest,
  guardOf,
  indexOf,
  newService,
  none,
  type Origin,
  originOf,
  type Source,
  seeded,
  troubles,
  unanswered,
  unansweredSource,
} from './state.ts';
import { emptyTable, entriesOf, lookUp, put, tableOf } from './table.ts';

export type { Catalog, CatalogSettings } from './state.ts';

export type View = {
  /** Closed: nothing is to be rendered yet. */
  readonly open: boolean;
  /** The required sources that have not been synced yet; once open, it goes on without them. */
  readonly waitingFor: readonly string[];
  /** Nobody is known to serve anything, and a source that is required has not said so. */
  readonly isBlind: boolean;
  /**
   * Of every service in the settings, but for one that came later and has not been answered for: to serve nothing for
   * it would be a lie. Lists that did not change are the same objects.
   */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  /** The services of which nobody has said yet who serves them: what was there before stays as it is. */
  readonly unknown: ReadonlyMap<string, 'unknown' | 'moved'>;
  /** Those of them that may be answered for yet: the query of the others does not fit what is there. */
  readonly pending: ReadonlySet<string>;
};

/** `seed`: who served last before the start, by service, as answers to the same questions: they serve until these are answered. */
export function createCatalog(
  settings: CatalogSettings,
  now: Moment,
  seed: ReadonlyMap<string, readonly Endpoint[]> = new Map(),
): Catalog {
  const index = indexOf(settings);
  const services = [...settings.services].map(
    ([name, service]) => [name, seeded(seed.get(name), guardOf(service, index))] as const,
  );
  return openIfReady({
    settings,
    createdAt: now,
    isOpen: false,
    sources: new Map([...settings.watchers.keys()].map((name) => [name, unansweredSource])),
    answers: emptyTable(),
    services: tableOf(services),
    awaited: emptyTable(),
    doubtEnds: null,
    index,
  });
}

/** Events of watchers or queries that the settings do not have are ignored: they are the last of a source let go. */
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
      return openIfReady(sourceAnswered(catalog, event.watcher, { ...source, isSynced: true }));
    case 'stale': {
      const answer = lookUp(catalog.answers, originOf(event)) ?? unanswered;
      if (answer.stale?.reason === event.reason) return catalog;
      const stale = { reason: event.reason, since: answer.stale?.since ?? now };
      return withAnswer(catalog, event, { ...answer, stale, isUnanswerable: event.isUnanswerable === true }, now);
    }
    // Which of them are served is for the settings to say.
    case 'discovered':
      return sourceAnswered(catalog, event.watcher, source);
    case 'gone':
    case 'endpoints':
      return receiveAnswer(sourceAnswered(catalog, event.watcher, source), event, source, now);
  }
}

/** Whether what is heard answers the same question in both, or none of either. */
export function isSameQueryIn(a: Catalog, b: Catalog, event: SourceEvent): boolean {
  if (!('key' in event)) return true;
  const [one, other] = [a.index.queries.get(originOf(event)), b.index.queries.get(originOf(event))];
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

/** Whether the sources of this service are in trouble, or its questions. */
export function isTroubled(catalog: Catalog, service: string): boolean {
  const settings = catalog.settings.services.get(service);
  return settings !== undefined && troubles(catalog, settings).length > 0;
}

/** An operator believes what the sources say of this service: nothing of it is kept any more. */
export function accept(catalog: Catalog, service: string, now: Moment): Catalog {
  return retainedOf(catalog, service) === 0 ? catalog : settle(catalog, service, 'operator', now);
}

/** How many endpoints of the service serve on although no source names them. */
export function retainedOf({ services }: Catalog, service: string): number {
  return retainedBy(lookUp(services, service) ?? newService).length;
}

/** Ends what `now` ends: the wait for first answers, and doubts. */
export function advance(catalog: Catalog, now: Moment): Catalog {
  const isLate = !catalog.isOpen && now >= catalog.createdAt + catalog.settings.startTimeout;
  const next = endWaits(isLate ? opened(catalog) : catalog, now);
  return next.doubtEnds !== null && now >= next.doubtEnds ? endDoubts(next, now) : next;
}

/** When `advance` is to be called next; null where only an event can change anything. */
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
    // Gathered when asked for: whether it is open may be asked at each of ten thousand events.
    get endpoints() {
      const names = [...catalog.settings.services.keys()].filter((name) => lookUp(catalog.awaited, name) === undefined);
      return new Map(names.map((name) => [name, lookUp(catalog.services, name)?.endpoints ?? none]));
    },
    get unknown() {
      const found = new Map<string, 'unknown' | 'moved'>();
      for (const name of catalog.settings.services.keys()) {
        const { basis } = lookUp(catalog.services, name) ?? newService;
        if (basis !== 'known') found.set(name, basis);
      }
      return found;
    },
    get pending() {
      return new Set([...this.unknown.keys()].filter((name) => isPending(catalog, name)));
    },
  };
}

function isPending({ settings, answers }: Catalog, name: string): boolean {
  return (settings.services.get(name)?.origins ?? []).some((origin) => {
    const { endpoints, isUnanswerable } = lookUp(answers, originOf(origin)) ?? unanswered;
    return endpoints === null && !isUnanswerable;
  });
}

function receiveAnswer(
  catalog: Catalog,
  event: SourceEvent & { readonly kind: 'endpoints' | 'gone' },
  { era }: Source,
  now: Moment,
): Catalog {
  const guard = catalog.index.guards.get(event.watcher);
  const before = lookUp(catalog.answers, originOf(event)) ?? unanswered;
  if (guard === undefined) return catalog;
  const received = event.kind === 'endpoints' ? event.endpoints : none;
  const unreadable = (event.kind === 'endpoints' && event.unreadable) || [];
  const most = catalog.settings.watchers.get(event.watcher)?.maxServers;
  const admitted = admit(received, guard, unreadable, most);
  const unfit = namesOf(event.kind === 'endpoints' ? event.unfit : none);
  const isSameUnfit = equalNames(before.unfit, unfit);
  const isSame = before.endpoints !== null && equalLists(before.endpoints, admitted.endpoints);
  const isSameRefused = JSON.stringify(before.refused) === JSON.stringify(admitted.refused);
  const isFirst = before.endpoints === null || before.stale !== null || before.era !== era;
  if (isSame && isSameRefused && isSameUnfit && !isFirst) return catalog;
  const answer: Answer = {
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
  return withAnswer(catalog, event, answer, now);
}

/** A source that answers is up. */
function sourceAnswered(catalog: Catalog, name: string, source: Source): Catalog {
  const before = catalog.sources.get(name);
  const isNews = source.isSynced !== before?.isSynced || !source.hasAnswered || source.down !== null;
  return isNews ? withSource(catalog, name, { ...source, hasAnswered: true, down: null }) : catalog;
}

function withSource(catalog: Catalog, name: string, source: Source): Catalog {
  return { ...catalog, sources: new Map(catalog.sources).set(name, source) };
}

function withAnswer(catalog: Catalog, origin: Origin, answer: Answer, now: Moment): Catalog {
  const services = catalog.index.servicesOf.get(originOf(origin));
  if (services === undefined) return catalog;
  const next = { ...catalog, answers: put(catalog.answers, originOf(origin), answer) };
  return services.reduce((all, name) => endWait(settle(all, name, 'source', now), name), next);
}
