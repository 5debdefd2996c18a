/**
 * Instances whose address is the name of a host, as of external services: left out, or with the addresses of the name, at
 * each result and whenever a name stands for others.
 */
import { parseAddress } from '../../src/lib/net/address.ts';
import type { Endpoint, Unfit, Unreadable } from '../../src/model.ts';
import { type Host, type Hosts, ofFamily } from '../kit/hosts.ts';
import type { Watching } from '../kit/watching.ts';
import type { Found } from './endpoints.ts';
import type { ConsulSettings } from './settings.ts';

type NamingOptions = {
  readonly settings: Pick<ConsulSettings, 'hostNames' | 'maxServers'>;
  readonly hosts: Hosts;
  readonly emit: Watching<unknown>['emit'];
};

type Result = {
  readonly found: Found;
  readonly unreadable: readonly Unreadable[];
  readonly names: ReadonlySet<string>;
};

export class Naming {
  readonly #options: NamingOptions;
  /** Of queries whose last word was a result. */
  readonly #results = new Map<string, Result>();
  readonly #emitted = new Set<string>();

  constructor(options: NamingOptions) {
    this.#options = options;
  }

  /** `unreadable`: what else is to be said of this result. */
  received(key: string, found: Found, unreadable: readonly Unreadable[]): void {
    const { settings, hosts } = this.#options;
    const names = settings.hostNames === 'resolve' ? namesIn(found, settings.maxServers) : new Set<string>();
    this.#results.set(key, { found, unreadable, names });
    hosts.follow(key, names, () => this.#emit(key));
    this.#emit(key);
  }

  /** What was said last holds on, whatever becomes of the names in it. */
  failed(key: string, reason: string, isUnanswerable: boolean): void {
    this.#results.delete(key);
    this.#options.emit({ kind: 'stale', key, reason, ...(isUnanswerable && { isUnanswerable }) });
  }

  #emit(key: string): void {
    const result = this.#results.get(key);
    if (result === undefined) return;
    const { hosts, emit } = this.#options;
    const served = withAddresses(result.found, (name) =>
      result.names.has(name) ? hosts.get(name) : { refusal: this.#whyNot(name) },
    );
    switch (served.kind) {
      case 'stale':
        emit({ kind: 'stale', key, reason: served.reason, isUnanswerable: true });
        return;
      case 'served': {
        const { endpoints, unfit, isAwaiting } = served;
        // What is news of the others does not wait for a resolver that hangs.
        if (isAwaiting && (endpoints.length === 0 || !this.#emitted.has(key))) return;
        this.#emitted.add(key);
        emit({ kind: 'endpoints', key, endpoints, unfit, unreadable: [...result.unreadable, ...served.unreadable] });
      }
    }
  }

  #whyNot(name: string): string {
    const { hostNames, maxServers } = this.#options.settings;
    if (hostNames === 'resolve') return `no more than ${maxServers} names are looked up (maxServers)`;
    return `its address is the host ${JSON.stringify(name)}; to accept it, write hostNames: resolve`;
  }
}

type Served =
  /** Nobody is left but names that cannot be resolved. */
  | { readonly kind: 'stale'; readonly reason: string }
  | ({
      readonly kind: 'served';
      readonly unreadable: readonly Unreadable[];
      /** A name has yet to be looked up. */
      readonly isAwaiting: boolean;
    } & Found);

/** Names in this form only: what else is no address, the catalog refuses. */
export function isHostName(address: string): boolean {
  return hostName.test(address) && address.length <= 253 && parseAddress(address) === null;
}

/** The last part begins with a letter: a resolver would take others for the numbers of an address. */
const hostName = /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?\.?$/i;

/** The first `most` names of those that serve and then of others. */
function namesIn({ endpoints, unfit }: Found, most: number): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { address } of [...endpoints, ...unfit]) {
    if (names.size === most) break;
    if (isHostName(address)) names.add(address);
  }
  return names;
}

/** `hostOf`: what is known of a name, or why it is not looked up. */
function withAddresses(found: Found, hostOf: (name: string) => Host | { readonly refusal: string }): Served {
  const unreadable: Unreadable[] = [];
  const endpoints: Endpoint[] = [];
  let unresolved: string | null = null;
  let isAwaiting = false;
  for (const endpoint of found.endpoints) {
    const { id, address } = endpoint;
    if (!isHostName(address)) {
      endpoints.push(endpoint);
      continue;
    }
    const host = hostOf(address);
    if ('refusal' in host) {
      unreadable.push({ id, reason: host.refusal });
      continue;
    }
    switch (host.kind) {
      case 'awaited':
        isAwaiting = true;
        break;
      case 'unresolved':
        unresolved ??= host.reason;
        unreadable.push({ id, reason: host.reason });
        break;
      case 'resolved':
        for (const one of placesOf(endpoint, host.addresses)) endpoints.push(one);
        if (host.trouble !== null) unreadable.push({ id, reason: `${host.trouble}; its last addresses serve on` });
    }
  }
  if (endpoints.length === 0 && unresolved !== null && !isAwaiting) return { kind: 'stale', reason: unresolved };
  const unfit = found.unfit.flatMap((one) => {
    const host = isHostName(one.address) ? hostOf(one.address) : null;
    return host !== null && 'kind' in host && host.kind === 'resolved' ? placesOf(one, host.addresses) : [one];
  });
  return { kind: 'served', endpoints, unfit, unreadable, isAwaiting };
}

/** An only address may change and is the same server; several are servers of their own. */
function placesOf<One extends Unfit>(one: One, all: readonly string[]): readonly One[] {
  const addresses = ofFamily(all, 'prefer4');
  if (addresses.length === 1) return addresses.map((address) => ({ ...one, address }));
  return addresses.map((address) => ({ ...one, id: `${one.id}@${address}`, address }));
}
