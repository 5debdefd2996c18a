/** What becomes of what is known when the config, or the set of services, is another. */
import { isDeepStrictEqual } from 'node:util';
import type { Endpoint, Moment } from '../model.ts';
import { admit, type Guard } from './admission.ts';
import { equalLists } from './endpoints.ts';
import { endWait, openIfReady } from './opening.ts';
import { changedPorts } from './own.ts';
import { settle } from './serve.ts';
import {
  type Answer,
  type Catalog,
  type CatalogSettings,
  guardOf,
  indexOf,
  type Origin,
  originOf,
  seeded,
  unanswered,
  unansweredSource,
} from './state.ts';
import { emptyTable, lookUp, tableOf } from './table.ts';

/**
 * The config was read again, or the services in it are others: answers to questions that are still asked are kept, and
 * judged by the new settings. A service whose settings are the same object is left as it is where the rules are the same.
 * `seeds`: who is known to serve services that are not in this catalog, as in `createCatalog`.
 */
export function reconfigure(
  catalog: Catalog,
  settings: CatalogSettings,
  now: Moment,
  seeds: ReadonlyMap<string, readonly Endpoint[]> = new Map(),
): Catalog {
  const index = indexOf(settings);
  const hasSameRules = isDeepStrictEqual(rulesOf(catalog.settings), rulesOf(settings));
  const ports = changedPorts(catalog.settings.own, settings.own);
  const isConcerned = (endpoints: readonly Endpoint[] | null): boolean =>
    ports.size > 0 && (endpoints?.some(({ port }) => ports.has(port)) ?? false);
  const mustJudge = ({ received, endpoints }: Answer): boolean => !hasSameRules || isConcerned(received ?? endpoints);
  const isSame = (name: string): boolean => {
    const service = settings.services.get(name);
    if (!hasSameRules || service === undefined || catalog.settings.services.get(name) !== service) return false;
    const concerned = service.origins.some((origin) =>
      mustJudge(lookUp(catalog.answers, originOf(origin)) ?? unanswered),
    );
    return !concerned && !isConcerned(lookUp(catalog.services, name)?.endpoints ?? null);
  };
  const asked = new Map<string, Origin>();
  for (const origin of queriesOf(settings)) asked.set(originOf(origin), origin);
  const changed = new Set<string>();
  for (const origin of queriesOf(catalog.settings))
    if (!isSameQuery(origin, asked.get(originOf(origin)))) changed.add(originOf(origin));

  const answers = [...asked].flatMap(([name, { watcher }]) => {
    const answer = lookUp(catalog.answers, name);
    const guard = index.guards.get(watcher);
    if (answer === undefined || guard === undefined || changed.has(name)) return [];
    const most = settings.watchers.get(watcher)?.maxServers;
    return [[name, mustJudge(answer) ? judgeAgain(answer, guard, most) : answer] as const];
  });
  const services = [...settings.services].map(([name, service]) => {
    const before = lookUp(catalog.services, name);
    const guard = guardOf(service, index);
    if (before === undefined) return [name, seeded(seeds.get(name), guard)] as const;
    if (isSame(name)) return [name, before] as const;
    const endpoints = admitAgain(before.endpoints, guard);
    // What the old questions found serves until the new ones are answered.
    const isMoved =
      catalog.settings.services.get(name)?.origins.some((origin) => changed.has(originOf(origin))) ?? false;
    const seed = isMoved ? endpoints : admitAgain(before.seed, guard);
    return [name, { ...before, endpoints, seed, basis: isMoved ? 'moved' : before.basis }] as const;
  });
  const next: Catalog = {
    ...catalog,
    settings,
    sources: new Map(
      [...settings.watchers.keys()].map((name) => [name, catalog.sources.get(name) ?? unansweredSource]),
    ),
    answers: tableOf(answers),
    services: tableOf(services),
    awaited: awaitedOf(catalog, settings, now, seeds),
    index,
  };
  const settled = [...settings.services.keys()].reduce(
    (all, name) => (isSame(name) ? all : endWait(settle(all, name, 'config', now), name)),
    next,
  );
  return openIfReady(settled);
}

/** What of the settings is about all services. */
function rulesOf({ watchers, allowAddresses, onlyAddresses }: CatalogSettings): unknown {
  return { watchers, allowAddresses, onlyAddresses };
}

/** Who is new while others are served already; a catalog that is not open yet waits for all of them anyway. */
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

function isSameQuery(before: Origin, after: Origin | undefined): boolean {
  if (after === undefined) return false;
  return before.query === after.query || JSON.stringify(before.query) === JSON.stringify(after.query);
}

function judgeAgain(answer: Answer, guard: Guard, most: number | undefined): Answer {
  if (answer.endpoints === null) return answer;
  const received = answer.received ?? answer.endpoints;
  const { endpoints, refused } = admit(received, guard, answer.unreadable, most);
  return {
    ...answer,
    endpoints: equalLists(answer.endpoints, endpoints) ? answer.endpoints : endpoints,
    refused,
    received: refused.count > 0 ? received : null,
  };
}

function admitAgain(before: readonly Endpoint[], guard: Guard): readonly Endpoint[] {
  const { endpoints } = admit(before, guard);
  return equalLists(before, endpoints) ? before : endpoints;
}
