/** Instances whose address is a host name, as of external services: their endpoints are at the addresses of that name. Pure. */
import { parseAddress } from '../../../src/lib/net/address.ts';
import type { Endpoint, Unfit, Unreadable } from '../../../src/model.ts';
import { type Host, ofFamily } from '../../kit/hosts.ts';
import type { ServiceEndpoints } from './endpoints.ts';

/** Recognises host names only. The catalog refuses whatever else is no address. */
export function isHostName(address: string): boolean {
  return hostName.test(address) && address.length <= 253 && parseAddress(address) === null;
}

/** The last part begins with a letter: a resolver reads other names as the numbers of an address. */
const hostName = /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?\.?$/i;

/** At most `most` names: first those of endpoints, then those of unfit instances. */
export function hostNamesIn({ endpoints, unfit }: ServiceEndpoints, most: number): ReadonlySet<string> {
  const names = new Set<string>();
  for (const list of [endpoints, unfit])
    for (const { address } of list) {
      if (names.size === most) return names;
      if (isHostName(address)) names.add(address);
    }
  return names;
}

export type Resolved = ServiceEndpoints & {
  /** Instances that are left out, or that keep former addresses, and why. */
  readonly unreadable: readonly Unreadable[];
  /** A name has not been looked up yet. */
  readonly isAwaiting: boolean;
  /** Why a name has no addresses; null: all names have some. */
  readonly unresolved: string | null;
};

/** `hostOf`: what is known of a name, or why it is not looked up. */
export function resolve(
  result: ServiceEndpoints,
  hostOf: (name: string) => Host | { readonly refusal: string },
): Resolved {
  const unreadable: Unreadable[] = [];
  const endpoints: Endpoint[] = [];
  let unresolved: string | null = null;
  let isAwaiting = false;
  for (const endpoint of result.endpoints) {
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
        for (const one of atAddresses(endpoint, host.addresses)) endpoints.push(one);
        if (host.trouble !== null) unreadable.push({ id, reason: `${host.trouble}; its last addresses serve on` });
    }
  }
  const unfit = result.unfit.flatMap((one) => {
    const host = isHostName(one.address) ? hostOf(one.address) : null;
    return host !== null && 'kind' in host && host.kind === 'resolved' ? atAddresses(one, host.addresses) : [one];
  });
  return { endpoints, unfit, unreadable, isAwaiting, unresolved };
}

/** A single address may change and stays the same server; several addresses are a server each. */
function atAddresses<One extends Unfit>(one: One, all: readonly string[]): readonly One[] {
  const addresses = ofFamily(all, 'prefer4');
  if (addresses.length === 1) return addresses.map((address) => ({ ...one, address }));
  return addresses.map((address) => ({ ...one, id: `${one.id}@${address}`, address }));
}
