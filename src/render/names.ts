/** Server names: an endpoint's identity at its source, as a name that HAProxy, its commands and its logs can hold. */
import { createHash } from 'node:crypto';
import type { Endpoint } from '../model.ts';

export type Named = { readonly name: string; readonly endpoint: Endpoint };

const maxLength = 60;

/**
 * `text` unchanged where it is a valid name; else reduced to `[A-Za-z0-9_.:-]` and 60 characters, with a short hash of
 * the whole, so that different texts stay different. A name that this function made is returned unchanged.
 */
export function identifier(text: string): string {
  // A leading `-` looks like an option, and a bare number like an index in HAProxy's commands.
  if (/^[A-Za-z0-9_.:-]+$/.test(text) && text.length <= maxLength && !/^(-|\d+$)/.test(text)) return text;
  return tagged(text, text);
}

/** Each endpoint with its unique name; sorted by identity, so that the order of the endpoints does not matter. */
export function nameServers(endpoints: readonly Endpoint[]): Named[] {
  const taken = new Set<string>();
  return endpoints.toSorted(byIdentity).map((endpoint) => {
    let name = identifier(endpoint.id);
    for (let round = 0; taken.has(name); round++)
      name = tagged(endpoint.id, `${endpoint.id}\n${endpoint.address}:${endpoint.port}\n${round}`);
    taken.add(name);
    return { name, endpoint };
  });
}

/** By name; or, with a host name, shuffled by it: each host has its own order, and an added server moves no other. */
export function orderServers(servers: readonly Named[], hostname: string | null): Named[] {
  const rank = (name: string): string => (hostname === null ? '' : sha256(`${hostname}\n${name}`));
  return servers
    .map((server) => ({ server, key: `${rank(server.name)} ${server.name}` }))
    .sort((a, b) => compare(a.key, b.key))
    .map(({ server }) => server);
}

function byIdentity(a: Endpoint, b: Endpoint): number {
  return compare(a.id, b.id) || compare(a.address, b.address) || a.port - b.port;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function tagged(text: string, whole: string): string {
  const tag = sha256(whole).slice(0, 8);
  const reduced = text.replace(/[^A-Za-z0-9_.:-]+/g, '_').replace(/^[-_]+/, '');
  return `${reduced.slice(0, maxLength - tag.length - 1) || 'server'}-${tag}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
