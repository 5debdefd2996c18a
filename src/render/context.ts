/**
 * What templates see, field by field. docs/reference/templates.md is made of these types. Every field is always there:
 * what is not set is null, which prints nothing and counts as false. `Value` is a text that encodes itself when printed.
 */
import { serverStateFile } from '../config/paths.ts';
import type { Config, Service } from '../config/schema.ts';
import { formatDuration } from '../config/values.ts';
import { frontendName, prometheusProxy, statsProxy } from '../haproxy/names.ts';
import type { Version } from '../haproxy/version.ts';
import type { Endpoint } from '../model.ts';
import { address } from './encode.ts';
import { type Named, nameServers, orderServers } from './names.ts';
import { fromConfig, fromSource, type Value } from './value.ts';

/** `haproxy.cfg`, and with it `global`, `defaults`, `stats` and `prometheus`: the file as a whole. */
export type FileContext = {
  readonly haproxy: HaproxyContext;
  /** All services, by name. */
  readonly services: readonly SlotContext[];
};

/** An item of `services`: where its text is to stand. Print it on a line of its own. */
export type SlotContext = {
  /** The service's name. */
  readonly name: string;
  /** What the template `frontend` makes of it; null without `bind`. */
  readonly frontend: string | null;
  /** What the template `backend` makes of it. */
  readonly backend: string;
};

/** `haproxy`: HAProxy itself. */
export type HaproxyContext = {
  /** Its version, such as `2.6.12`; ask `(atLeast haproxy.version "2.6")`. */
  readonly version: string;
  /** Where traffic is logged: `stdout`, `stderr` or a syslog address; null for nowhere. */
  readonly log: Value | null;
  /** Whether that is `stdout` or `stderr`. */
  readonly logsToOutput: boolean;
  /** Path of the runtime API's socket. */
  readonly statsSocket: Value;
  /** The file that tells a new process which servers were down; null where Myelin only writes the config. */
  readonly serverStateFile: Value | null;
  /** `reload.hardStopAfter`. */
  readonly hardStopAfter: string;
  /** The user that it drops to. */
  readonly user: Value | null;
  /** The group that it drops to. */
  readonly group: Value | null;
  /** The statistics page. */
  readonly stats: PageContext | null;
  /** The Prometheus exporter. */
  readonly prometheus: PageContext | null;
  /** Lines of the administrator for `global`. */
  readonly global: readonly string[];
  /** Lines of the administrator for `defaults`. */
  readonly defaults: readonly string[];
  /** Hand-written sections, each as it is. */
  readonly sections: readonly string[];
};

/** `haproxy.stats` and `haproxy.prometheus`. */
export type PageContext = {
  /** Name of its frontend. */
  readonly name: string;
  /** Where it listens, in HAProxy's bind syntax. */
  readonly bind: string;
  /** Its path. */
  readonly path: Value;
  /** Further lines of the administrator. */
  readonly lines: readonly string[];
};

/** `frontend` and `backend`: one service. */
export type ServiceContext = {
  /** The service's name, which is its backend's. */
  readonly name: string;
  /** Its frontend's name. */
  readonly frontendName: string;
  /** `http` or `tcp`. */
  readonly mode: string;
  /** Whether `mode` is http. */
  readonly isHttp: boolean;
  /** Where it listens, each in HAProxy's bind syntax. */
  readonly bind: readonly string[];
  /** The balance algorithm with its arguments. */
  readonly balance: string;
  /** The health check; null for none. */
  readonly check: CheckContext | null;
  readonly server: OptionsContext;
  readonly timeouts: TimeoutsContext;
  /** Lines of the administrator for the frontend. */
  readonly frontend: readonly string[];
  /** Lines of the administrator for the backend. */
  readonly backend: readonly string[];
  /** The servers, in the order that the config asks for. */
  readonly servers: readonly ServerContext[];
  readonly haproxy: HaproxyContext;
};

/** `check`: HAProxy's own health check. */
export type CheckContext = {
  /** Whether a request is sent; else connecting is enough. */
  readonly isHttp: boolean;
  readonly method: string;
  readonly path: Value;
  /** The Host header. */
  readonly host: Value | null;
  /** Good statuses, such as `200-399`. */
  readonly status: string;
  readonly interval: string;
  /** Good checks until a server is up. */
  readonly rise: number;
  /** Bad checks until a server is down. */
  readonly fall: number;
  /** The port, where it is not the server's. */
  readonly port: number | null;
};

/** `server`: options of every server of the service. */
export type OptionsContext = {
  /** Whether any of them is set. */
  readonly isSet: boolean;
  readonly maxconn: number | null;
  readonly slowstart: string | null;
  /** `send-proxy` or `send-proxy-v2`. */
  readonly proxyProtocol: string | null;
  readonly tls: TlsContext | null;
  /** Further options of the administrator. */
  readonly options: string | null;
};

