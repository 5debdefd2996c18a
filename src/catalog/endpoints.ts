/** Sorts endpoints and removes duplicates, so that the same endpoints make the same list in any order. */
import { parseAddress } from '../lib/net/address.ts';
import type { Endpoint, Unfit } from '../model.ts';

/** Sorted by id, address and port; of endpoints with the same address and port only one. */
export function arrange(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  if (endpoints.length < 2) return endpoints;
  const best = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const place = placeOf(endpoint);
    const other = best.get(place);
    if (other === undefined || prefer(endpoint, other) < 0) best.set(place, endpoint);
  }
  return [...best.values()].sort(byIdentity);
}

/** `first`, and the endpoints of `second` at other addresses and ports. Both lists and the result are arranged. */
export function union(first: readonly Endpoint[], second: readonly Endpoint[]): readonly Endpoint[] {
  const places = new Set(first.map(placeOf));
  const more = second.filter((endpoint) => !places.has(placeOf(endpoint)));
  return more.length === 0 ? first : [...first, ...more].sort(byIdentity);
}

export function equalLists(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  return a === b || (a.length === b.length && a.every((endpoint, at) => equal(endpoint, b[at])));
}

function equal(a: Endpoint, b: Endpoint | undefined): boolean {
  return (
    b !== undefined &&
    a.id === b.id &&
    a.address === b.address &&
    a.port === b.port &&
    a.weight === b.weight &&
    a.state === b.state &&
    details(a) === details(b)
  );
}

/** Endpoints of two lists are the same one if this is equal, whatever their ids are. */
export function placeOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}

/** The places and ids of unfit endpoints. Does not throw, whatever it receives. */
export function namesOf(unfit: readonly Unfit[] = []): ReadonlySet<string> {
  const names = new Set<string>();
  for (const one of Array.isArray(unfit) ? (unfit as readonly unknown[]) : []) {
    const { id, address, port } = (one ?? {}) as Partial<Record<keyof Unfit, unknown>>;
    names.add(`id ${String(id)}`);
    names.add(`${typeof address === 'string' ? (parseAddress(address)?.text ?? '') : ''} ${String(port)}`);
  }
  return names;
}

/** The number of endpoints of which these are the names. */
export function countNamed(names: ReadonlySet<string>): number {
  return [...names].filter((name) => name.startsWith('id ')).length;
}

/** By its place, or by its id, since its address may have changed as well. */
export function isNamedIn(names: ReadonlySet<string>, endpoint: Endpoint): boolean {
  return names.has(placeOf(endpoint)) || names.has(`id ${endpoint.id}`);
}

export function equalNames(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((name) => b.has(name));
}

function byIdentity(a: Endpoint, b: Endpoint): number {
  return compare(a.id, b.id) || compare(a.address, b.address) || a.port - b.port;
}

/**
 * Compares two endpoints at one address and port. A ready one wins: after a registration with a new id the old entry
 * drains for a while, and must not drain the new one.
 */
function prefer(a: Endpoint, b: Endpoint): number {
  if (a.state !== b.state) return a.state === 'ready' ? -1 : 1;
  return compare(a.id, b.id) || b.weight - a.weight || compare(details(a), details(b));
}

/** The keys of `meta` are sorted (`admit`). */
function details({ tags, meta, origin }: Endpoint): string {
  return tags === undefined && meta === undefined && origin === undefined ? '' : JSON.stringify([tags, meta, origin]);
}

/** By code unit, so that the order does not depend on the language of the machine. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
