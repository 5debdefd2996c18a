/** Catalogs for tests: settings, events and what is served, in few words. */
import { type Catalog, type CatalogSettings, receive, view } from '../../../src/catalog/catalog.ts';
import { nothingOwn } from '../../../src/catalog/own.ts';
import type { Endpoint, SourceEvent } from '../../../src/model.ts';

export const minute = 60_000;

export function endpoint(id: string, address: string, more: Partial<Endpoint> = {}): Endpoint {
  return { id, address, port: 80, weight: 1, state: 'ready', ...more };
}

export type Change = Partial<Omit<CatalogSettings, 'services' | 'watchers'>> & {
  readonly services?: Record<string, Partial<Service>>;
  readonly watchers?: Record<string, Partial<Watcher>>;
};
type Service = CatalogSettings['services'] extends ReadonlyMap<string, infer S> ? S : never;
type Watcher = CatalogSettings['watchers'] extends ReadonlyMap<string, infer W> ? W : never;

/** Service `web` of the required watcher `consul`, unless told otherwise. */
export function settings({ services = { web: {} }, watchers = { consul: {} }, ...rest }: Change = {}): CatalogSettings {
  return {
    services: new Map(
      Object.entries(services).map(([name, service]) => [
        name,
        { origins: [{ watcher: 'consul', key: name }], onEmpty: 'doubt', keepFor: 10 * minute, ...service },
      ]),
    ),
    watchers: new Map(
      Object.entries(watchers).map(([name, watcher]) => [
        name,
        {
          required: true,
          loopbackAllowed: false,
          maxServers: 1000,
          maxShrink: { share: 0.5, hold: minute },
          ...watcher,
        },
      ]),
    ),
    discovering: [],
    discovered: [],
    allowAddresses: [],
    onlyAddresses: [],
    own: nothingOwn,
    startTimeout: 30_000,
    ...rest,
  };
}

export const started = { watcher: 'consul', kind: 'started' } as const satisfies SourceEvent;
export const synced = { watcher: 'consul', kind: 'synced' } as const satisfies SourceEvent;
export const failed = {
  watcher: 'consul',
  kind: 'failed',
  reason: 'connect ECONNREFUSED',
  retryInMs: 1000,
} as const satisfies SourceEvent;
export const gone = { watcher: 'consul', kind: 'gone', key: 'web' } as const satisfies SourceEvent;
export const stale = {
  watcher: 'consul',
  kind: 'stale',
  key: 'web',
  reason: '403 permission denied',
} as const satisfies SourceEvent;

export function found(endpoints: readonly Endpoint[], key = 'web', watcher = 'consul'): SourceEvent {
  return { watcher, kind: 'endpoints', key, endpoints };
}

/** Of these some are named and called unfit. */
export function judged(endpoints: readonly Endpoint[], unfit: readonly Endpoint[]): SourceEvent {
  return { watcher: 'consul', kind: 'endpoints', key: 'web', endpoints, unfit };
}

export function play(catalog: Catalog, events: readonly SourceEvent[], now = 0): Catalog {
  return events.reduce((all, event) => receive(all, event, now), catalog);
}

export function ids(catalog: Catalog, service = 'web'): string[] | undefined {
  return view(catalog)
    .endpoints.get(service)
    ?.map(({ id }) => id);
}
