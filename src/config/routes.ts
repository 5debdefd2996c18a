/** The shared frontends of a config, and which service has which of their routes. */
import { isDeepStrictEqual } from 'node:util';
import { parseBind } from '../haproxy/text/bind.ts';
import { differenceOf } from '../lib/difference.ts';
import { type Claimant, Routes, type RouteTable } from '../routes/holders.ts';
import type { PortRange, RouteKind, SharedFrontend } from '../routes/route.ts';
import type { ParsedFrontend } from './schema/frontend.ts';
import type { Config, Service } from './schema.ts';

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
/** The table that was made last, for the next one: of thousands of services one comes or goes at a time. */
let last: { readonly services: Config['services']; readonly routes: Routes } | null = null;

export function routesOf({ services }: Pick<Config, 'services'>): RouteTable {
  const before = tables.get(services);
  if (before !== undefined) return before;
  const claimants = (): readonly Claimant[] => {
    const all: Claimant[] = [];
    for (const service of services.values()) if (service.routes.length > 0) all.push(claimantOf(service));
    return all;
  };
  const difference = last === null ? null : differenceOf(last.services, services);
  const change = difference && {
    gone: difference.gone.map(([, service]) => claimantOf(service)),
    come: difference.come.map(([, service]) => claimantOf(service)),
  };
  const routes = last !== null && change !== null && last.routes.follow(change) ? last.routes : new Routes(claimants());
  last = { services, routes };
  const table = routes.table(claimants);
  tables.set(services, table);
  return table;
}

/**
 * Whether what discovered services have of routes differs between the two by discovery alone: by the same limits, in the same
 * frontends, and without anything that a listed service has given up.
 */
export function differByDiscovery(before: Config, now: Config): boolean {
  const termsOf = ({ discoveries, watchers, namesInTemplates, frontends }: Config) => {
    return { discoveries, watchers, namesInTemplates, frontends: sharedFrontends(frontends) };
  };
  if (!isDeepStrictEqual(termsOf(before), termsOf(now))) return false;
  const listed = claimsOfListed(now);
  return [...claimsOfListed(before)].every((claim) => listed.has(claim));
}

/** The names and the routes that no discovered service can have. */
function claimsOfListed({ services }: Config): ReadonlySet<string> {
  const listed = [...services.values()].filter(({ createdAt }) => createdAt === undefined);
  return new Set(
    listed.flatMap(({ name, routes }) => [name, ...routes.map(({ frontend, key }) => `${frontend} ${key}`)]),
  );
}

function claimantOf({ name, createdAt, routes }: Service): Claimant {
  return { service: name, createdAt: createdAt ?? null, routes };
}
