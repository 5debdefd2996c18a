/** What is waited for: the required sources before anything is rendered, and the answers about services that came later. */
import type { Moment } from '../model.ts';
import { type Catalog, type Origin, originOf } from './state.ts';
import { drop, entriesOf, lookUp } from './table.ts';

/** All of its questions are answered: it is awaited no longer. */
export function endWait(catalog: Catalog, name: string): Catalog {
  const origins = catalog.settings.services.get(name)?.origins ?? [];
  const isAwaited = lookUp(catalog.awaited, name) !== undefined;
  if (!isAwaited || origins.some((origin) => !isAnswered(catalog, origin))) return catalog;
  return { ...catalog, awaited: drop(catalog.awaited, name) };
}

function isAnswered({ answers }: Catalog, origin: Origin): boolean {
  return (lookUp(answers, originOf(origin))?.endpoints ?? null) !== null;
}

export function endWaits(catalog: Catalog, now: Moment): Catalog {
  const over = entriesOf(catalog.awaited).filter(([, until]) => until <= now);
  if (over.length === 0) return catalog;
  return { ...catalog, awaited: over.reduce((table, [name]) => drop(table, name), catalog.awaited) };
}

export function openIfReady(catalog: Catalog): Catalog {
  return catalog.isOpen || waitingFor(catalog).length > 0 ? catalog : opened(catalog);
}

export function opened(catalog: Catalog): Catalog {
  return { ...catalog, isOpen: true };
}

/** A watcher that is asked nothing has nothing to answer. */
export function waitingFor({ settings, sources, index }: Catalog): string[] {
  return [...settings.watchers]
    .filter(([name, { required }]) => required && index.queriedWatchers.has(name) && !sources.get(name)?.isSynced)
    .map(([name]) => name)
    .sort();
}
