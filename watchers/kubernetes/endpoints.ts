/**
 * Which endpoints a Service has for this HAProxy: its slices merged, then chosen by readiness, place and family, in the
 * manner of kube-proxy (pkg/proxy/topology.go). Pure.
 */

import type { Endpoint, EndpointOrigin, Unfit, Unreadable } from '../../src/model.ts';
import type { EndpointSlice, Service, SliceEndpoint } from './api/objects.ts';
import { choosePort, describePort, isWrittenFor, portIn, portsOf, type ServedPort } from './ports.ts';
import type { KubernetesSettings } from './settings.ts';

export type Choice = Pick<KubernetesSettings, 'zone' | 'zonePolicy' | 'node' | 'family'> & {
  readonly port?: string | number | undefined;
};

export type Selected =
  | {
      readonly kind: 'endpoints';
      readonly endpoints: readonly Endpoint[];
      /** Other endpoints in the slices: not ready, or not for this HAProxy. */
      readonly unfit: readonly Unfit[];
      /** No endpoints, but there are pods, in slices that are older than the Service's last change. */
      readonly isUnsettled: boolean;
      /** Slices have endpoints, but not at this port: one of them, and why. */
      readonly unmatched: Unreadable | null;
    }
  /** The query cannot be answered, for this reason. */
  | { readonly kind: 'refused'; readonly reason: string };

export function selectEndpoints(service: Service, slices: readonly EndpointSlice[], choice: Choice): Selected {
  const chosen = choosePort(service, choice.port);
  if (chosen.kind === 'none') return { kind: 'refused', reason: `${nameOf(service)} ${chosen.reason}` };
  const served = slices.flatMap((slice) => {
    const port = portIn(slice, chosen);
    return port === undefined ? [] : [{ slice, port }];
  });
  // A port that was renamed: the Service says so before its slices do, and its pods are there all the while.
  const isUnsettled = served.length === 0 && slices.some((slice) => isAnyoneIn(slice) && !isWrittenFor(slice, service));
  const found = served.flatMap(({ slice, port }) => candidatesOf(slice, port));
  const there = merge(found);
  const usable = ofFamily(there, choice.family).filter(({ condition }) => condition !== 'unfit');
  const endpoints = withIds(inUse(usable, service, choice), choice, service.metadata.namespace);
  return {
    kind: 'endpoints',
    endpoints,
    unfit: unfitOf(there, endpoints),
    isUnsettled,
    unmatched: served.length > 0 ? null : unmatchedIn(slices, chosen),
  };
}

function unmatchedIn(slices: readonly EndpointSlice[], chosen: ServedPort): Unreadable | null {
  const slice = slices.find(isAnyoneIn);
  if (slice === undefined) return null;
  const { name } = slice.metadata;
  return { id: name, reason: `the EndpointSlice ${name} has no TCP port ${describePort(chosen)}${portsOf(slice)}` };
}

export function nameOf({ metadata }: Service): string {
  return `the Service ${metadata.namespace}/${metadata.name}`;
}

/** `leaving`: it is being shut down, and still answers; `unfit`: it gets no traffic. */
type Condition = 'ready' | 'leaving' | 'unfit';

export type Candidate = {
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6 | undefined;
  readonly condition: Condition;
  readonly source: SliceEndpoint;
};

/**
 * Of a host name (addressType FQDN) the catalog says that it is refused. Addresses after the first have no meaning.
 */
export function candidatesOf({ addressType, endpoints }: EndpointSlice, port: number): Candidate[] {
  const family = addressType === 'IPv4' ? 4 : addressType === 'IPv6' ? 6 : undefined;
  return endpoints.flatMap((source) => {
    const [address] = source.addresses;
    return address === undefined ? [] : [{ address, port, family, condition: conditionOf(source), source }];
  });
}

function isAnyoneIn({ endpoints }: EndpointSlice): boolean {
  return endpoints.some((one) => one.addresses.length > 0 && conditionOf(one) !== 'unfit');
}

/**
 * Unknown counts as ready, serving and not terminating. With `publishNotReadyAddresses` the control plane itself says
 * ready, also of what is terminating.
 */
function conditionOf({ conditions: { ready = true, serving = true, terminating = false } }: SliceEndpoint): Condition {
  if (terminating) return ready || serving ? 'leaving' : 'unfit';
  return ready ? 'ready' : 'unfit';
}

/**
 * An endpoint that moves from slice to slice may stand in both for a moment: what is ready anywhere is ready. Of equals
 * the choice does not depend on the order in which the slices came.
 */
export function merge(candidates: readonly Candidate[]): Candidate[] {
  const merged = new Map<string, Candidate>();
  for (const candidate of candidates) {
    const other = merged.get(placeOf(candidate));
    if (other === undefined || isBetter(candidate, other)) merged.set(placeOf(candidate), candidate);
  }
  return [...merged.values()];
}

function isBetter(one: Candidate, other: Candidate): boolean {
  return (rank[one.condition] - rank[other.condition] || compare(JSON.stringify(one), JSON.stringify(other))) < 0;
}

const rank: Readonly<Record<Condition, number>> = { ready: 0, leaving: 1, unfit: 2 };

