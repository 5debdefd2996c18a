/**
 * What templates see, field by field; docs/reference/templates.md is made of these types. Every field is always there:
 * what is not set is null, which prints nothing and counts as false. A `Value` is a text that encodes itself when printed.
 */
import type { Value } from './templates/value.ts';

/** `haproxy.cfg`, and with it `global`, `defaults`, `shared-frontend`, `stats` and `prometheus`: the file as a whole. */
export type FileContext = {
  /** HAProxy itself. */
  readonly haproxy: HaproxyContext;
  /** Frontends that services share. Print them all. */
  readonly frontends: readonly SharedFrontendContext[];
  /** All services, by name. */
  readonly services: readonly SlotContext[];
};

/** `shared-frontend`: an item of `frontends`. */
export type SharedFrontendContext = {
  /** Its name. */
  readonly name: string;
  /** `http` or `tcp`. */
  readonly mode: string;
  /** Whether `mode` is http: it has routes by host and path. */
  readonly isHttp: boolean;
  /** Whether it has routes by port. */
  readonly isPool: boolean;
  /** Where it listens, each in HAProxy's bind syntax; with `crt-list` where it has TLS and its certificates in a folder, and `ca-file` and `verify` where clients show theirs. */
  readonly bind: readonly string[];
  /** `httplog` or `tcplog`; null where nothing is logged, or `haproxy.defaults` says how. */
  readonly logOption: string | null;
  /** Whether what does not come over TLS is sent there. */
  readonly redirectsToHttps: boolean;
  /** The service that gets what no route leads elsewhere; null for none. */
  readonly default: string | null;
  /** The file with its routes: a key and a value a line. */
  readonly map: string;
  /** How much of a path may be rewritten, a rule each. */
  readonly rewrites: readonly RewriteContext[];
  /** Lines of the administrator. */
  readonly lines: readonly string[];
  /** HAProxy itself, as above. */
  readonly haproxy: HaproxyContext;
};

/** An item of `rewrites`. */
export type RewriteContext = {
  /** So many elements of the path give way. */
  readonly elements: number;
  /** The field of the path, parted by slashes, at which the rest begins. */
  readonly field: number;
};

/** An item of `services`: where its text is to stand. Print each of its parts on a line of its own. */
export type SlotContext = {
  /** The service's name, which is its backend's. */
  readonly name: string;
  /** `http` or `tcp`. */
  readonly mode: string;
  /** Where it listens, each in HAProxy's bind syntax. */
  readonly bind: readonly string[];
  /** The service's own `values` by name, as they are, as for a list of hosts: `{{#if values.host}}…{{/if}}`. */
  readonly values: Readonly<Record<string, string | number | boolean>>;
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
  /** Of what goes to a syslog address. */
  readonly logFacility: string;
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
  /** `httplog` or `tcplog`; null where nothing is logged, or `haproxy.defaults` says how. */
  readonly logOption: string | null;
  /** The balance algorithm with its arguments: the service's, or that of `haproxy.defaults`. */
  readonly balance: string;
  /** What is tried again; null where `mode` is not http, or `haproxy.defaults` says it. */
  readonly retryOn: string | null;
  /** The health check; null for none. */
  readonly check: CheckContext | null;
  /** Options of every server. */
  readonly server: OptionsContext;
  /** Timeouts that the service sets. */
  readonly timeouts: TimeoutsContext;
  /** Lines of the administrator for the frontend. */
  readonly frontend: readonly string[];
  /** Lines of the administrator for the backend. */
  readonly backend: readonly string[];
  /** The service's own `values` by name, as they are: `{{or values.limit 100}}`. */
  readonly values: Readonly<Record<string, string | number | boolean>>;
  /** The servers, in the order that the config asks for. */
  readonly servers: readonly ServerContext[];
  /** HAProxy itself, as above. */
  readonly haproxy: HaproxyContext;
};

/** `check`: HAProxy's own health check. */
export type CheckContext = {
  /** Whether a request is sent; else connecting is enough. */
  readonly isHttp: boolean;
  /** The method of the request. */
  readonly method: string;
  /** What is asked for. */
  readonly path: Value;
  /** The Host header. */
  readonly host: Value | null;
  /** Good statuses, such as `200-399`. */
  readonly status: string;
  /** From one check to the next; like `rise` and `fall` the service's, or that of `haproxy.defaults`. */
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
  /** Connections to one server at once. */
  readonly maxconn: number | null;
  /** How long a server that came up takes to its full weight. */
  readonly slowstart: string | null;
  /** `send-proxy` or `send-proxy-v2`. */
  readonly proxyProtocol: string | null;
  /** TLS towards the servers; null for none. */
  readonly tls: TlsContext | null;
  /** Further options of the administrator. */
  readonly options: string | null;
};

/** `server.tls`: TLS towards the servers. */
export type TlsContext = {
  /** Whether certificates are verified. */
  readonly verify: boolean;
  /** With which CA certificates: a copy of the config's `caFile`; null for those of the system. */
  readonly caFile: Value | null;
  /** The name that is sent and expected. */
  readonly sni: Value | null;
};

/** `timeouts`: where the service sets them; null leaves the one of `defaults`. */
export type TimeoutsContext = {
  /** `timeout connect`. */
  readonly connect: string | null;
  /** `timeout client`. */
  readonly client: string | null;
  /** `timeout server`. */
  readonly server: string | null;
  /** `timeout queue`. */
  readonly queue: string | null;
  /** `timeout tunnel`. */
  readonly tunnel: string | null;
  /** `timeout http-request`. */
  readonly httpRequest: string | null;
  /** `timeout http-keep-alive`. */
  readonly httpKeepAlive: string | null;
  /** `timeout check`. */
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
  /** The port alone. */
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
  /** Where it was found. */
  readonly origin: OriginContext;
};

/** `origin`: where the endpoint was found. */
export type OriginContext = {
  /** The watcher, by its name in the config. */
  readonly watcher: Value | null;
  /** Consul's datacenter. */
  readonly datacenter: Value | null;
  /** Kubernetes' namespace, or Consul's where it has some. */
  readonly namespace: Value | null;
  /** The node. */
  readonly node: Value | null;
  /** Kubernetes' zone. */
  readonly zone: Value | null;
};
