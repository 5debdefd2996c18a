/** Turns config and endpoints into the values that templates see. A draining endpoint gets weight 0. */
import { certificateList, clientCaFile, mapFile, serverStateFile } from '../config/paths.ts';
import { sharedFrontends } from '../config/routes.ts';
import type { Config, Service } from '../config/schema.ts';
import { formatDuration } from '../config/values.ts';
import type { Version } from '../haproxy/binary/version.ts';
import { asksNoClients, lacksCertificates } from '../haproxy/text/bind.ts';
import { frontendName, prometheusProxy, statsProxy } from '../haproxy/text/names.ts';
import type { Endpoint } from '../model.ts';
import { mostElements } from '../routes/resolve.ts';
import type { Inherited } from './administrator.ts';
import type {
  CheckContext,
  HaproxyContext,
  OptionsContext,
  ServerContext,
  ServiceContext,
  SharedFrontendContext,
} from './context.ts';
import { type Named, nameServers, orderServers } from './names.ts';
import { address } from './templates/encode.ts';
import { fromConfig, fromSource, originValues, valuesByKey } from './templates/value.ts';

export function haproxyContext(config: Config, version: Version): HaproxyContext {
  const { control, log, logFacility, statsSocket, user, group, stats, prometheus, global, defaults, sections } =
    config.haproxy;
  const stateFile = serverStateFile(config);
  return {
    version: version.text,
    // The standard error of a process that Myelin starts is kept apart, for what it says of its start and its end.
    log: log === 'none' ? null : fromConfig(control === 'process' && log === 'stderr' ? 'stdout' : log),
    logFacility,
    logsToOutput: log === 'stdout' || log === 'stderr',
    statsSocket: fromConfig(statsSocket),
    serverStateFile: stateFile === null ? null : fromConfig(stateFile),
    hardStopAfter: formatDuration(config.reload.hardStopAfter),
    user: optional(user, fromConfig),
    group: optional(group, fromConfig),
    stats: stats === undefined ? null : { ...stats, name: statsProxy, path: fromConfig(stats.path) },
    prometheus:
      prometheus === undefined
        ? null
        : { ...prometheus, name: prometheusProxy, path: fromConfig(prometheus.path), lines: [] },
    global,
    defaults,
    sections: sections.map((text) => (text.endsWith('\n') ? text : `${text}\n`)),
  };
}

export function sharedFrontendContexts(
  config: Config,
  haproxy: HaproxyContext,
  inherited: Inherited,
): readonly SharedFrontendContext[] {
  const kinds = sharedFrontends(config.frontends);
  return Object.entries(config.frontends).map(
    ([name, { mode, bind, certificates, clientCertificates, redirect, default: target, lines }]) => ({
      name,
      mode,
      isHttp: mode === 'http',
      isPool: kinds.get(name)?.kind === 'port',
      bind: bind.map((line) => {
        const served = certificates === undefined ? line : withCertificates(line, certificateList(config, name));
        return clientCertificates === undefined || !asksNoClients(line)
          ? served
          : `${served} ca-file ${clientCaFile(config, name)} verify ${clientCertificates.verify}`;
      }),
      logOption: logOptionOf(mode, haproxy, inherited),
      redirectsToHttps: redirect === 'https',
      default: target ?? null,
      map: mapFile(config, name),
      rewrites: Array.from({ length: mostElements + 1 }, (_, elements) => ({ elements, field: elements + 2 })),
      lines,
      haproxy,
    }),
  );
}

/** A line that names its own certificates gets no others. */
function withCertificates(bind: string, list: string): string {
  return lacksCertificates(bind) ? `${bind} crt-list ${list}` : bind;
}

function logOptionOf(mode: 'http' | 'tcp', haproxy: HaproxyContext, inherited: Inherited): string | null {
  return haproxy.log === null || inherited.hasLogFormat(mode) ? null : `${mode}log`;
}

