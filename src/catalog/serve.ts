/** Who serves: decides from the last answers, and from the doubt about sudden absence, which endpoints a service has. */
import type { Moment } from '../model.ts';
import { arrange, equalLists, isNamedIn, union } from './endpoints.ts';
import { endOf, judgeLoss, type LossRules, retainedBy } from './loss.ts';
import {
  type Answer,
  type Catalog,
  type CatalogSettings,
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

/** Whose word it is that endpoints are gone: that of a source may be doubted, an operator's ends all doubt. */
type Word = 'source' | 'config' | 'operator';

/** Works out anew who serves one service, from what its origins said last. */
export function settle(catalog: Catalog, name: string, word: Word, now: Moment): Catalog {
  const settings = catalog.settings.services.get(name);
  const before = lookUp(catalog.services, name);
  if (settings === undefined || before === undefined) return catalog;
  const answers = settings.origins.map((origin) => lookUp(catalog.answers, originOf(origin)) ?? unanswered);
  const isAnswered = answers.every(({ endpoints }) => endpoints !== null);
  const [only = none, ...others] = answers.map(({ endpoints }) => endpoints ?? none);
  const found = others.length === 0 ? only : arrange([only, ...others].flat());
  const wanted = isAnswered ? found : union(found, before.seed);
  const isDoubtful = word === 'source' && before.basis !== 'moved';
  const rules = { ...rulesOf(catalog, settings, answers), isDoubtful };
  const loss = word === 'operator' ? null : judgeLoss(before, wanted, rules, now);
  return withService(catalog, name, before, {
    endpoints: sameOr(before.endpoints, union(wanted, retainedBy({ endpoints: before.endpoints, loss }))),
    seed: isAnswered ? none : before.seed,
    basis: isAnswered ? 'known' : before.basis,
    loss,
  });
}

/** Lets go what was kept until `now`, but for services whose source is in trouble: it may yet come back with them. */
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
  answers: readonly Answer[],
): Omit<LossRules, 'isDoubtful'> {
  return {
    ...strictest(settings, catalog.settings),
    onEmpty: settings.onEmpty,
    keepFor: settings.keepFor,
    connectedAt: answers.reduce((latest, answer) => Math.max(latest, answer.connectedAt ?? latest), -Infinity),
    isTroubled: troubles(catalog, settings).length > 0,
    isUnfit: (endpoint) => answers.some(({ unfit }) => isNamedIn(unfit, endpoint)),
  };
}

/** What several sources name together shrinks together: the smallest share and the longest hold of theirs count. */
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
