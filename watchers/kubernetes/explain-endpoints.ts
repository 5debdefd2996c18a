/** Why each endpoint in the slices of a Service gets traffic from this HAProxy or none, for people. Pure. */
import type { SourceInstance } from '../../src/model.ts';
import type { EndpointSlice, Service, SliceEndpoint } from './api/objects.ts';
import { type Candidate, type Choice, candidatesOf, merge, ofFamily, placeOf, selectEndpoints } from './endpoints.ts';
import { choosePort, describePort, portIn, portsOf, type ServedPort } from './ports.ts';

/** Nothing where the Service has no port to serve: that concerns them all. */
export function explainEndpoints(
  service: Service,
  slices: readonly EndpointSlice[],
  choice: Choice,
): readonly SourceInstance[] {
  const chosen = choosePort(service, choice.port);
  const selected = selectEndpoints(service, slices, choice);
  if (chosen.kind === 'none' || selected.kind !== 'endpoints') return [];
  const used = new Map(selected.endpoints.map((endpoint) => [placeOf(endpoint), endpoint.id]));
  const there = merge(
    slices.flatMap((slice) => {
      const port = portIn(slice, chosen);
      return port === undefined ? [] : candidatesOf(slice, port);
    }),
  );
  const ofOurs = new Set(ofFamily(there, choice.family));
  const known = there.map((one): SourceInstance => {
    const { address, port, source } = one;
    const id = used.get(placeOf(one)) ?? source.targetRef?.name ?? `${address}:${port}`;
    const unfit = used.has(placeOf(one)) ? null : whyUnused(service, one, choice, ofOurs.has(one));
    return { id, address, port, unfit, said: wordsOf(source) };
  });
  return [...known, ...slices.flatMap((slice) => withoutPort(slice, chosen)), ...slices.flatMap(withoutAddress)];
}

function whyUnused(service: Service, candidate: Candidate, choice: Choice, isOfFamily: boolean): string {
  const { condition, source } = candidate;
  if (condition === 'unfit') return stateOf(source);
  if (!isOfFamily)
    return `its pod has an address of the other family as well, which is used (\`family: ${choice.family}\`)`;
  const state = condition === 'leaving' ? `it is terminating, and ` : '';
  return `${state}${whyElsewhere(service, source, choice)}`;
}

/** Fit by itself, but not for this HAProxy. */
function whyElsewhere({ spec }: Service, { nodeName, zone, hints }: SliceEndpoint, choice: Choice): string {
  if (spec.internalTrafficPolicy === 'Local' && choice.node !== undefined)
    return `it is on ${nodeName ?? 'an unknown node'}, and \`internalTrafficPolicy: Local\` keeps to ${choice.node}`;
  if (choice.zonePolicy !== 'hints')
    return `it is in zone ${zone ?? 'unknown'}, and \`zonePolicy: ${choice.zonePolicy}\` keeps to ${choice.zone}`;
  const meant = [...(hints?.forNodes ?? []), ...(hints?.forZones ?? [])].join(', ') || 'none';
  const here = [choice.node, choice.zone].filter((place) => place !== undefined).join(', ');
  return `the cluster means it for ${meant}, and others for ${here} (\`zonePolicy: hints\`)`;
}

function withoutPort(slice: EndpointSlice, chosen: ServedPort): readonly SourceInstance[] {
  if (portIn(slice, chosen) !== undefined) return [];
  const unfit = `its EndpointSlice ${slice.metadata.name} has no TCP port ${describePort(chosen)}${portsOf(slice)}`;
  return slice.endpoints.flatMap((source) => {
    const [address] = source.addresses;
    return address === undefined
      ? []
      : [{ id: source.targetRef?.name ?? address, address, port: 0, unfit, said: wordsOf(source) }];
  });
}

function withoutAddress({ metadata, endpoints }: EndpointSlice): readonly SourceInstance[] {
  return endpoints
    .filter(({ addresses }) => addresses.length === 0)
    .map((source) => ({
      id: source.targetRef?.name ?? metadata.name,
      address: '',
      port: 0,
      unfit: `it has no address in the EndpointSlice ${metadata.name}`,
      said: wordsOf(source),
    }));
}

function wordsOf(source: SliceEndpoint): readonly string[] {
  const { nodeName, zone } = source;
  return [
    stateOf(source),
    ...(nodeName === undefined ? [] : [`on node ${nodeName}`]),
    ...(zone === undefined ? [] : [`in zone ${zone}`]),
  ];
}

/** Unknown counts as ready, serving and not terminating. */
function stateOf({ conditions: { ready = true, serving = true, terminating = false } }: SliceEndpoint): string {
  if (terminating) return serving ? 'it is terminating, and still serves' : 'it is terminating, and serves no more';
  return ready ? 'it is ready' : 'it is not ready';
}
