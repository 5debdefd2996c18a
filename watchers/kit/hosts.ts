/** Looks up host names again and again with the resolver of the system, for every watcher in the same way. */
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { describe } from '../../src/errors.ts';
import { pause } from '../../src/lib/time/retry.ts';
import type { Ms } from '../../src/model.ts';

export type Host =
  /** The first lookup is not done yet. */
  | { readonly kind: 'awaited' }
  /** No lookup has found an address so far. */
  | { readonly kind: 'unresolved'; readonly reason: string }
  /** Sorted. With a `trouble`, the last lookup failed and these are the addresses before that. */
  | { readonly kind: 'resolved'; readonly addresses: readonly string[]; readonly trouble: string | null };

/** Resolves to at least one address. */
export type LookUp = (host: string) => Promise<readonly string[]>;

export const lookUpHere: LookUp = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

/** By name. Outlives a failure of the source, so that a failing resolver after that removes no endpoint. */
export type HostMemory = Map<string, readonly string[]>;

type HostsOptions = { readonly lookUp?: LookUp; readonly memory?: HostMemory };

/** The system's resolver does not show how long its result is valid. */
const everyMs: Ms = 10_000;
/** The longest wait for a lookup. The system's resolver may try for much longer. */
const patienceMs: Ms = 5000;
const mostRemembered = 10_000;

const awaited: Host = { kind: 'awaited' };

type Followed = { host: Host; readonly by: Set<string>; readonly stop: AbortController; readonly ended: Promise<void> };
type Follower = { readonly names: ReadonlySet<string>; readonly onChange: () => void };

export class Hosts implements AsyncDisposable {
  readonly #lookUp: LookUp;
  readonly #memory: HostMemory;
  readonly #followed = new Map<string, Followed>();
  readonly #followers = new Map<string, Follower>();

  constructor({ lookUp = lookUpHere, memory = new Map() }: HostsOptions = {}) {
    this.#lookUp = lookUp;
    this.#memory = memory;
  }

  /** `who` follows these names instead of those before. `onChange` is called for later changes, not for what is known already. */
  follow(who: string, names: ReadonlySet<string>, onChange: () => void): void {
    const before = this.#followers.get(who)?.names ?? none;
    if (names.size === 0) this.#followers.delete(who);
    else this.#followers.set(who, { names, onChange });
    for (const name of names) this.#begin(name).by.add(who);
    for (const name of before) if (!names.has(name)) this.#leave(name, who);
  }

  end(who: string): void {
    this.follow(who, none, () => {});
  }

  get(name: string): Host {
    return this.#followed.get(name)?.host ?? awaited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#followed.values()];
    for (const { stop } of all) stop.abort();
    await Promise.all(all.map(({ ended }) => ended));
  }

  #begin(name: string): Followed {
    const known = this.#followed.get(name);
    if (known !== undefined) return known;
    const stop = new AbortController();
    const followed = { host: awaited, by: new Set<string>(), stop, ended: this.#run(name, stop.signal) };
    this.#followed.set(name, followed);
    return followed;
  }

  #leave(name: string, who: string): void {
    const followed = this.#followed.get(name);
    followed?.by.delete(who);
    if (followed === undefined || followed.by.size > 0) return;
    followed.stop.abort();
    this.#followed.delete(name);
    this.#memory.delete(name);
  }

  async #run(name: string, signal: AbortSignal): Promise<void> {
    // While a lookup hangs, no second one is started.
    let asked: Promise<readonly string[]> | null = null;
    while (!signal.aborted) {
      asked ??= this.#lookUp(name).finally(() => {
        asked = null;
      });
      const found = await inTime(asked, signal).then(
        (addresses) => resolvedTo(addresses),
        (error: unknown) => this.#failed(name, error),
      );
      if (signal.aborted) return;
      this.#set(name, found);
      await pause(everyMs, signal);
    }
  }

  #failed(name: string, error: unknown): Host {
    const reason = `cannot resolve ${JSON.stringify(name)}: ${describe(error)}`;
    const addresses = this.#memory.get(name);
    return addresses === undefined ? { kind: 'unresolved', reason } : { kind: 'resolved', addresses, trouble: reason };
  }

  #set(name: string, host: Host): void {
    const followed = this.#followed.get(name);
    if (followed === undefined) return;
    if (host.kind === 'resolved') this.#remember(name, host.addresses);
    const isSame = JSON.stringify(followed.host) === JSON.stringify(host);
    followed.host = host;
    if (!isSame) for (const who of followed.by) this.#followers.get(who)?.onChange();
  }

  /** Bounds the memory: names that are not used any more after a failure are forgotten some day. */
  #remember(name: string, addresses: readonly string[]): void {
    this.#memory.delete(name);
    this.#memory.set(name, addresses);
    for (const oldest of this.#memory.keys()) {
      if (this.#memory.size <= mostRemembered) return;
      this.#memory.delete(oldest);
    }
  }
}

function resolvedTo(addresses: readonly string[]): Host {
  return { kind: 'resolved', addresses: [...new Set(addresses)].sort(), trouble: null };
}

const none: ReadonlySet<string> = new Set();

export type Family = 'prefer4' | 'prefer6' | 'both';

/** The addresses of the preferred family, or all where there are none. */
export function ofFamily(addresses: readonly string[], family: Family): readonly string[] {
  if (family === 'both') return addresses;
  const preferred = addresses.filter((address) => isIPv6(address) === (family === 'prefer6'));
  return preferred.length > 0 ? preferred : addresses;
}

/** Rejects when `signal` aborts or the time is over. The lookup itself cannot be cancelled. */
async function inTime<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: given, reject } = Promise.withResolvers<never>();
  const giveUp = (): void => reject(signal.reason);
  const timer = setTimeout(() => reject(new Error(`no answer within ${patienceMs / 1000} s`)), patienceMs);
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([work, given]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', giveUp);
  }
}
