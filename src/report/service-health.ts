/** Sums up, service by service, what HAProxy says of its backends. */

import type { HealthView } from '../apply/runtime/health-view.ts';
import type { BackendHealth, ServerHealth } from '../haproxy/cli/stats.ts';
import { serverLines } from '../haproxy/text/text.ts';
import { toWallClock } from '../lib/time/clock.ts';
import type { Moment, Section } from '../model.ts';
import type { DownServer, ServiceHealth } from './status.ts';

/** Limited, because anyone who may register services decides on their number. */
const mostDown = 20;

/** By service. `sections`: those that run, which say whose each backend is. */
export function healthOf(last: HealthView['last'], sections: readonly Section[]): ReadonlyMap<string, ServiceHealth> {
  if (last === null) return new Map();
  const backends = sections.flatMap((section) => {
    const { kind, name, service } = section;
    const health = kind === 'backend' ? last.backends.get(name) : undefined;
    if (service === null || health === undefined) return [];
    // One that is being removed is no news.
    const listed = serversIn(section);
    const servers = health.servers.filter((server) => listed.has(server.name));
    return [{ service, name, health: { ...health, servers } }];
  });
  const byService = Map.groupBy(backends, ({ service }) => service);
  return new Map([...byService].map(([service, its]) => [service, together(its, last.at)]));
}

/** Sections keep their identity: of thousands few have to be read again for each status. */
const known = new WeakMap<Section, ReadonlySet<string>>();

function serversIn(section: Section): ReadonlySet<string> {
  const before = known.get(section);
  if (before !== undefined) return before;
  const names = new Set(serverLines(section).map(({ name }) => name));
  known.set(section, names);
  return names;
}

type Backend = { readonly name: string; readonly health: BackendHealth };

function together(backends: readonly Backend[], at: Moment): ServiceHealth {
  const servers = { up: 0, down: 0, draining: 0, maint: 0 };
  for (const { condition } of backends.flatMap(({ health }) => health.servers)) servers[condition]++;
  const sum = (count: (health: BackendHealth) => number): number =>
    backends.reduce((total, { health }) => total + count(health), 0);
  const down = backends.flatMap(({ name, health }) =>
    health.servers.filter(({ condition }) => condition === 'down').map((server) => ({ backend: name, server })),
  );
  return {
    isDown: backends.every(({ health }) => health.isDown),
    servers,
    sessions: sum(({ sessions }) => sessions),
    queued: sum(({ queued }) => queued),
    sessionsPerSec: sum(({ sessionsPerSec }) => sessionsPerSec),
    down: down
      .toSorted((a, b) => a.server.forSec - b.server.forSec)
      .slice(0, mostDown)
      .map(({ backend, server }) => downServer(backend, server, at)),
  };
}

function downServer(backend: string, { name, address, forSec, status, check }: ServerHealth, at: Moment): DownServer {
  const reason = check === null ? status : `${check.code}, ${check.words}`;
  return { backend, server: name, address, since: toWallClock(at - forSec * 1000), reason };
}
