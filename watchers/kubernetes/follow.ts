/** Follows the Services of one namespace, or of the whole cluster, for all queries about them: two watches, one view. */

import { wallClock } from '../../src/lib/time/clock.ts';
import type { Query } from '../../src/model.ts';
import { Hosts } from '../kit/hosts.ts';
import type { Watching } from '../kit/watching.ts';
import type { Api } from './api/api.ts';
import { type Failure, failureOf } from './api/failure.ts';
import type { Memory } from './api/memory.ts';
import { endpointSlice, serviceWith } from './api/objects.ts';
import { type Place, reflect } from './api/reflect.ts';
import { endpointSlices, type Resource, services } from './api/resources.ts';
import { readAgain } from './api/second-read.ts';
import { DiscoveredServices } from './discovered.ts';
import { Results } from './results.ts';
import { keyOf, type ServiceQuery, servicesParams, slicesParams } from './service-query.ts';
import type { KubernetesDiscovery, KubernetesSettings } from './settings.ts';

export type Following = {
  readonly api: Api;
  /** Null: the whole cluster. */
  readonly namespace: string | null;
  readonly settings: KubernetesSettings;
  readonly queries: readonly ServiceQuery[];
  /** For all Services with certain labels; null: only those count that are asked about. */
  readonly discovery: Query<KubernetesDiscovery> | null;
  readonly memory: Memory;
  readonly emit: Watching<unknown>['emit'];
  /** The list or watch of this resource fails, or (null) is well again. */
  readonly onFailure: (resource: Resource, failure: Failure | null) => void;
  readonly signal: AbortSignal;
};

/** Ends when `signal` aborts. */
export async function follow({ onFailure, emit, queries, discovery, memory, ...where }: Following): Promise<void> {
  const { settings, namespace, signal } = where;
  const names = discovery === null ? [...new Set(queries.map((query) => query.service))] : null;
  const { view } = memory;
  view.doubt();
  await using hosts = new Hosts();
  const results = new Results({
    view,
    settings,
    queries,
    hosts,
    discovered: discovery && new DiscoveredServices(discovery),
    emit,
  });

  const reflecting = (resource: Resource) => ({
    ...where,
    resource,
    from: memory.place(resource),
    onPlace: (place: Place | null) => memory.setPlace(resource, place),
    onFailure(failure: Failure) {
      onFailure(resource, failure);
      // A failure of the whole source is reported by throwing.
      if (!signal.aborted) results.setFailure(resource.plural, failure.reason);
    },
    onRecovery() {
      onFailure(resource, null);
      results.setFailure(resource.plural, null);
    },
  });
  const onServices = (): void => {
    results.discover(view.services, { isAll: true });
    results.lookAtAll();
  };
  const failureOfRead = (error: unknown): Failure =>
    failureOf(error, { resource: endpointSlices, namespace, verb: 'list' }, wallClock());
  await Promise.all([
    reflect({
      ...reflecting(services),
      params: servicesParams(settings, names),
      schema: serviceWith(Object.keys(discovery?.settings.labels ?? {})),
      isWanted: view.wantsService,
      onList(all) {
        view.replaceServices(all);
        onServices();
      },
      onResume() {
        view.confirm('services');
        onServices();
      },
      onChanges(changes) {
        for (const key of view.createdIn(changes)) results.doubts.created(key);
        const changed = view.changeServices(changes);
        results.discover(changed);
        for (const key of changed) results.look(key);
      },
    }),
    reflect({
      ...reflecting(endpointSlices),
      params: slicesParams(settings, names),
      schema: endpointSlice,
      isWanted: view.wantsSlice,
      onList(all) {
        view.replaceSlices(all);
        results.lookAtAll();
      },
      onResume() {
        view.confirm('slices');
        results.lookAtAll();
      },
      onChanges(changes) {
        for (const key of view.changeSlices(changes)) results.look(key);
      },
    }),
    results.doubts
      .settle({
        read(keys) {
          const asked = keys.flatMap((key) => results.queries(key).slice(0, 1));
          const isAbsent = (query: ServiceQuery) => view.service(keyOf(query.namespace, query.service)) === undefined;
          return readAgain(where, asked, asked.filter(isAbsent));
        },
        onRead: (keys, found) => results.confirm(keys, found),
        onFailure: (keys, error) => results.doubtfulFor(keys, failureOfRead(error).reason),
        signal,
      })
      // The list and the watch contradict each other, and neither is trusted: the source starts again.
      .catch((error: unknown) => {
        memory.distrust();
        onFailure(endpointSlices, failureOfRead(error));
      }),
  ]);
}
