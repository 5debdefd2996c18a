/** Answers `myelin why`: finds out what is asked about, and gathers what is known of it. */
import { routesOf } from '../config/routes.ts';
import { isFile } from '../haproxy/text/layout/files.ts';
import { namesBackend } from '../haproxy/text/named-backends.ts';
import type { Instance } from '../instance/instance.ts';
import { matchRoute } from '../routes/match.ts';
import { serversOf } from './servers.ts';
import type { Status } from './status.ts';
import { type Why, why } from './why.ts';

type Parts = Parameters<typeof serversOf>[0] & { readonly status: Status };

/** `about`: `SERVICE`, `SERVICE/SERVER`, or `HOST/PATH` of a shared frontend; the first of these that there is. */
export async function answerWhy(parts: Parts, about: string): Promise<Why> {
  const { services } = parts.instance.collection.config;
  const [first = '', ...rest] = about.split('/');
  if (services.has(about) || isLeftOut(parts, about)) return ofService(parts, about, null);
  if (services.has(first) && rest.length > 0) return ofService(parts, first, rest.join('/'));
  if (!about.includes('/') && !about.includes('.')) return ofService(parts, about, null);
  const found = routeOf(parts.instance, first, `/${rest.join('/')}`);
  if (found === null) {
    const text = `no route of a shared frontend fits ${about}: it is answered by the frontend’s \`default\`, or 404`;
    return { about, serves: false, steps: [{ stage: 'route', isLost: true, text, remedy: null }] };
  }
  const { frontend, route, service } = found;
  const answer = await ofService(parts, service, null);
  const text = `the route ${route.label} of ${frontend} leads to ${service}`;
  return { ...answer, about, steps: [{ stage: 'route', isLost: false, text, remedy: null }, ...answer.steps] };
}

async function ofService(parts: Parts, service: string, server: string | null): Promise<Why> {
  const { instance, status } = parts;
  const explanations = await instance.explain(service);
  const servers = serversOf(parts, service);
  return why({ service, server, status, servers, explanations, ways: waysTo(parts, service) });
}

function isLeftOut({ status }: Parts, about: string): boolean {
  return status.unserved.some(({ service }) => service === about);
}

function routeOf(instance: Instance, host: string, path: string) {
  for (const [frontend, held] of routesOf(instance.collection.config).routes) {
    const found = matchRoute(held, host, path);
    if (found !== null) return { frontend, ...found };
  }
  return null;
}

/** Its own binds, its routes, the frontends that it is the default of, and lines of the administrator that name it. */
export function waysTo({ instance, control }: Omit<Parts, 'status'>, name: string): readonly string[] {
  const { services, frontends } = instance.collection.config;
  const routes = [...routesOf(instance.collection.config).routes].flatMap(([frontend, held]) =>
    held.filter(({ service }) => service === name).map(({ route }) => `${route.label} of ${frontend}`),
  );
  const defaults = Object.entries(frontends).flatMap(([frontend, one]) =>
    'default' in one && one.default === name ? [`all else of ${frontend}`] : [],
  );
  const written = (control.running?.sections ?? []).flatMap((section) =>
    section.service === null && !isFile(section) && namesBackend(section, name)
      ? [`${section.kind} ${section.name}`]
      : [],
  );
  return [...(services.get(name)?.bind ?? []), ...routes, ...new Set([...defaults, ...written])];
}
