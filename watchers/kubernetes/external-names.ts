/** Services of type ExternalName: what they stand for, and what its addresses mean. Pure. */

import type { Endpoint } from '../../src/model.ts';
import { type Host, ofFamily } from '../kit/hosts.ts';
import type { Service } from './api/objects.ts';
import { nameOf } from './endpoints.ts';
import { choosePort } from './ports.ts';
import type { KubernetesQuery, KubernetesSettings } from './settings.ts';

type External =
  | { readonly kind: 'host'; readonly host: string; readonly port: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** What a Service of type ExternalName stands for; undefined for any other. */
export function externalOf(
  service: Service,
  { port }: Pick<KubernetesQuery, 'port'>,
  { externalName }: Pick<KubernetesSettings, 'externalName'>,
): External | undefined {
  const { spec } = service;
  if (spec.type !== 'ExternalName') return undefined;
  const host = spec.externalName ?? '';
  if (externalName === 'refuse')
    return {
      kind: 'refused',
      reason: `${nameOf(service)} stands for the host ${JSON.stringify(host)}; to accept it, write externalName: resolve`,
    };
  // The value of an annotation is always a text.
  if (port !== undefined && /^\d+$/.test(`${port}`)) return { kind: 'host', host, port: Number(port) };
  const chosen = choosePort(service, port);
  const found = chosen.kind === 'named' && spec.ports.find(({ name = '' }) => name === chosen.name);
  if (found) return { kind: 'host', host, port: found.port };
  return { kind: 'refused', reason: `${nameOf(service)} needs a number as its port: it is of type ExternalName` };
}

/** The result for a host: all of its addresses, each a server; null before the first lookup. */
export function resultOf(
  host: Host,
  port: number,
  family: KubernetesSettings['family'],
): { readonly endpoints: readonly Endpoint[] | null; readonly trouble: string | null } | null {
  switch (host.kind) {
    case 'awaited':
      return null;
    case 'unresolved':
      return { endpoints: null, trouble: host.reason };
    case 'resolved': {
      const endpoints = ofFamily(host.addresses, family).map((address) => endpointOf(address, port));
      return { endpoints, trouble: host.trouble };
    }
  }
}

function endpointOf(address: string, port: number): Endpoint {
  return { id: `${address}:${port}`, address, port, weight: 1, state: 'ready' };
}
