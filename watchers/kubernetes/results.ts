/** Turns what is known into updates: results at once, refusals with a reason, "no endpoints" only when confirmed. */

import type { Endpoint, Unfit } from '../../src/model.ts';
import type { Hosts } from '../kit/hosts.ts';
import type { Watching } from '../kit/watching.ts';
import type { SecondRead } from './api/second-read.ts';
import { type DiscoveredServices, isDiscovered, queryFor } from './discovered.ts';
import { Doubts, type Why } from './doubts.ts';
import { externalOf, resultOf } from './external-names.ts';
import { keyOf, type ServiceKey, type ServiceQuery } from './service-query.ts';
import type { KubernetesSettings } from './settings.ts';
import { isEmpty, type Result, resultFrom, type View } from './view.ts';

export type ResultsOptions = {
  readonly view: View;
  readonly settings: KubernetesSettings;
  readonly queries: readonly ServiceQuery[];
  readonly hosts: Hosts;
  /** Null: only those are served that a query names. */
  readonly discovered: DiscoveredServices | null;
  readonly emit: Watching<unknown>['emit'];
};

export class Results {
  readonly doubts = new Doubts();
  readonly #view: View;
  readonly #settings: KubernetesSettings;
  readonly #hosts: Hosts;
  readonly #discovered: DiscoveredServices | null;
  #isDiscoveryComplete = false;
  readonly #emit: Watching<unknown>['emit'];
  readonly #queries = new Map<ServiceKey, ServiceQuery[]>();
  /** Queries that were answered once. */
  readonly #answered = new Set<string>();
  /** Queries whose last result was "no endpoints": it need not be confirmed again. */
  readonly #empty = new Set<string>();
  /** Services that existed once: only these can be reported as gone. */
  readonly #seen = new Set<ServiceKey>();
  /** The failures of lists and watches, by resource. */
  readonly #failures = new Map<string, string>();

  constructor({ view, settings, queries, hosts, discovered, emit }: ResultsOptions) {
    this.#view = view;
    this.#settings = settings;
    this.#hosts = hosts;
    this.#discovered = discovered;
    this.#emit = emit;
    for (const query of queries) this.#add(query);
  }

  queries(key: ServiceKey): readonly ServiceQuery[] {
    return this.#queries.get(key) ?? [];
  }