type Surroundings = {
  readonly haproxy: HaproxyContext;
  readonly inherited: Inherited;
  /** For the order of servers by host; null: the servers are ordered by name. */
  readonly hostname: string | null;
  /** Where HAProxy reads the CA certificates of this file. */
  readonly caFile: (source: string) => string;
};

export function serviceContext(
  service: Service,
  endpoints: readonly Endpoint[],
  { haproxy, inherited, hostname, caFile }: Surroundings,
): ServiceContext {
  const { name, mode, check, timeouts, frontend, backend, values } = service;
  return {
    name,
    frontendName: frontendName(name),
    mode,
    isHttp: mode === 'http',
    bind: service.bind ?? [],
    logOption: logOptionOf(mode, haproxy, inherited),
    balance: service.balance ?? inherited.balance ?? 'roundrobin',
    retryOn: mode !== 'http' || inherited.hasRetryOn ? null : 'conn-failure empty-response',
    check: checkContext(check, inherited),
    server: optionsContext(service.server, caFile),
    timeouts: {
      connect: optional(timeouts.connect, formatDuration),
      client: optional(timeouts.client, formatDuration),
      server: optional(timeouts.server, formatDuration),
      queue: optional(timeouts.queue, formatDuration),
      tunnel: optional(timeouts.tunnel, formatDuration),
      httpRequest: optional(timeouts.httpRequest, formatDuration),
      httpKeepAlive: optional(timeouts.httpKeepAlive, formatDuration),
      check: optional(check.timeout ?? timeouts.check, formatDuration),
    },
    frontend,
    backend,
    values: ownValues(values),
    servers: orderServers(nameServers(endpoints), hostname).map(serverContext),
    haproxy,
  };
}

/** Without a prototype, so that no name has another meaning. */
export function ownValues(values: Service['values']): Service['values'] {
  return Object.assign(Object.create(null), values) as Service['values'];
}

function checkContext(check: Service['check'], inherited: Inherited): CheckContext | null {
  if (check.type === 'none') return null;
  const { method, path, status, interval } = check;
  return {
    isHttp: check.type === 'http',
    method,
    path: fromConfig(path),
    host: optional(check.host, fromConfig),
    status,
    interval: optional(interval, formatDuration) ?? inherited.inter ?? '2s',
    rise: check.rise ?? inherited.rise ?? 2,
    fall: check.fall ?? inherited.fall ?? 3,
    port: check.port ?? null,
  };
}

function optionsContext(
  { maxconn, slowstart, proxyProtocol, tls, options }: Service['server'],
  whereRead: Surroundings['caFile'],
): OptionsContext {
  const context = {
    maxconn: maxconn ?? null,
    slowstart: optional(slowstart, formatDuration),
    proxyProtocol: optional(proxyProtocol, (version) => (version === 'v1' ? 'send-proxy' : 'send-proxy-v2')),
    tls: optional(tls, ({ verify, caFile, sni }) => ({
      verify,
      caFile: optional(caFile, (source) => fromConfig(whereRead(source))),
      sni: optional(sni, fromConfig),
    })),
    options: options ?? null,
  };
  return { ...context, isSet: Object.values(context).some((value) => value !== null) };
}

function serverContext({ name, endpoint }: Named): ServerContext {
  const { id, address: ip, port, weight, state, tags = [], meta = {}, origin = {} } = endpoint;
  const isDraining = state === 'draining';
  return {
    name,
    address: address(ip, port),
    ip,
    port,
    weight: isDraining ? 0 : weight,
    isDraining,
    id: fromSource(id),
    tags: tags.filter((tag) => tag !== '').map(fromSource),
    meta: valuesByKey(meta, fromSource),
    origin: originValues(origin, fromSource),
  };
}

function optional<T, R>(value: T | undefined, present: (value: T) => R): R | null {
  return value === undefined ? null : present(value);
}
