/** Every server of our backends: what its source says of it, beside what HAProxy says. */

import type { ManagedDriver } from '../apply/driver.ts';
import type { HealthView } from '../apply/runtime/health-view.ts';
import { servedEndpoints } from '../catalog/report.ts';
import type { ServerHealth } from '../haproxy/cli/stats.ts';
import { serverLines } from '../haproxy/text/text.ts';
import type { Instance } from '../instance/instance.ts';
import { hostPort } from '../lib/net/address.ts';
import { toWallClock } from '../lib/time/clock.ts';
import type { Moment, ServerOverride, Timestamp } from '../model.ts';
import type { OverrideStore } from '../reconcile/overrides/override-store.ts';

export type ServerStatus = {
  readonly service: string;
  readonly backend: string;
  readonly server: string;
  /** `ADDRESS:PORT`, or as the config has it. */
  readonly address: string;
  /** kept: it serves although no source names it any more; null: it is of no source, as a hand-written one. */
  readonly source: 'ready' | 'draining' | 'kept' | null;
  /** What an operator has set it to; null: nothing. */
  readonly order: ServerOverride | null;
  /** null: HAProxy does not have it, or does not answer. */
  readonly health: (Omit<ServerHealth, 'name' | 'address' | 'forSec'> & { readonly since: Timestamp }) | null;
};

type Parts = {
  readonly instance: Instance;
  readonly control: ManagedDriver;
  readonly overrides: OverrideStore;
  readonly health: Pick<HealthView, 'last'>;
};

/** `service` null: of all services. A server that is being removed is listed as long as HAProxy has it. */
export function serversOf(parts: Parts, service: string | null): readonly ServerStatus[] {
  const { instance, control, overrides, health } = parts;
  const orders = new Map(overrides.all.map(({ backend, server, state }) => [`${backend}/${server}`, state]));
  const sections = (control.running?.sections ?? []).filter(
    (section) =>
      section.kind === 'backend' && section.service !== null && (service ?? section.service) === section.service,
  );
  return sections.flatMap((section) => {
    const { name: backend, service: its } = section;
    if (its === null) return [];
    const said = new Map(
      servedEndpoints(instance.collection.catalog, its).map(({ endpoint, isRetained }) => [
        hostPort(endpoint.address, endpoint.port),
        isRetained ? ('kept' as const) : endpoint.weight === 0 ? ('draining' as const) : endpoint.state,
      ]),
    );
    const seen = new Map(health.last?.backends.get(backend)?.servers.map((server) => [server.name, server]));
    const lines = serverLines(section).map(({ name, address, port }) => ({
      name,
      address: port === null ? address : hostPort(address, port),
    }));
    const listed = new Set(lines.map(({ name }) => name));
    const leaving = [...seen.values()].filter(({ name }) => !listed.has(name));
    return [...lines, ...leaving].map(({ name, address }) => ({
      service: its,
      backend,
      server: name,
      address,
      source: said.get(address) ?? null,
      order: orders.get(`${backend}/${name}`) ?? null,
      health: healthOf(seen.get(name), health.last?.at ?? null),
    }));
  });
}

function healthOf(server: ServerHealth | undefined, at: Moment | null): ServerStatus['health'] {
  if (server === undefined || at === null) return null;
  const { name: _, address: __, forSec, ...rest } = server;
  return { ...rest, since: toWallClock(at - forSec * 1000) };
}