  /**
   * These Services may be discovered now, or no more, or otherwise; of those that were deleted that has yet to be confirmed.
   * `isAll`: they are all that there are.
   */
  discover(keys: Iterable<ServiceKey>, { isAll = false } = {}): void {
    if (this.#discovered === null) return;
    if (isAll) this.#isDiscoveryComplete = true;
    let isChanged = isAll;
    const [failure] = this.#failures.values();
    for (const key of keys) {
      const service = this.#view.service(key);
      const became = service === undefined ? 'none' : this.#discovered.note(service);
      if (service === undefined || became === 'none') continue;
      isChanged = true;
      const query = queryFor(service);
      this.#remove(query, became === 'discovered');
      if (became === 'discovered') this.#add(query);
      else this.#emit({ kind: 'gone', key: query.key });
      if (failure !== undefined) this.#emitStale([key], failure);
    }
    if (isChanged) this.#emitDiscovered();
  }

  lookAtAll(): void {
    for (const key of this.#queries.keys()) this.look(key);
  }

  /** Emits what is known of a Service now. */
  look(key: ServiceKey): void {
    if (!this.#view.isComplete || this.#failures.size > 0) return;
    if (this.#view.service(key) !== undefined && this.#queries.has(key)) this.#seen.add(key);
    const doubtful = this.queries(key).filter((query) => !this.#lookAt(query, key));
    if (doubtful.length > 0) this.doubts.add(key, this.#whyDoubtful(key, doubtful));
    else this.doubts.end(key);
  }

  /** For Services in doubt since before the read, and still. Returns false where the read is not conclusive. */
  confirm(keys: readonly ServiceKey[], found: SecondRead): boolean {
    if (this.#failures.size > 0) return false;
    for (const key of keys.filter((one) => this.doubts.has(one))) {
      const empty = this.queries(key).filter((query) => isEmpty(this.#result(query, key)));
      const service = this.#view.service(key) ?? found.services.get(key);
      const slices = found.slices.get(key) ?? [];
      const sure = empty.filter((query) => isEmpty(resultFrom(service, slices, this.#choiceOf(query))));
      for (const query of sure) this.#emitEmpty(query, key, service !== undefined);
      if (sure.length === empty.length) this.doubts.end(key);
    }
    return true;
  }

  /** The second read of these Services failed: the last results of those still in doubt stay valid. */
  doubtfulFor(keys: readonly ServiceKey[], reason: string): void {
    if (this.#failures.size > 0) return;
    for (const key of keys.filter((one) => this.doubts.has(one)))
      for (const query of this.queries(key)) {
        // The others would get no new result when the doubt ends, and would stay stale for ever.
        const isInDoubt = isEmpty(this.#result(query, key)) && !this.#isKnownEmpty(query, key);
        if (isInDoubt) this.#emit({ kind: 'stale', key: query.key, reason });
      }
  }

  /** The list or watch of this resource fails, or (null) works again. */
  setFailure(resource: string, reason: string | null): void {
    if (reason === null) {
      this.#failures.delete(resource);
      this.#emitDiscovered();
      this.lookAtAll();
    } else {
      this.#failures.set(resource, reason);
      this.#emitStale([...this.#queries.keys()], reason);
      if (this.#discovered !== null) this.#emit({ kind: 'stale', key: this.#discovered.query.key, reason });
    }
  }

  /** Returns false where there seem to be no endpoints, and that is not confirmed. */
  #lookAt(query: ServiceQuery, key: ServiceKey): boolean {
    const service = this.#view.service(key);
    const external = service && externalOf(service, query.settings, this.#settings);
    if (external?.kind === 'host') {
      const emitHost = (): void => this.#emitHost(query.key, external);
      this.#hosts.follow(query.key, new Set([external.host]), emitHost);
      emitHost();
      return true;
    }
    this.#hosts.end(query.key);
    const result = external ?? this.#result(query, key);
    if (result.kind === 'refused')
      this.#emit({ kind: 'stale', key: query.key, reason: result.reason, isUnanswerable: true });
    else if (result.kind === 'endpoints' && result.endpoints.length > 0)
      this.#emitSome(query.key, result.endpoints, result.unfit);
    else if (this.#isKnownEmpty(query, key)) this.#emitEmpty(query, key, service !== undefined);
    else {
      // A first result does not wait for slices that are being rewritten.
      const why = result.kind === 'endpoints' ? result.unmatched : null;
      if (why !== null && !this.#answered.has(query.key))
        this.#emit({ kind: 'stale', key: query.key, reason: why.reason, isUnanswerable: true });
      return false;
    }
    return true;
  }

  #whyDoubtful(key: ServiceKey, doubtful: readonly ServiceQuery[]): Why {
    if (this.#view.service(key) === undefined) return this.#seen.has(key) ? 'deleted' : 'empty';
    if (!this.#view.hasSlices(key)) return 'without_slices';
    const results = doubtful.map((query) => this.#result(query, key));
    return results.some((result) => result.kind === 'endpoints' && result.isUnsettled) ? 'unsettled' : 'empty';
  }

  #emitStale(keys: readonly ServiceKey[], reason: string): void {
    for (const query of keys.flatMap((key) => this.queries(key))) this.#emit({ kind: 'stale', key: query.key, reason });
  }

  /** The deletion of a discovered Service has to be confirmed even if it had no endpoints before. */
  #isKnownEmpty(query: ServiceQuery, key: ServiceKey): boolean {
    return this.#empty.has(query.key) && !(this.#view.service(key) === undefined && isDiscovered(query));
  }

  #result(query: ServiceQuery, key: ServiceKey): Result {
    return this.#view.result(key, this.#choiceOf(query));
  }

  #choiceOf({ settings: { port } }: ServiceQuery) {
    return { ...this.#settings, port };
  }

  /** While the host cannot be resolved, the last addresses stay; where there were none, no result is awaited. */
  #emitHost(query: string, { host, port }: { readonly host: string; readonly port: number }): void {
    const result = resultOf(this.#hosts.get(host), port, this.#settings.family);
    if (result === null) return;
    const { endpoints, trouble } = result;
    if (endpoints !== null && (trouble === null || !this.#answered.has(query))) this.#emitSome(query, endpoints);
    if (trouble !== null)
      this.#emit({ kind: 'stale', key: query, reason: trouble, ...(endpoints === null && { isUnanswerable: true }) });
  }

  #emitSome(query: string, endpoints: readonly Endpoint[], unfit: readonly Unfit[] = []): void {
    this.#empty.delete(query);
    this.#answered.add(query);
    this.#emit({ kind: 'endpoints', key: query, endpoints, unfit });
  }

  #emitEmpty(query: ServiceQuery, key: ServiceKey, isThere: boolean): void {
    this.#empty.add(query.key);
    this.#answered.add(query.key);
    if (!isThere && this.#seen.has(key)) this.#emit({ kind: 'gone', key: query.key });
    else {
      const result = this.#result(query, key);
      const { unfit, unmatched: why } = result.kind === 'endpoints' ? result : { unfit: [], unmatched: null };
      this.#emit({ kind: 'endpoints', key: query.key, endpoints: [], unfit, ...(why && { unreadable: [why] }) });
    }
    if (isThere || !isDiscovered(query) || !this.#discovered?.drop(key)) return;
    this.#remove(query);
    this.#emitDiscovered();
  }

  #emitDiscovered(): void {
    if (this.#discovered === null || !this.#isDiscoveryComplete) return;
    this.#emit({ kind: 'discovered', key: this.#discovered.query.key, services: this.#discovered.all });
  }

  #add(query: ServiceQuery): void {
    const key = keyOf(query.namespace, query.service);
    this.#queries.set(key, [...this.queries(key), query]);
  }

  /** `isReplaced`: by a query in other words, so that work in progress continues. */
  #remove({ key: queryKey, namespace, service }: ServiceQuery, isReplaced = false): void {
    const key = keyOf(namespace, service);
    const others = this.queries(key).filter((other) => other.key !== queryKey);
    if (others.length > 0) this.#queries.set(key, others);
    else this.#queries.delete(key);
    if (isReplaced) return;
    this.#hosts.end(queryKey);
    this.#empty.delete(queryKey);
    this.#answered.delete(queryKey);
    if (others.length > 0) return;
    this.#seen.delete(key);
    this.doubts.end(key);
  }
}