/** `server.tls`: TLS towards the servers. */
export type TlsContext = {
  readonly verify: boolean;
  readonly caFile: Value | null;
  /** The name that is sent and expected. */
  readonly sni: Value | null;
};

/** `timeouts`: where the service sets them; null leaves the one of `defaults`. */
export type TimeoutsContext = {
  readonly connect: string | null;
  readonly client: string | null;
  readonly server: string | null;
  readonly queue: string | null;
  readonly tunnel: string | null;
  readonly httpRequest: string | null;
  readonly httpKeepAlive: string | null;
  readonly check: string | null;
};

/** `server`: one item of `servers`. */
export type ServerContext = {
  /** Its name: the endpoint's identity, reduced to what HAProxy takes. */
  readonly name: string;
  /** ADDRESS:PORT, IPv6 in brackets. */
  readonly address: string;
  /** The address alone, without brackets. */
  readonly ip: string;
  readonly port: number;
  /** 0–256; 0 while it drains. */
  readonly weight: number;
  /** Whether it gets no new connections. */
  readonly isDraining: boolean;
  /** The endpoint's identity as the source has it. */
  readonly id: Value;
  /** The source's tags. */
  readonly tags: readonly Value[];
  /** The source's own words by key, `{{or meta.zone "none"}}`; empty ones and those with odd keys are left out. */
  readonly meta: Readonly<Record<string, Value>>;
};

/** Handlebars names the object that lacks a field. */
const metaPrototype: object = Object.assign(Object.create(null), { [Symbol.toPrimitive]: () => 'meta' });

export function haproxyContext(config: Config, version: Version): HaproxyContext {
  const { log, statsSocket, user, group, stats, prometheus, global, defaults, sections } = config.haproxy;
  return {
    version: version.text,
    log: log === 'none' ? null : fromConfig(log),
    logsToOutput: log === 'stdout' || log === 'stderr',
    statsSocket: fromConfig(statsSocket),
    serverStateFile: config.haproxy.control === 'none' ? null : fromConfig(serverStateFile(config)),
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

/** `hostname` is null where servers come in the order of their names. */
export function serviceContext(
  service: Service,
  endpoints: readonly Endpoint[],
  haproxy: HaproxyContext,
  hostname: string | null,
): ServiceContext {
  const { name, mode, balance, check, timeouts, frontend, backend } = service;
  return {
    name,
    frontendName: frontendName(name),
    mode,
    isHttp: mode === 'http',
    bind: service.bind ?? [],
    balance,
    check: checkContext(check),
    server: optionsContext(service.server),
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
    servers: orderServers(nameServers(endpoints), hostname).map(serverContext),
    haproxy,
  };
}

function checkContext(check: Service['check']): CheckContext | null {
  if (check.type === 'none') return null;
  const { method, path, status, interval, rise, fall } = check;
  return {
    isHttp: check.type === 'http',
    method,
    path: fromConfig(path),
    host: optional(check.host, fromConfig),
    status,
    interval: formatDuration(interval),
    rise,
    fall,
    port: check.port ?? null,
  };
}

function optionsContext({ maxconn, slowstart, proxyProtocol, tls, options }: Service['server']): OptionsContext {
  const context = {
    maxconn: maxconn ?? null,
    slowstart: optional(slowstart, formatDuration),
    proxyProtocol: optional(proxyProtocol, (version) => (version === 'v1' ? 'send-proxy' : 'send-proxy-v2')),
    tls: optional(tls, ({ verify, caFile, sni }) => ({
      verify,
      caFile: optional(caFile, fromConfig),
      sni: optional(sni, fromConfig),
    })),
    options: options ?? null,
  };
  return { ...context, isSet: Object.values(context).some((value) => value !== null) };
}

function serverContext({ name, endpoint }: Named): ServerContext {
  const { id, address: ip, port, weight, state, tags = [], meta = {} } = endpoint;
  const isDraining = state === 'draining';
  if (!Number.isInteger(weight) || weight < 0 || weight > 256) throw new Error(`${weight} is not a weight: 0-256 is`);
  return {
    name,
    address: address(ip, port),
    ip,
    port,
    weight: isDraining ? 0 : weight,
    isDraining,
    id: fromSource(id),
    tags: tags.filter((tag) => tag !== '').map(fromSource),
    meta: metaContext(meta),
  };
}

/** Without a usual prototype, so that no key means more than itself. Templates print keys as they are, so those must be plain. */
function metaContext(meta: Readonly<Record<string, string>>): Record<string, Value> {
  const context = Object.create(metaPrototype) as Record<string, Value>;
  for (const [key, text] of Object.entries(meta))
    if (text !== '' && /^[A-Za-z0-9_.:/@-]+$/.test(key)) context[key] = fromSource(text);
  return context;
}

function optional<T, R>(value: T | undefined, present: (value: T) => R): R | null {
  return value === undefined ? null : present(value);
}
