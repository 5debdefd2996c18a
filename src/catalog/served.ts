/** What is served of each service, and of which services it is not known: made by difference from what it was last. */
import { differenceOf } from '../lib/difference.ts';
import { SortedMap } from '../lib/sorted-map.ts';
import type { Endpoint } from '../model.ts';
import { type Catalog, newService, none } from './state.ts';
import { lookUp, news } from './table.ts';

export type Served = {
  /** As `View.endpoints`. */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  /** As `View.unknown`. */
  readonly unknown: ReadonlyMap<string, Unknown>;
};

type Unknown = 'unknown' | 'moved';

type Followed = { readonly endpoints: SortedMap<readonly Endpoint[]>; readonly unknown: SortedMap<Unknown> };

/** Of thousands of services one or a few change at a time. */
let last: { readonly catalog: Catalog; readonly served: Followed } | null = null;

export function servedOf(catalog: Catalog): Served {
  const { services } = catalog.settings;
  if (!(services instanceof SortedMap)) {
    const names = [...services.keys()];
    return { endpoints: new Map(endpointsOf(catalog, names)), unknown: new Map(unknownOf(catalog, names)) };
  }
  if (last?.catalog !== catalog)
    last = { catalog, served: follow(catalog) ?? servedOfAll(catalog, [...services.keys()]) };
  return last.served;
}

function servedOfAll(catalog: Catalog, names: readonly string[]): Followed {
  return { endpoints: SortedMap.of(endpointsOf(catalog, names)), unknown: SortedMap.of(unknownOf(catalog, names)) };
}

/** null: too much has changed, or nothing is known of before. */
function follow(catalog: Catalog): Followed | null {
  const touched = last === null ? null : touchedSince(last.catalog, catalog);
  if (last === null || touched === null) return null;
  const { endpoints, unknown } = last.served;
  const gone = touched.map((name) => [name, undefined] as const);
  return {
    endpoints: endpoints.with(
      new Map<string, readonly Endpoint[] | undefined>([...gone, ...endpointsOf(catalog, touched)]),
    ),
    unknown: unknown.with(new Map<string, Unknown | undefined>([...gone, ...unknownOf(catalog, touched)])),
  };
}

function touchedSince(before: Catalog, now: Catalog): readonly string[] | null {
  const settings = differenceOf(before.settings.services, now.settings.services);
  if (settings === null) return null;
  const tables = [news(before.services, now.services), news(now.services, before.services)];
  const waits = [news(before.awaited, now.awaited), news(now.awaited, before.awaited)];
  const changed = [...settings.come, ...settings.gone, ...tables.flat(), ...waits.flat()];
  return [...new Set(changed.map(([name]) => name))];
}

function endpointsOf(catalog: Catalog, names: readonly string[]): (readonly [string, readonly Endpoint[]])[] {
  const { settings, services, awaited } = catalog;
  return names
    .filter((name) => settings.services.has(name) && lookUp(awaited, name) === undefined)
    .map((name) => [name, lookUp(services, name)?.endpoints ?? none]);
}

function unknownOf(catalog: Catalog, names: readonly string[]): (readonly [string, Unknown])[] {
  return names.flatMap((name) => {
    if (!catalog.settings.services.has(name)) return [];
    const { basis } = lookUp(catalog.services, name) ?? newService;
    return basis === 'known' ? [] : [[name, basis] as const];
  });
}
