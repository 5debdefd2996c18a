/** Watches Services of a Kubernetes cluster by their EndpointSlices: two watches a namespace, however many Services. */
import { now } from '../../src/lib/time/clock.ts';
import { Retries } from '../../src/lib/time/retry.ts';
import type { Ms, Query, Watch } from '../../src/model.ts';
import { type Watching, watching } from '../kit/watching.ts';
import { openAccess } from './api/access.ts';
import { createApi } from './api/api.ts';
import { Failing } from './api/failing.ts';
import { Memories, Memory } from './api/memory.ts';
import { follow } from './follow.ts';
import { everywhere, keyOf, refusalOf, type ServiceKey, type ServiceQuery } from './service-query.ts';
import type { KubernetesDiscovery, KubernetesQuery, KubernetesSettings } from './settings.ts';

/** `env` is read for what the settings leave open: KUBECONFIG, HOME, and a pod's variables about its cluster. */
export function watchKubernetes(
  settings: KubernetesSettings,
  env: NodeJS.ProcessEnv,
  onSecret: (secret: string) => void = () => {},
): Watch<Asked> {
  const given: Given = {
    settings,
    env,
    onSecret,
    memories: new Memories(),
    refusals: new Retries(patience, healthyAfterMs),
  };
  return watching((call) => run(given, call));
}

/** For a server that refuses the credentials: a whole fleet may have lost its rights, and more tries would not help. */
const patience = { baseMs: 1000, capMs: 3000, longestMs: 60_000, share: 1 / 2 };
/** A refusal counts as the first one again after this time, which includes the wait before the try. */
const healthyAfterMs: Ms = 60_000;

/** About one Service, or for all with certain labels. */
type Asked = KubernetesQuery | KubernetesDiscovery;

/** Two watches a namespace, and one connection for second reads. */
function connectionsFor(queries: readonly Query<Asked>[], { namespaces }: KubernetesSettings): number {
  const all = namespaces?.includes(everywhere) ?? false;
  return 2 * (all ? 1 : new Set(queries.map((query) => query.settings.namespace)).size) + 1;
}

type Given = {
  readonly settings: KubernetesSettings;
  readonly env: NodeJS.ProcessEnv;
  readonly onSecret: (secret: string) => void;
  /** These outlive a failure of the source. */
  readonly memories: Memories;
  readonly refusals: Retries;
};

async function run(
  { settings, env, onSecret, memories, refusals }: Given,
  { queries, signal, emit, fail }: Watching<Asked>,
): Promise<void> {
  // Without queries, nothing is loaded or opened.
  if (queries.length === 0) return;
  const reaches = new Map<string | null, Reach>();
  const access = await openAccess({ ...settings, onSecret }, env, connectionsFor(queries, settings), signal);
  const api = createApi(access, settings.idleTimeout);
  const reachOf = (namespace: string): Reach => {
    const where = settings.namespaces?.includes(everywhere) ? null : namespace;
    const reach = reaches.get(where) ?? { queries: [], discovery: null };
    reaches.set(where, reach);
    return reach;
  };
  for (const { key, settings: asked } of queries) {
    const namespace = asked.namespace ?? settings.namespace ?? access.namespace ?? 'default';
    if ('labels' in asked) {
      reachOf(namespace).discovery = { key, settings: asked };
      continue;
    }
    const query = { key, settings: asked, namespace, service: asked.service ?? key };
    const refusal = refusalOf(query, settings);
    if (refusal === undefined) reachOf(namespace).queries.push(query);
    else emit({ kind: 'stale', key, reason: refusal, isUnanswerable: true });
  }
  const failing = new Failing(access.server, reaches.size, (askedMs) => refusals.failed(now(), askedMs));
  const about = JSON.stringify([access.server, access.namespace, queries]);
  const known = memories.take(about);
  const asked = [...reaches].map(([namespace, reach]) => {
    const memory = known.get(namespace) ?? new Memory(wantedBy(reach));
    return { ...reach, namespace, memory };
  });
  const failAndRemember = (error: unknown): void => {
    memories.keep(about, new Map(asked.map(({ namespace, memory }) => [namespace, memory])));
    fail(error);
  };
  const following = asked.map(({ namespace, ...reach }) =>
    follow({
      ...reach,
      api,
      namespace,
      settings,
      emit,
      onFailure({ plural }, failure) {
        const error = failing.set(namespace, plural, failure);
        if (error !== undefined) failAndRemember(error);
      },
      signal,
    }).catch(failAndRemember),
  );
  await Promise.all(following);
}

/** The queries about one namespace, or about all namespaces. */
type Reach = { readonly queries: ServiceQuery[]; discovery: Query<KubernetesDiscovery> | null };

/** Null: all Services. */
function wantedBy({ queries, discovery }: Reach): ReadonlySet<ServiceKey> | null {
  return discovery === null ? new Set(queries.map(({ namespace, service }) => keyOf(namespace, service))) : null;
}
