/** Answers `myelin why`: finds out what is asked about, and gathers what is known of it. */
import { routesOf } from '../config/routes.ts';
import { lacksCertificates } from '../haproxy/text/bind.ts';
import { isFile } from '../haproxy/text/layout/files.ts';
import { namesBackend } from '../haproxy/text/named-backends.ts';
import { linesOf, readServer, tokenise } from '../haproxy/text/text.ts';
import type { Instance } from '../instance/instance.ts';
import { now, toWallClock } from '../lib/time/clock.ts';
import { matchRoute } from '../routes/match.ts';
import type { Reporter } from './reporter.ts';
import { serversOf } from './servers.ts';
import type { Status } from './status.ts';
import type { TlsHost, WhyFacts } from './why/step.ts';
import { type Why, why } from './why.ts';

type Parts = Parameters<typeof serversOf>[0] & {
  readonly status: Status;
  readonly reporter: Pick<Reporter, 'lastChange' | 'pending'>;
};

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
  const answer = await ofService(parts, service, null, { frontend, host: first });
  const text = `the route ${route.label} of ${frontend} leads to ${service}`;
  return { ...answer, about, steps: [{ stage: 'route', isLost: false, text, remedy: null }, ...answer.steps] };
}

/** `by`: how clients are meant to reach it; null: in any way. */
async function ofService(
  parts: Parts,
  service: string,
  server: string | null,
  by: Pick<TlsHost, 'frontend' | 'host'> | null = null,
): Promise<Why> {
  const { instance, status, reporter } = parts;
  const explanations = await instance.explain(service);
  const servers = serversOf(parts, service);
  const lastChange = reporter.lastChange(service);
  const { pending } = reporter;
  const ways = by === null ? waysTo(parts, service) : [`${by.host} of ${by.frontend}`];
  return why({
    ...{ service, server, status, servers, explanations, ways },
    tls: tlsHosts(parts, by === null ? hostsOf(parts, service) : [by]),
    rendered: renderedFor(parts, service, server),
    lastChange: lastChange && { ...lastChange, at: toWallClock(lastChange.at) },
    pending: pending && { ...pending, at: toWallClock(pending.at) },
    now: toWallClock(now()),
  });
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
export function waysTo({ instance, control }: Pick<Parts, 'instance' | 'control'>, name: string): readonly string[] {
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

/** The hosts of its routes, each once. */
function hostsOf({ instance }: Parts, name: string): readonly Pick<TlsHost, 'frontend' | 'host'>[] {
  const all = [...routesOf(instance.collection.config).routes].flatMap(([frontend, held]) => {
    const keys = held.filter(({ service }) => service === name).map(({ route }) => route.key);
    return [...new Set(keys.map((key) => key.split('/')[0] ?? ''))].map((host) => ({ frontend, host }));
  });
  return all.filter(({ host }) => host !== '*');
}

/** Of these hosts those that are reached over TLS with certificates of a folder. */
function tlsHosts(
  { instance, status }: Parts,
  hosts: readonly Pick<TlsHost, 'frontend' | 'host'>[],
): readonly TlsHost[] {
  return hosts.flatMap(({ frontend, host }): TlsHost[] => {
    const { mode, bind, certificates: folder, redirect } = instance.collection.config.frontends[frontend] ?? {};
    if (mode !== 'http' || bind === undefined || folder === undefined) return [];
    const served = status.certificates.filter((one) => one.frontend === frontend && one.notAfter !== null);
    const isNamed = served.some(({ names }) => names.some((name) => isFor(name, host)));
    const isGenerated = served.length > 0 && served.every(({ file }) => file === null);
    const isOnlyTls = redirect === 'https' || bind.every((line) => tokenise(line).words.includes('ssl'));
    const certificate = isNamed ? 'named' : isGenerated ? 'generated' : 'none';
    return bind.some(lacksCertificates) ? [{ frontend, host, certificate, isOnlyTls, folder }] : [];
  });
}

/** A `*.` stands for one label, in a certificate and in a route. */
function isFor(name: string, host: string): boolean {
  const wanted = host.toLowerCase().replace(/:\d*$/, '');
  const its = name.toLowerCase();
  return its === wanted || (its.startsWith('*.') && its.slice(1) === wanted.slice(wanted.indexOf('.')));
}

/** Servers that are shown of a service: whoever may register decides how many there are. */
const mostServers = 20;

function renderedFor({ instance, control }: Parts, service: string, server: string | null): WhyFacts['rendered'] {
  const own = (control.running?.sections ?? []).filter((section) => section.service === service && !isFile(section));
  const lines = own.flatMap((section) => {
    const all = linesOf(section.text).map((text) => ({ text, name: readServer(tokenise(text))?.name ?? null }));
    if (server !== null) return all.filter(({ name }) => name === server).map(({ text }) => text.trim());
    const servers = all.filter(({ name }) => name !== null);
    const hidden = new Set(servers.slice(mostServers));
    const more = hidden.size === 0 ? [] : [`    # and ${hidden.size} more servers`];
    return [
      ...all.filter((line) => !hidden.has(line) && line.text.trim() !== '').map(({ text }) => text.trimEnd()),
      ...more,
    ];
  });
  return lines.length === 0 ? null : { file: instance.collection.config.haproxy.config, lines };
}
