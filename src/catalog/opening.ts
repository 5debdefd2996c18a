/** What the catalog waits for: the required sources at the start, and the results for services that are added later. */
import type { Moment } from '../model.ts';
import { type Catalog, type Origin, originOf } from './state.ts';
import { drop, entriesOf, lookUp } from './table.ts';

/** Ends the wait for a service whose queries all have results. */
export function endWait(catalog: Catalog, name: string): Catalog {
  const origins = catalog.settings.services.get(name)?.origins ?? [];
  const isAwaited = lookUp(catalog.awaited, name) !== undefined;
  if (!isAwaited || origins.some((origin) => !hasResult(catalog, origin))) return catalog;
  return { ...catalog, awaited: drop(catalog.awaited, name) };
}

function hasResult({ results }: Catalog, origin: Origin): boolean {
  return (lookUp(results, originOf(origin))?.endpoints ?? null) !== null;
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

/** The required watchers that are not synced; one without queries holds up nothing. */
export function waitingFor({ settings, sources, index }: Catalog): string[] {
  return [...settings.watchers]
    .filter(([name, { required }]) => required && index.queriedWatchers.has(name) && !sources.get(name)?.isSynced)
    .map(([name]) => name)
    .sort();
}
