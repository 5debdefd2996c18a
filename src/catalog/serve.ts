/** Who serves: decides from the last answers, and from the doubt about sudden absence, which endpoints a service has. */
import type { Moment, Ms } from '../model.ts';
import { arrange, equalLists, union } from './endpoints.ts';
import {
  type Answer,
  type Catalog,
  earliest,
  newService,
  none,
  originOf,
  type Service,
  type ServiceSettings,
  troubles,
  unanswered,
} from './state.ts';
import { lookUp, put } from './table.ts';

/** Endpoints that vanish all at once within this time of a reconnection are doubted. */
const doubtfulAfterMs: Ms = 60_000;

/** Works out anew who serves one service, from what its origins said last. */
export function settle(catalog: Catalog, name: string, now: Moment): Catalog {
  const settings = catalog.settings.services.get(name);
  const before = lookUp(catalog.services, name);
  if (settings === undefined || before === undefined) return catalog;
  const answers = settings.origins.map((origin) => lookUp(catalog.answers, originOf(origin)) ?? unanswered);
  const isAnswered = answers.every(({ endpoints }) => endpoints !== null);
  const [only = none, ...others] = answers.map(({ endpoints }) => endpoints ?? none);
  const found = others.length === 0 ? only : arrange([only, ...others].flat());
  const wanted = isAnswered ? found : union(found, before.seed);
  const kept = wanted.length > 0 || before.endpoints.length === 0 ? null : hold(settings, before, answers, now);
  const endpoints = kept !== null || equalLists(before.endpoints, wanted) ? before.endpoints : wanted;
  const seed = isAnswered ? none : before.seed;
  if (endpoints === before.endpoints && seed === before.seed && kept === before.kept) return catalog;
  return {
    ...catalog,
    services: put(catalog.services, name, { endpoints, seed, kept }),
    doubtEnds: earliest(catalog.doubtEnds, kept?.until ?? null),
  };
}

/** Lets go what was kept until `now`, but for services whose source is in trouble: it may yet come back with them. */
export function endDoubts(catalog: Catalog, now: Moment): Catalog {
  let { services } = catalog;
  let doubtEnds: Moment | null = null;
  for (const [name, settings] of catalog.settings.services) {
    const until = lookUp(services, name)?.kept?.until ?? null;
    if (until === null || troubles(catalog, settings).length > 0) continue;
    if (until <= now) services = put(services, name, newService);
    else doubtEnds = earliest(doubtEnds, until);
  }
  return { ...catalog, services, doubtEnds };
}

/** Nobody is there any more: whether the last endpoints are kept nevertheless, and how long. */
function hold(
  { onEmpty, keepFor }: ServiceSettings,
  { kept }: Service,
  answers: readonly Answer[],
  now: Moment,
): Service['kept'] {
  const connectedAt = answers.reduce((latest, answer) => Math.max(latest, answer.connectedAt ?? latest), -Infinity);
  const since = kept?.since ?? now;
  switch (onEmpty) {
    case 'accept':
      return null;
    case 'keep':
      return sameOr(kept, { since, until: null });
    case 'doubt':
      if (kept === null && now - connectedAt > doubtfulAfterMs) return null;
      // Each reconnection may bring them back: the time starts anew.
      return sameOr(kept, { since, until: Math.max(since, connectedAt) + keepFor });
  }
}

function sameOr(before: Service['kept'], after: NonNullable<Service['kept']>): NonNullable<Service['kept']> {
  return before !== null && before.until === after.until ? before : after;
}
