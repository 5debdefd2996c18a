/** Which port of a Service a query means, and which number that is in each of its EndpointSlices. Pure. */
import type { EndpointSlice, Service } from './api/objects.ts';

/** `name` is that of the Service's port, '' where it has none: slices carry the same name. */
export type ChosenPort =
  | { readonly kind: 'named'; readonly name: string }
  /** A headless Service without ports: the number is the endpoints' own. */
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'none'; readonly reason: string };

export type ServedPort = Exclude<ChosenPort, { kind: 'none' }>;

/** A named port goes first, then a number, then what `targetPort` says; without a wish there must be one TCP port. */
export function choosePort({ spec }: Service, wanted: string | number | undefined): ChosenPort {
  const ports = spec.ports.filter(({ protocol }) => protocol === 'TCP');
  if (wanted === undefined) {
    const [only, second] = ports;
    if (only !== undefined && second === undefined) return named(only);
    return {
      kind: 'none',
      reason:
        ports.length === 0 ? `has no TCP port${others(spec.ports)}` : `has several ports: name one${known(ports)}`,
    };
  }
  // In the config `port: "5432"` is as good as `port: 5432`.
  const number = typeof wanted === 'number' ? wanted : /^\d+$/.test(wanted) ? Number(wanted) : undefined;
  const found =
    number === undefined
      ? (ports.find(({ name }) => name === wanted) ?? ports.find(({ targetPort }) => targetPort === wanted))
      : (ports.find(({ port }) => port === number) ?? ports.find(({ targetPort }) => targetPort === number));
  if (found !== undefined) return named(found);
  if (number !== undefined && spec.ports.length === 0 && spec.clusterIP === 'None') return { kind: 'number', number };
  return { kind: 'none', reason: `has no TCP port ${JSON.stringify(wanted)}${known(ports)}${others(spec.ports)}` };
}

/** The port at which the endpoints of this slice result; slices of one Service may differ. Undefined: not at all. */
export function portIn(slice: EndpointSlice, chosen: ServedPort): number | undefined {
  if (chosen.kind === 'number') return chosen.number;
  return slice.ports.find(({ name, protocol }) => name === chosen.name && protocol === 'TCP')?.port;
}

/**
 * Whether the slice has the ports that the Service has now. Of those that pods know by a name each pod may lack some, but
 * not all: what has none at all says nothing.
 */
export function isWrittenFor({ ports }: EndpointSlice, { spec }: Service): boolean {
  const has = (list: readonly Named[], { name = '', protocol }: Named): boolean =>
    list.some((one) => (one.name ?? '') === name && one.protocol === protocol);
  const ofEveryPod = spec.ports.filter(({ targetPort }) => typeof targetPort !== 'string');
  return (
    ports.length > 0 && ports.every((port) => has(spec.ports, port)) && ofEveryPod.every((port) => has(ports, port))
  );
}

type Named = { readonly name?: string | undefined; readonly protocol: string };

function named({ name = '' }: Service['spec']['ports'][number]): ChosenPort {
  return { kind: 'named', name };
}

/** As a query would name it. */
export function describePort(chosen: ServedPort): string {
  return chosen.kind === 'number' ? `${chosen.number}` : JSON.stringify(chosen.name);
}

/** In parentheses, for a message. */
export function portsOf({ ports }: EndpointSlice): string {
  return known(ports);
}

/** The author of a Service decides how many ports there are. */
const mostTold = 10;

function known(ports: readonly { readonly name?: string | undefined; readonly port?: number | undefined }[]): string {
  if (ports.length === 0) return '';
  const told = ports
    .slice(0, mostTold)
    .map(({ name = '', port = '' }) => (name === '' ? `${port}` : `${name}: ${port}`))
    .join(', ');
  return ` (it has ${told}${ports.length > mostTold ? `, and ${ports.length - mostTold} more` : ''})`;
}

function others(ports: Service['spec']['ports']): string {
  const protocols = [...new Set(ports.map(({ protocol }) => protocol).filter((protocol) => protocol !== 'TCP'))];
  return protocols.length === 0 ? '' : `; ${protocols.join(' and ')} ports are not served`;
}
