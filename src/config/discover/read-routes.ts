/** Reads the routes that a discovered service chooses, within the limits of `discover`. */
import { isHostWithin, show } from '../../routes/host.ts';
import { resolveRoute } from '../../routes/resolve.ts';
import type { Route, SharedFrontend, WrittenRoute } from '../../routes/route.ts';
import { readRoute } from '../../routes/written.ts';
import type { Limits } from '../schema/discovery.ts';

type Frontends = ReadonlyMap<string, SharedFrontend>;

/** Commas separate the routes. Returns a text that says what is wrong with the first invalid route. */
export function readRoutes(
  text: string,
  service: Parameters<typeof resolveRoute>[1],
  limits: Limits,
  frontends: Frontends,
): readonly Route[] | string {
  const routes = new Map<string, Route>();
  const allowed = allowedOf(frontends, limits);
  for (const one of text.split(',')) {
    const written = readRoute(one);
    if (written.kind === 'wrong') return written.reason;
    const beyond = beyondLimits(written.value, limits, frontends);
    if (beyond !== null) return beyond;
    const route = resolveRoute(written.value, service, allowed);
    if (route.kind === 'wrong') return route.reason;
    const { frontend, key } = route.value;
    if (routes.has(`${frontend} ${key}`)) return `${show(one.trim())} is there twice`;
    routes.set(`${frontend} ${key}`, route.value);
  }
  return [...routes.values()];
}

function allowedOf(frontends: Frontends, limits: Limits): Frontends {
  const { frontends: names } = limits;
  return names === undefined ? frontends : new Map([...frontends].filter(([name]) => names.includes(name)));
}

/** Why the administrator does not allow the route; null: it is allowed. */
function beyondLimits(
  { label, frontend, host, sni = host, port }: WrittenRoute,
  { hosts, ports, frontends: names }: Limits,
  frontends: Frontends,
): string | null {
  if (frontend !== undefined && frontends.has(frontend) && names !== undefined && !names.includes(frontend))
    return `frontend ${frontend} may not be used here; allowed: ${names.join(', ')} (discover.frontends)`;
  if (port !== undefined) {
    if (ports === undefined) return 'no ports may be chosen here (discover.ports)';
    const isWithin = port >= ports.first && port <= ports.last;
    return isWithin ? null : `port ${port} is not allowed; allowed: ${ports.first} to ${ports.last} (discover.ports)`;
  }
  if (hosts.length === 0) return 'no hosts may be chosen here (discover.hosts)';
  const isWithin = hosts.some((pattern) => pattern === '*' || (sni !== undefined && isHostWithin(sni, pattern)));
  return isWithin ? null : `${show(label)} is not allowed; allowed hosts: ${hosts.join(', ')} (discover.hosts)`;
}