/** A pod with addresses of both families is one server; what belongs to nobody stands for itself, whatever its family. */
export function ofFamily(candidates: readonly Candidate[], family: Choice['family']): readonly Candidate[] {
  if (family === 'both') return candidates;
  const preferred = family === 'prefer4' ? 4 : 6;
  const reached = new Set(candidates.filter((one) => one.family === preferred).map(({ source }) => ownerOf(source)));
  return candidates.filter(({ family: its, source }) => {
    const owner = ownerOf(source);
    return its === undefined || its === preferred || owner === undefined || !reached.has(owner);
  });
}

function ownerOf({ targetRef }: SliceEndpoint): string | undefined {
  return targetRef?.name === undefined ? undefined : `${targetRef.kind} ${targetRef.name}`;
}

function unfitOf(there: readonly Candidate[], used: readonly Endpoint[]): Unfit[] {
  const places = new Set(used.map(placeOf));
  return there
    .filter((one) => !places.has(placeOf(one)))
    .map(({ address, port, source }) => ({ id: source.targetRef?.name ?? `${address}:${port}`, address, port }))
    .sort((a, b) => compare(placeOf(a), placeOf(b)));
}

export function placeOf({ address, port }: Pick<Endpoint, 'address' | 'port'>): string {
  return `${address} ${port}`;
}

type Used = Candidate & { readonly state: Endpoint['state'] };

function inUse(candidates: readonly Candidate[], { spec }: Service, choice: Choice): Used[] {
  // Without a node of ours nothing is local: the policy cannot be kept.
  const isLocal = spec.internalTrafficPolicy === 'Local' && choice.node !== undefined;
  const near = isLocal
    ? candidates.filter(({ source }) => source.nodeName === choice.node)
    : candidates.filter(placeFilter(candidates, choice));
  if (near.some(({ condition }) => condition === 'ready'))
    return near.map((one) => ({ ...one, state: one.condition === 'ready' ? 'ready' : 'draining' }));
  // No pod is ready: leaving pods that still serve get the traffic, as a last resort wherever they are.
  const strict = isLocal || choice.zonePolicy === 'only';
  return (strict ? near : candidates)
    .filter(({ condition }) => condition === 'leaving')
    .map((one) => ({ ...one, state: 'ready' }));
}

type Filter = (candidate: Candidate) => boolean;
const everywhere: Filter = () => true;

function placeFilter(candidates: readonly Candidate[], choice: Choice): Filter {
  const { zone, zonePolicy } = choice;
  const ready = candidates.filter(({ condition }) => condition === 'ready');
  const isHere: Filter = ({ source }) => source.zone === zone;
  switch (zonePolicy) {
    case 'ignore':
      return everywhere;
    case 'only':
      return isHere;
    case 'prefer':
      return ready.some(isHere) ? isHere : everywhere;
    case 'hints':
      return hintFilter(ready, choice);
  }
}

/** Hints count only when every ready endpoint has one and one of them is for us: else all are used. */
function hintFilter(ready: readonly Candidate[], { zone, node }: Choice): Filter {
  // A node's hint goes before a zone's. A leaving pod has no hint any more, but a place.
  const forNode: Filter = ({ source, condition }) =>
    condition === 'ready' ? (source.hints?.forNodes.includes(node ?? '') ?? false) : source.nodeName === node;
  const forZone: Filter = ({ source, condition }) =>
    condition === 'ready' ? (source.hints?.forZones.includes(zone ?? '') ?? false) : source.zone === zone;
  if (node !== undefined && ready.every(({ source }) => source.hints?.forNodes.length) && ready.some(forNode))
    return forNode;
  if (zone !== undefined && ready.every(({ source }) => source.hints?.forZones.length) && ready.some(forZone))
    return forZone;
  return everywhere;
}

/**
 * A pod's name is its server's, whatever its address; where both families are used that of the IPv6 address is NAME:v6.
 * What is no pod, and what would have the name of another, is known by where it is.
 */
function withIds(used: readonly Used[], { family: wanted }: Choice, namespace: string): Endpoint[] {
  const taken = new Set<string>();
  return used.toSorted(byIdentity).map(({ address, port, family, state, source }) => {
    const owner = source.targetRef?.name;
    const name = owner !== undefined && wanted === 'both' && family === 6 ? `${owner}:v6` : owner;
    const id = name === undefined || taken.has(name) ? `${address}:${port}` : name;
    taken.add(id);
    return { id, address, port, weight: 1, state, meta: metaOf(source), origin: originOf(source, namespace) };
  });
}

/** Of two with one name the one that stays, IPv4 before IPv6, gets it: the same on every machine. */
function byIdentity(a: Used, b: Used): number {
  return (
    rank[a.condition] - rank[b.condition] ||
    (a.family ?? 0) - (b.family ?? 0) ||
    compare(a.address, b.address) ||
    a.port - b.port
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function metaOf({ targetRef, nodeName, zone }: SliceEndpoint): Readonly<Record<string, string>> {
  return {
    ...(targetRef?.kind === 'Pod' && targetRef.name !== undefined ? { pod: targetRef.name } : {}),
    ...(nodeName === undefined ? {} : { node: nodeName }),
    ...(zone === undefined ? {} : { zone }),
  };
}

function originOf({ nodeName, zone }: SliceEndpoint, namespace: string): EndpointOrigin {
  return {
    namespace,
    ...(nodeName === undefined ? {} : { node: nodeName }),
    ...(zone === undefined ? {} : { zone }),
  };
}
