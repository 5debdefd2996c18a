/**
 * Which services are followed without being listed, and what is told of them. A name in the catalog makes a service followed; it
 * is told once an instance of it has been seen, and gone once a query about itself has shown, and the leader has confirmed, that
 * there is none any more. So a list that lacks a name removes nothing.
 */
import type { DiscoveredService, Ms } from '../../../src/model.ts';
import type { Watching } from '../../kit/watching.ts';
import { keyOfDiscovered } from '../names.ts';
import type { ServiceResult } from '../service/result.ts';
import type { Updates } from '../service/updates.ts';
import type { ConsulDiscovery } from '../settings.ts';
import { discoveredAs, leftOutOf } from './own-options.ts';

export type DiscoveryOptions = {
  /** The query for many services. */
  readonly key: string;
  readonly selection: ConsulDiscovery;
  /** By key; outlives a failure of the source, so that nothing that was told is forgotten by it. */
  readonly told: Map<string, DiscoveredService>;
  readonly emit: Watching<unknown>['emit'];
  readonly updates: Pick<Updates, 'received' | 'failed' | 'forget'>;
  /** Begins to follow a service, until the signal aborts. */
  readonly follow: (key: string, service: string, signal: AbortSignal) => void;
  /** The catalog does not name this service any more. */
  readonly doubt: (service: string) => void;
};

/** What was said last of a service. */
type Answer =
  | { readonly kind: 'none' }
  | { readonly kind: 'result'; readonly result: ServiceResult }
  | { readonly kind: 'failure'; readonly reason: string; readonly isUnanswerable: boolean };

type Followed = { readonly stop: AbortController; answer: Answer };

/** At first all services are told at once; one whose query goes on failing holds them up no longer than this. */
const patienceMs: Ms = 10_000;

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #followed = new Map<string, Followed>();
  /** Of these, before all are told at once, the keys of those whose answer was not there when it was last looked for. */
  readonly #awaited = new Set<string>();
  /** The names in the catalog; null: not known yet. */
  #names: ReadonlySet<string> | null = null;
  /** How many of these names each key stands for: they may differ in their case. */
  readonly #listed = new Map<string, number>();
  #isTold = false;
  #isPatient = true;
  #isFailing = false;
  #patience: NodeJS.Timeout | undefined;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /** The number of services that are followed. */
  get size(): number {
    return this.#followed.size;
  }

  /** Returns whether a name has come or gone since the last list. */
  listed(names: readonly string[]): boolean {
    const { told, doubt } = this.#options;
    const now = new Set(names);
    const isFirst = this.#names === null;
    const before = this.#names ?? new Set();
    this.#names = now;
    const came = without(now, before);
    const went = without(before, now);
    for (const [key] of came) this.#listed.set(key, (this.#listed.get(key) ?? 0) + 1);
    for (const [key] of went) this.#listed.set(key, (this.#listed.get(key) ?? 1) - 1);
    for (const [key, name] of came) this.#follow(key, name);
    // What was told before the source failed is asked about, listed or not.
    if (isFirst) for (const [key, { name }] of told) this.#follow(key, name);
    for (const [key, name] of went) {
      if (this.#isListed(key)) continue;
      this.#listed.delete(key);
      if (told.has(key)) doubt(name);
      this.#endIfOver(key);
    }
    this.#patience ??= setTimeout(() => {
      this.#isPatient = false;
      this.#tellAllIfReady();
    }, patienceMs);
    if (this.#isTold && this.#isFailing) this.#tell();
    this.#isFailing = false;
    this.#tellAllIfReady();
    return came.length + went.length > 0;
  }

  listFailed(reason: string, isUnanswerable: boolean): void {
    this.#isFailing = true;
    const { emit, key } = this.#options;
    emit({ kind: 'stale', key, reason, ...(isUnanswerable && { isUnanswerable }) });
  }

  received(key: string, result: ServiceResult): void {
    const followed = this.#followed.get(key);
    if (followed === undefined) return;
    followed.answer = { kind: 'result', result };
    if (this.#isTold) this.#take(key, result);
    else this.#tellAllIfReady();
  }

  failed(key: string, reason: string, isUnanswerable: boolean): void {
    const followed = this.#followed.get(key);
    if (followed === undefined) return;
    if (followed.answer.kind !== 'result' || this.#isTold)
      followed.answer = { kind: 'failure', reason, isUnanswerable };
    if (this.#isTold) {
      this.#options.updates.failed(key, reason, isUnanswerable);
      this.#endIfOver(key);
    } else this.#tellAllIfReady();
  }

  end(): void {
    clearTimeout(this.#patience);
    for (const { stop } of this.#followed.values()) stop.abort();
  }

  #follow(key: string, name: string): void {
    if (this.#followed.has(key)) return;
    const stop = new AbortController();
    this.#followed.set(key, { stop, answer: { kind: 'none' } });
    if (!this.#isTold) this.#awaited.add(key);
    this.#options.follow(key, name, stop.signal);
  }

  /** What was told before the source failed is known, whether its query succeeds now or not. */
  #tellAllIfReady(): void {
    if (this.#isTold || this.#names === null) return;
    // Each answer of thousands comes here: only up to the first that is awaited still is looked at.
    for (const key of this.#awaited) {
      if (!this.#isAnswered(key)) return;
      this.#awaited.delete(key);
    }
    this.#tellAll();
  }

  #isAnswered(key: string): boolean {
    const answer = this.#followed.get(key)?.answer;
    if (answer === undefined || answer.kind === 'result') return true;
    return answer.kind === 'failure' && (!this.#isPatient || answer.isUnanswerable || this.#options.told.has(key));
  }

  #tellAll(): void {
    if (this.#isTold) return;
    const { told, updates, selection } = this.#options;
    for (const [key, { answer }] of this.#followed)
      if (answer.kind === 'result' && answer.result.oldest !== null)
        told.set(key, discoveredAs(answer.result.oldest, selection, told.get(key)));
    this.#tell();
    this.#isTold = true;
    for (const [key, { answer }] of [...this.#followed])
      if (answer.kind === 'result') this.#take(key, answer.result);
      else if (answer.kind === 'failure') updates.failed(key, answer.reason, answer.isUnanswerable);
  }

  #take(key: string, result: ServiceResult): void {
    const { told, emit, updates, selection } = this.#options;
    const before = told.get(key);
    if (result.oldest === null) {
      updates.forget(key);
      // Also where it was not told: its query may have failed before.
      emit({ kind: 'gone', key });
      if (told.delete(key)) this.#tell();
      this.#endIfOver(key);
      return;
    }
    const now = discoveredAs(result.oldest, selection, before);
    told.set(key, now);
    if (now !== before) this.#tell();
    updates.received(key, { ...result, unreadable: [...result.unreadable, ...leftOutOf(result.oldest, selection)] });
  }

  #isListed(key: string): boolean {
    return (this.#listed.get(key) ?? 0) > 0;
  }

  #endIfOver(key: string): void {
    const followed = this.#followed.get(key);
    const isOver = followed?.answer.kind !== 'none' && !this.#options.told.has(key);
    if (followed === undefined || !isOver || this.#names === null || this.#isListed(key)) return;
    this.#followed.delete(key);
    followed.stop.abort();
  }

  #tell(): void {
    const { emit, key, told } = this.#options;
    emit({ kind: 'discovered', key, services: [...told.values()] });
  }
}

/** Those that the others are not among, with their keys. */
function without(names: ReadonlySet<string>, others: ReadonlySet<string>): readonly (readonly [string, string])[] {
  return [...names].filter((name) => !others.has(name)).map((name) => [keyOfDiscovered(name), name]);
}
