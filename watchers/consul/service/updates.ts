/** Turns the results of queries into updates: at each result, and whenever a host name in it gets other addresses. */
import type { Hosts } from '../../kit/hosts.ts';
import type { Watching } from '../../kit/watching.ts';
import type { ConsulSettings } from '../settings.ts';
import { hostNamesIn, resolve } from './host-names.ts';
import type { ServiceResult } from './result.ts';

type UpdatesOptions = {
  readonly settings: Pick<ConsulSettings, 'hostNames' | 'maxServers'>;
  readonly hosts: Hosts;
  readonly emit: Watching<unknown>['emit'];
};

type Result = Pick<ServiceResult, 'endpoints' | 'unfit' | 'unreadable'>;

export class Updates {
  readonly #options: UpdatesOptions;
  /** Of queries whose last result has host names: it, and the names that are looked up. */
  readonly #named = new Map<string, { readonly result: Result; readonly names: ReadonlySet<string> }>();
  readonly #emitted = new Set<string>();

  constructor(options: UpdatesOptions) {
    this.#options = options;
  }

  received(key: string, result: Result): void {
    const { settings, hosts, emit } = this.#options;
    if (hostNamesIn(result, 1).size === 0) {
      this.forget(key);
      this.#emitted.add(key);
      const { endpoints, unfit, unreadable } = result;
      emit({ kind: 'endpoints', key, endpoints, unfit, unreadable });
      return;
    }
    const names = settings.hostNames === 'resolve' ? hostNamesIn(result, settings.maxServers) : new Set<string>();
    this.#named.set(key, { result, names });
    hosts.follow(key, names, () => this.#emitResolved(key));
    this.#emitResolved(key);
  }

  /** The endpoints of the last result stay as they are, whatever becomes of the names in it. */
  failed(key: string, reason: string, isUnanswerable: boolean): void {
    this.#named.delete(key);
    this.#options.emit({ kind: 'stale', key, reason, ...(isUnanswerable && { isUnanswerable }) });
  }

  /** Nothing more is said of it. */
  forget(key: string): void {
    this.#named.delete(key);
    this.#options.hosts.end(key);
  }

  #emitResolved(key: string): void {
    const { hosts, emit } = this.#options;
    const named = this.#named.get(key);
    if (named === undefined) return;
    const { result, names } = named;
    const { endpoints, unfit, unreadable, isAwaiting, unresolved } = resolve(result, (name) =>
      names.has(name) ? hosts.get(name) : { refusal: this.#whyNot(name) },
    );
    if (endpoints.length === 0 && unresolved !== null && !isAwaiting) {
      emit({ kind: 'stale', key, reason: unresolved, isUnanswerable: true });
      return;
    }
    // A change of the other endpoints does not wait for a resolver that hangs.
    if (isAwaiting && (endpoints.length === 0 || !this.#emitted.has(key))) return;
    this.#emitted.add(key);
    emit({ kind: 'endpoints', key, endpoints, unfit, unreadable: [...result.unreadable, ...unreadable] });
  }

  #whyNot(name: string): string {
    const { hostNames, maxServers } = this.#options.settings;
    if (hostNames === 'resolve') return `no more than ${maxServers} names are looked up (maxServers)`;
    return `its address is the host ${JSON.stringify(name)}; to accept it, write hostNames: resolve`;
  }
}
