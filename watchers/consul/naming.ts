/** Puts the addresses of names into what Consul says, at each answer and whenever a name stands for others. */

import type { Unreadable, Update } from '../../src/model.ts';
import type { Hosts } from '../kit/hosts.ts';
import type { Found } from './endpoints.ts';
import { namesIn, withAddresses } from './names.ts';
import type { ConsulSettings } from './settings.ts';

type NamingOptions = {
  readonly settings: Pick<ConsulSettings, 'hostNames' | 'maxServers'>;
  readonly hosts: Hosts;
  readonly tell: (update: Exclude<Update, { readonly kind: 'synced' }>) => void;
};

type Answer = {
  readonly found: Found;
  readonly unreadable: readonly Unreadable[];
  readonly names: ReadonlySet<string>;
};

export class Naming {
  readonly #options: NamingOptions;
  /** Of questions whose last word was an answer. */
  readonly #answers = new Map<string, Answer>();
  readonly #told = new Set<string>();

  constructor(options: NamingOptions) {
    this.#options = options;
  }

  /** `unreadable`: what else is to be told of this answer. */
  answered(key: string, found: Found, unreadable: readonly Unreadable[]): void {
    const { settings, hosts } = this.#options;
    const names = settings.hostNames === 'resolve' ? namesIn(found, settings.maxServers) : new Set<string>();
    this.#answers.set(key, { found, unreadable, names });
    hosts.follow(key, names, () => this.#tell(key));
    this.#tell(key);
  }

  /** What was told last holds on, whatever becomes of the names in it. */
  failed(key: string): void {
    this.#answers.delete(key);
  }

  #tell(key: string): void {
    const answer = this.#answers.get(key);
    if (answer === undefined) return;
    const { hosts, tell } = this.#options;
    const served = withAddresses(answer.found, (name) =>
      answer.names.has(name) ? hosts.get(name) : { refusal: this.#whyNot(name) },
    );
    switch (served.kind) {
      case 'stale':
        tell({ kind: 'stale', key, reason: served.reason, isUnanswerable: true });
        return;
      case 'served': {
        const { endpoints, unfit, isAwaiting } = served;
        // What is news of the others does not wait for a resolver that hangs.
        if (isAwaiting && (endpoints.length === 0 || !this.#told.has(key))) return;
        this.#told.add(key);
        tell({ kind: 'endpoints', key, endpoints, unfit, unreadable: [...answer.unreadable, ...served.unreadable] });
      }
    }
  }

  #whyNot(name: string): string {
    const { hostNames, maxServers } = this.#options.settings;
    if (hostNames === 'resolve') return `no more than ${maxServers} names are looked up (maxServers)`;
    return `its address is the host ${JSON.stringify(name)}; to accept it, write hostNames: resolve`;
  }
}
