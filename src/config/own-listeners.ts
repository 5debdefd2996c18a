/** Where Myelin and its HAProxy listen for TCP, according to this config. */

import { type Chunk, SortedMap } from '../lib/sorted-map.ts';
import type { Config, Service } from './schema.ts';
import { judgeless, type Listener, listenersOf } from './validate/check-binds.ts';

/** `host` null: on every address. */
type OwnListener = { readonly host: string | null; readonly port: number; readonly text: string };

/** Of thousands of services only a few change at a time, so their listeners are cached. */
const known = new WeakMap<Service, readonly OwnListener[]>();

export function ownListeners({ services, frontends, haproxy, admin, probes }: Config): readonly OwnListener[] {
  const others = listenersOf({ rest: { frontends, haproxy, admin, probes }, services: new Map() }, judgeless).flatMap(
    ofListener,
  );
  return [
    ...others,
    ...(services instanceof SortedMap ? services.chunks.flatMap(ofChunk) : ofServices(services.values())),
  ];
}

/** Of a chunk of services, which mostly have none. */
const knownOfChunk = new WeakMap<Chunk<Service>, readonly OwnListener[]>();

function ofChunk(chunk: Chunk<Service>): readonly OwnListener[] {
  const before = knownOfChunk.get(chunk);
  if (before !== undefined) return before;
  const its = ofServices(chunk.values);
  knownOfChunk.set(chunk, its);
  return its;
}

function ofServices(services: Iterable<Service>): readonly OwnListener[] {
  const all: OwnListener[] = [];
  for (const service of services) {
    const { name, bind = [], frontend } = service;
    if (bind.length > 0 || frontend.length > 0) for (const one of ofService(name, service)) all.push(one);
  }
  return all;
}

function ofService(name: string, service: Service): readonly OwnListener[] {
  const before = known.get(service);
  if (before !== undefined) return before;
  const its = listenersOf({ rest: {}, services: new Map([[name, service]]) }, judgeless).flatMap(ofListener);
  known.set(service, its);
  return its;
}

/** A listener in another network namespace is not at the addresses of this machine. */
function ofListener({ address, text }: Listener): OwnListener[] {
  if (address.kind !== 'tcp' || address.namespace !== null) return [];
  const { host, port, portEnd } = address;
  return Array.from({ length: portEnd - port + 1 }, (_, at) => ({ host, port: port + at, text }));
}
