/** The shared frontends of a config, and which service has which of their routes. */
import { parseBind } from '../haproxy/text/bind.ts';
import { type RouteTable, routeTable } from '../routes/holders.ts';
import type { PortRange, RouteKind, SharedFrontend } from '../routes/route.ts';
import type { ParsedFrontend } from './schema/frontend.ts';
import type { Config } from './schema.ts';

type Frontends = Readonly<Record<string, ParsedFrontend>>;

const known = new WeakMap<Frontends, ReadonlyMap<string, SharedFrontend>>();

/** By name. */
export function sharedFrontends(frontends: Frontends): ReadonlyMap<string, SharedFrontend> {
  const before = known.get(frontends);
  if (before !== undefined) return before;
  const all = new Map(Object.entries(frontends).map(([name, frontend]) => [name, sharedFrontend(name, frontend)]));
  known.set(frontends, all);
  return all;
}

function sharedFrontend(name: string, { mode, by, bind }: ParsedFrontend): SharedFrontend {
  const ports = bind.flatMap(portsIn);
  const isPool = by === 'port' || (by === undefined && ports.some(({ first, last }) => first < last));
  const kind: RouteKind = mode === 'http' ? 'http' : isPool ? 'port' : 'sni';
  return { name, kind, ports: kind === 'port' ? ports : [] };
}

function portsIn(bind: string): PortRange[] {
  return parseBind(bind).addresses.flatMap((address) =>
    address.kind === 'tcp' ? [{ first: address.port, last: address.portEnd }] : [],
  );
}

const tables = new WeakMap<Config['services'], RouteTable>();

export function routesOf({ services }: Pick<Config, 'services'>): RouteTable {
  const before = tables.get(services);
  if (before !== undefined) return before;
  const claimants = [...services.values()]
    .filter(({ routes }) => routes.length > 0)
    .map(({ name, createdAt = null, routes }) => ({ service: name, createdAt, routes }));
  const table = routeTable(claimants);
  tables.set(services, table);
  return table;
}
