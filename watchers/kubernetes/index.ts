/** Watches Services of a Kubernetes cluster by their EndpointSlices: two watches a namespace, however many Services. */
import { setMaxListeners } from 'node:events';
import { type KubernetesQuery, type KubernetesWatcherConfig, kubernetesQuery } from '../../src/config/schema.ts';
import { AppError } from '../../src/errors.ts';
import { Latest } from '../../src/latest.ts';
import type { Query, Update, Watch } from '../../src/model.ts';
import { withSynced } from '../synced.ts';
import { openAccess } from './access.ts';
import { createApi } from './api.ts';
import type { Failure } from './failure.ts';
import { follow } from './follow.ts';
import type { Question } from './question.ts';

/** `env` is read for what the settings leave open: KUBECONFIG, HOME, and what a pod is told of its cluster. */
export function watchKubernetes(settings: KubernetesWatcherConfig, env: NodeJS.ProcessEnv): Watch<KubernetesQuery> {
  return (queries, signal) => withSynced(queries, watch(settings, env, queries, signal));
}

/** Two watches a namespace, and one connection for second reads. */
function connectionsFor(queries: readonly Query<KubernetesQuery>[], { namespaces }: KubernetesWatcherConfig): number {
  const all = namespaces?.includes(everywhere) ?? false;
  return 2 * (all ? 1 : new Set(queries.map((query) => query.settings.namespace)).size) + 1;
}

async function* watch(
  settings: KubernetesWatcherConfig,
  env: NodeJS.ProcessEnv,
  queries: readonly Query<KubernetesQuery>[],
  signal: AbortSignal,
): AsyncGenerator<Update, void, undefined> {
  if (signal.aborted) return;
  const heard = new Latest<Update>();
  // Nothing is loaded or opened for nobody.
  if (queries.length === 0) return yield* heard.read(signal);

  const stop = new AbortController();
  // Every request in flight listens.
  setMaxListeners(0, stop.signal);
  signal.addEventListener('abort', () => stop.abort(), { once: true, signal: stop.signal });
  let following: Promise<void>[] = [];
  try {
    const reaches = new Map<string | null, Question[]>();
    const access = await openAccess(settings, env, connectionsFor(queries, settings), stop.signal);
    const api = createApi(access, settings.idleTimeout);
    const tell = (update: Update): void => {
      if (update.kind !== 'synced') heard.put(`${update.kind === 'stale' ? 'stale' : 'answer'} ${update.key}`, update);
    };
    for (const query of queries) {
      const question = questionOf(query, settings, access.namespace);
      const refusal = refusalOf(question, settings);
      if (refusal !== undefined) {
        tell({ kind: 'stale', key: query.key, reason: refusal });
        continue;
      }
      const reach = settings.namespaces?.includes(everywhere) ? null : question.namespace;
      reaches.set(reach, [...(reaches.get(reach) ?? []), question]);
    }
    const failing = new Failing(access.server, reaches.size);
    following = [...reaches].map(([namespace, questions]) =>
      follow({
        api,
        namespace,
        settings,
        questions,
        tell,
        onFailure({ plural }, failure) {
          const error = failing.set(namespace, plural, failure);
          if (error === undefined) return;
          heard.fail(error);
          stop.abort();
        },
        signal: stop.signal,
      }).catch((error: unknown) => {
        heard.fail(error);
        stop.abort();
      }),
    );
    yield* heard.read(signal);
  } finally {
    stop.abort();
    await Promise.all(following);
  }
}

const everywhere = 'all';

function questionOf(
  query: Query<KubernetesQuery>,
  settings: KubernetesWatcherConfig,
  contextNamespace: string | undefined,
): Question {
  const namespace = query.settings.namespace ?? settings.namespace ?? contextNamespace ?? 'default';
  return { query, namespace, service: query.settings.service ?? query.key };
}

/** Why it is not even asked; undefined where it is. */
function refusalOf(
  { query, namespace, service }: Question,
  { namespaces, namespace: own }: KubernetesWatcherConfig,
): string | undefined {
  if (!kubernetesQuery.shape.service.safeParse(service).success)
    return `${JSON.stringify(service)} cannot be the name of a Service: write the query's \`service\``;
  // Where the query names nothing, the watcher's settings have done so.
  const isFree = query.settings.namespace === undefined || namespaces === undefined || namespace === own;
  if (isFree || namespaces.includes(everywhere) || namespaces.includes(namespace)) return undefined;
  return `the watcher's \`namespaces\` do not include ${namespace}`;
}

/** Knows when it is not one namespace that fails but the source. */
class Failing {
  readonly #server: string;
  readonly #reaches: number;
  readonly #failures = new Map<string | null, Map<string, Failure>>();

  constructor(server: string, reaches: number) {
    this.#server = server;
    this.#reaches = reaches;
  }

  /** Returns an error when the whole source is down: for a reason that all share, or in every namespace. */
  set(namespace: string | null, resource: string, failure: Failure | null): AppError | undefined {
    const failures = this.#failures.get(namespace) ?? new Map<string, Failure>();
    if (failure === null) failures.delete(resource);
    else failures.set(resource, failure);
    if (failures.size === 0) this.#failures.delete(namespace);
    else this.#failures.set(namespace, failures);
    if (failure === null || (failure.scope !== 'server' && this.#failures.size < this.#reaches)) return undefined;
    return new AppError('MYELIN_SOURCE_FAILED', `Kubernetes at ${this.#server}: ${failure.reason}`, {
      retryAfterMs: failure.retryAfterMs,
    });
  }
}
