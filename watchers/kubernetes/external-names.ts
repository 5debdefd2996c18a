/** Services of type ExternalName: a host's addresses, looked up as any program here would, again and again. */
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import type { KubernetesQuery, KubernetesWatcherConfig } from '../../src/config/schema.ts';
import { describe } from '../../src/errors.ts';
import type { Endpoint, Ms } from '../../src/model.ts';
import { pause } from '../../src/retry.ts';
import { nameOf } from './endpoints.ts';
import type { Service } from './objects.ts';
import { choosePort } from './ports.ts';

type External =
  | { readonly kind: 'host'; readonly host: string; readonly port: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** What a Service of type ExternalName stands for; undefined for any other. */
export function externalOf(
  service: Service,
  { port }: Pick<KubernetesQuery, 'port'>,
  { externalName }: Pick<KubernetesWatcherConfig, 'externalName'>,
): External | undefined {
  const { spec } = service;
  if (spec.type !== 'ExternalName') return undefined;
  const host = spec.externalName ?? '';
  if (externalName === 'refuse')
    return {
      kind: 'refused',
      reason: `${nameOf(service)} stands for the host ${JSON.stringify(host)}; to accept it, write externalName: resolve`,
    };
  // An annotation is text.
  if (port !== undefined && /^\d+$/.test(`${port}`)) return { kind: 'host', host, port: Number(port) };
  const chosen = choosePort(service, port);
  const found = chosen.kind === 'named' && spec.ports.find(({ name = '' }) => name === chosen.name);
  if (found) return { kind: 'host', host, port: found.port };
  return { kind: 'refused', reason: `${nameOf(service)} needs a number as its port: it is of type ExternalName` };
}

/** The system's resolver does not say how long its answer holds. */
const everyMs: Ms = 10_000;

export type Heard = {
  readonly onEndpoints: (endpoints: readonly Endpoint[]) => void;
  /** The last addresses hold on. */
  readonly onFailure: (reason: string) => void;
};

type Followed = { readonly target: string; readonly stop: AbortController; readonly ended: Promise<void> };

/** The hosts that are looked up now, by the query that wants them. */
export class Hosts implements AsyncDisposable {
  readonly #followed = new Map<string, Followed>();
  readonly #family: KubernetesWatcherConfig['family'];

  constructor(family: KubernetesWatcherConfig['family']) {
    this.#family = family;
  }

  /** Goes on with what is followed already. */
  follow(query: string, host: string, port: number, heard: Heard): void {
    const target = `${host} ${port}`;
    if (this.#followed.get(query)?.target === target) return;
    this.end(query);
    const stop = new AbortController();
    const ended = followName(host, port, this.#family, heard, stop.signal);
    this.#followed.set(query, { target, stop, ended });
  }

  end(query: string): void {
    this.#followed.get(query)?.stop.abort();
    this.#followed.delete(query);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#followed.values()];
    for (const { stop } of all) stop.abort();
    await Promise.all(all.map(({ ended }) => ended));
  }
}

async function followName(
  host: string,
  port: number,
  family: KubernetesWatcherConfig['family'],
  { onEndpoints, onFailure }: Heard,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const found = (await lookup(host, { all: true })).map(({ address }) => address);
      if (signal.aborted) return;
      onEndpoints(chosen(found, family).map((address) => endpointOf(address, port)));
    } catch (error) {
      if (signal.aborted) return;
      onFailure(`cannot resolve ${JSON.stringify(host)}: ${describe(error)}`);
    }
    await pause(everyMs, signal);
  }
}

function chosen(found: readonly string[], family: KubernetesWatcherConfig['family']): readonly string[] {
  if (family === 'both') return found;
  const preferred = found.filter((address) => isIPv6(address) === (family === 'prefer6'));
  return preferred.length > 0 ? preferred : found;
}

function endpointOf(address: string, port: number): Endpoint {
  return { id: `${address}:${port}`, address, port, weight: 1, state: 'ready' };
}
