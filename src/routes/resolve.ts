/**
 * Finds the shared frontend that a route belongs to, and the line of its map that leads to the service. Which of
 * several services holds a route is decided in `holders.ts`.
 */
import { didYouMean } from '../lib/did-you-mean.ts';
import type { Read } from './host.ts';
import { elementsOf } from './path.ts';
import type { Route, RouteKind, SharedFrontend, WrittenRoute } from './route.ts';

/** The number of path elements that `strip` and `to` can take away: the template has a rule for each number. */
export const mostElements = 8;

type Service = { readonly name: string; readonly mode: 'http' | 'tcp' };

const wrong = (reason: string): Read<never> => ({ kind: 'wrong', reason });

/** `frontends`: the frontends that the route may choose from. */
export function resolveRoute(
  written: WrittenRoute,
  service: Service,
  frontends: ReadonlyMap<string, SharedFrontend>,
): Read<Route> {
  const kind = kindOf(written, service);
  if ((kind === 'http') !== (service.mode === 'http'))
    return wrong(
      `${about[kind]} leads to a service of mode ${kind === 'http' ? 'http' : 'tcp'}, and this one is of mode ${service.mode}`,
    );
  const chosen = frontendFor(written, kind, frontends);
  if (chosen.kind === 'wrong') return chosen;
  const frontend = chosen.value;
  const { port, path = '', to } = written;
  if (port !== undefined && !frontend.ports.some(({ first, last }) => port >= first && port <= last))
    return wrong(`port ${port} is none of frontend ${frontend.name}, which has ${portsOf(frontend)}`);
  if (to !== undefined && elementsOf(path) > mostElements)
    return wrong(
      `strip and to take away ${mostElements} elements of a path at most, and this one has ${elementsOf(path)}`,
    );
  const key = keyOf(written, kind);
  const value = to === undefined ? service.name : `${service.name}|${elementsOf(path)}|${to}`;
  return { kind: 'read', value: { frontend: frontend.name, key, line: `${key} ${value}\n`, label: written.label } };
}

const about: Readonly<Record<RouteKind, string>> = {
  http: 'a route by host and path',
  sni: 'a route by the name in the TLS hello (sni)',
  port: 'a route by port',
};

/** In mode tcp a host alone stands for the name in the TLS hello: HAProxy sees no more of the traffic there. */
function kindOf({ port, sni, path, to }: WrittenRoute, { mode }: Service): RouteKind {
  if (port !== undefined) return 'port';
  return sni !== undefined || (mode === 'tcp' && path === undefined && to === undefined) ? 'sni' : 'http';
}

function frontendFor(
  { frontend: name }: WrittenRoute,
  kind: RouteKind,
  frontends: ReadonlyMap<string, SharedFrontend>,
): Read<SharedFrontend> {
  const fitting = [...frontends.values()].filter((one) => one.kind === kind);
  const names = fitting.map((one) => one.name);
  if (name !== undefined) {
    const named = frontends.get(name);
    if (named === undefined)
      return wrong(
        `there is no shared frontend ${JSON.stringify(name)}; ${listOf([...frontends.keys()])}${didYouMean(name, [...frontends.keys()])}`,
      );
    if (named.kind !== kind)
      return wrong(`${about[kind]} does not fit frontend ${name}, which has ${routesOf[named.kind]}`);
    return { kind: 'read', value: named };
  }
  const [only, another] = fitting;
  if (only === undefined) return wrong(`no frontend under \`frontends\` has ${routesOf[kind]}`);
  if (another !== undefined)
    return wrong(`several frontends have ${routesOf[kind]}: ${names.join(', ')}; name one (frontend)`);
  return { kind: 'read', value: only };
}

const routesOf: Readonly<Record<RouteKind, string>> = {
  http: 'routes by host and path (mode: http)',
  sni: 'routes by sni (mode: tcp)',
  port: 'routes by port (mode: tcp, with a range of ports)',
};

function listOf(names: readonly string[]): string {
  return names.length === 0 ? 'there is none' : `there are ${names.join(', ')}`;
}

function portsOf({ ports }: SharedFrontend): string {
  return ports.map(({ first, last }) => (first === last ? `${first}` : `${first} to ${last}`)).join(', ');
}

/** The key of a path ends in a slash, like the looked-up path: the longest match ends at the end of an element. */
function keyOf({ host = '*', path = '', sni, port }: WrittenRoute, kind: RouteKind): string {
  if (kind === 'http') return `${host}${path}/`;
  return kind === 'sni' ? (sni ?? host) : String(port);
}
