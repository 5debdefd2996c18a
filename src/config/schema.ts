/**
 * The whole of `myelin.yaml` in one place: keys, defaults, limits and descriptions. `myelin schema` and the reference
 * page are printed from here. All objects are strict: an unknown key is an error.
 */
import { z } from 'zod';
import { duration, port, proxyName, rawLine } from './values.ts';

/** A list that may be written as a single item. */
function oneOrMany<T extends z.ZodType>(item: T) {
  return z.union([item, z.array(item)]).transform((value) => (Array.isArray(value) ? value : [value]) as z.output<T>[]);
}

const lines = z.array(rawLine);

const tls = z
  .strictObject({
    caFile: z.string().optional().describe('CA certificates (PEM) that the agent is verified with.'),
    certFile: z.string().optional().describe('Client certificate (PEM).'),
    keyFile: z.string().optional().describe('Key of the client certificate (PEM).'),
    serverName: z
      .string()
      .optional()
      .describe('Name expected in the certificate, where it is not the host of the address.'),
    verify: z.boolean().default(true).describe('false accepts any certificate.'),
  })
  .describe('TLS towards an https:// address.');

export const consulWatcher = z
  .strictObject({
    type: z.literal('consul'),
    address: z
      .string()
      .regex(/^(https?|unix):\/\/.+|^[^/]+:\d+$/, 'expected http://HOST:PORT, https://HOST:PORT or unix:///PATH')
      .optional()
      .describe('The agent: http://, https:// or unix://. Default: CONSUL_HTTP_ADDR, else http://127.0.0.1:8500.'),
    token: z.string().optional().meta({ secret: true }).describe('ACL token. Default: CONSUL_HTTP_TOKEN.'),
    tokenFile: z
      .string()
      .optional()
      .describe('File with the ACL token, read again when it changes. Default: CONSUL_HTTP_TOKEN_FILE.'),
    datacenter: z.string().optional().describe('Datacenter asked where a query names none. Default: the agent’s.'),
    required: z.boolean().default(true).describe('Nothing is rendered until this source has answered once.'),
    wait: duration.prefault('60s').describe('How long a blocking query waits at the agent.'),
    maxConnections: z
      .number()
      .int()
      .min(1)
      .default(100)
      .describe('Connections to the agent at most (its own limit is 200 an address).'),
    tls: tls.prefault({}),
  })
  .describe('Services of a Consul agent.');

export const consulQuery = z
  .strictObject({
    service: z.string().min(1).optional().describe('Name in Consul. Default: the name of the service here.'),
    tags: z.array(z.string().min(1)).default([]).describe('Only instances that carry all of these tags.'),
    filter: z.string().optional().describe('Consul’s filter expression, such as `Service.Meta.version == "2"`.'),
    datacenter: z.string().optional(),
    near: z.string().optional().describe('Sort by round trip from this node (`_agent` for the agent’s own).'),
    stale: z.boolean().default(true).describe('Let any Consul server answer, not the leader alone.'),
    warning: z.enum(['use', 'ignore']).default('use').describe('Whether instances with a warning check get traffic.'),
  })
  .describe('One service of a Consul watcher.');

export const fileWatcher = z
  .strictObject({
    type: z.literal('file'),
    path: z.string().min(1).describe('A YAML or JSON file, or a folder of them.'),
    required: z.boolean().default(true).describe('Nothing is rendered until this source has answered once.'),
  })
  .describe('Services and endpoints from a file.');

export const fileQuery = z
  .strictObject({
    service: z.string().min(1).optional().describe('Name in the file. Default: the name of the service here.'),
  })
  .describe('One service of a file watcher.');

const check = z
  .strictObject({
    type: z.enum(['tcp', 'http', 'none']).default('tcp'),
    path: z.string().regex(/^\//, 'a path starts with /').default('/').describe('Asked by an http check.'),
    method: z.enum(['GET', 'HEAD', 'OPTIONS']).default('GET'),
    host: z.string().optional().describe('Host header of an http check.'),
    status: z
      .string()
      .regex(/^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$/, 'expected statuses such as 200, 200-399 or 200,204')
      .default('200-399'),
    interval: duration.prefault('2s'),
    timeout: duration.optional(),
    rise: z.number().int().min(1).default(2).describe('Good checks until a server is up.'),
    fall: z.number().int().min(1).default(3).describe('Bad checks until a server is down.'),
    port: port.optional().describe('Port to check, where it is not the endpoint’s.'),
  })
  .describe('HAProxy’s own health check of each server.');

const server = z
  .strictObject({
    maxconn: z.number().int().min(1).optional().describe('Connections to one server at once; further ones queue.'),
    slowstart: duration.optional().describe('A server that came up gets its full weight only after this time.'),
    proxyProtocol: z.enum(['v1', 'v2']).optional().describe('Send the PROXY protocol to the servers.'),
    tls: z
      .strictObject({
        verify: z.boolean().default(true),
        caFile: z.string().optional(),
        sni: z.string().optional().describe('Server name sent and verified.'),
      })
      .optional()
      .describe('Speak TLS to the servers.'),
    options: rawLine.optional().describe('Any further options of HAProxy’s `default-server` line.'),
  })
  .describe('Options of every server of the service.');

const timeouts = z
  .strictObject({
    connect: duration.optional(),
    client: duration.optional(),
    server: duration.optional(),
    queue: duration.optional(),
    tunnel: duration.optional().describe('Inactivity limit of WebSockets and other upgraded connections.'),
    httpRequest: duration.optional(),
    httpKeepAlive: duration.optional(),
    check: duration.optional(),
  })
  .describe('HAProxy’s timeouts for this service; `defaults` holds those of all.');

export const service = z
  .strictObject({
    from: oneOrMany(z.record(z.string(), z.unknown()))
      .optional()
      .describe('Watcher name and its query; several are joined. Default: the only watcher, the service of this name.'),
    bind: oneOrMany(rawLine)
      .optional()
      .describe(
        'Where the frontend listens, in HAProxy’s bind syntax with its options. Without it there is only a backend.',
      ),
    mode: z.enum(['http', 'tcp']).default('http'),
    balance: rawLine.default('roundrobin').describe('HAProxy’s balance algorithm with its arguments.'),
    check: check.prefault({}),
    server: server.prefault({}),
    timeouts: timeouts.prefault({}),
    frontend: lines.default([]).describe('Further lines of the frontend, as they are.'),
    backend: lines.default([]).describe('Further lines of the backend, as they are.'),
    onEmpty: z
      .enum(['doubt', 'keep', 'accept'])
      .default('doubt')
      .describe(
        'When the last endpoint goes: accept serves 503; keep holds the last ones; doubt holds them for `keepFor` if it ' +
          'happened within a minute of a restart or reconnection of the source.',
      ),
    keepFor: duration.prefault('10m').describe('How long doubted endpoints are kept.'),
  })
  .describe('A backend, and a frontend where `bind` is given.');

const haproxy = z
  .strictObject({
    control: z
      .enum(['process', 'command', 'none'])
      .default('process')
      .describe('process: start and reload HAProxy here; command: run the commands below; none: only write the file.'),
    binary: z.string().min(1).default('haproxy').describe('The executable, looked up in PATH.'),
    config: z
      .string()
      .min(1)
      .default('./run/haproxy.cfg')
      .describe('The file that Myelin writes. It is Myelin’s alone.'),
    statsSocket: z.string().min(1).default('./run/admin.sock').describe('HAProxy’s runtime API, for you; mode 0600.'),
    checkCommand: z
      .array(z.string())
      .optional()
      .describe('control: command. Must succeed before the file goes live; `{file}` is the candidate.'),
    reloadCommand: z.array(z.string()).optional().describe('control: command. Makes HAProxy read the new file.'),
    onExit: z
      .enum(['keep', 'stop'])
      .default('keep')
      .describe(
        'What becomes of HAProxy when Myelin stops: keep serves on, stop ends it (SIGUSR1, then SIGTERM after stopGrace).',
      ),
    stopGrace: duration.prefault('30s'),
    user: z.string().optional().describe('HAProxy drops to this user; only where Myelin runs as root.'),
    group: z.string().optional(),
    log: z
      .string()
      .default('stdout')
      .describe(
        'Where traffic is logged: stdout, stderr, none, or a syslog address such as 127.0.0.1:514 or /dev/log.',
      ),
    stats: z
      .strictObject({ bind: rawLine, path: z.string().default('/'), lines: lines.default([]) })
      .optional()
      .describe('HAProxy’s own statistics page.'),
    prometheus: z
      .strictObject({ bind: rawLine, path: z.string().default('/metrics') })
      .optional()
      .describe('HAProxy’s own Prometheus exporter.'),
    global: lines.default([]).describe('Further lines of the global section.'),
    defaults: lines.default([]).describe('Further lines of the defaults section.'),
    sections: z
      .array(z.string())
      .default([])
      .describe('Hand-written sections, each a block of lines; Myelin never touches their servers.'),
  })
  .describe('The HAProxy that is kept in step.');

export const config = z
  .strictObject({
    watchers: z
      .record(proxyName, z.discriminatedUnion('type', [consulWatcher, fileWatcher]))
      .describe('Sources by name; `type` defaults to the name.'),
    services: z.record(proxyName, service).default({}).describe('What is served, by name.'),
    include: z.array(z.string()).default([]).describe('Further files with `services`; `*` and `?` are allowed.'),
    allowAddresses: z
      .array(z.string())
      .default([])
      .describe('Ranges (CIDR) in which endpoints are accepted although they are loopback, link-local or the like.'),
    haproxy: haproxy.prefault({}),
    templates: z.string().optional().describe('A folder whose templates replace the built-in ones, file by file.'),
    order: z
      .enum(['name', 'host'])
      .default('name')
      .describe('Order of servers: by name, or shuffled by this host’s name.'),
    startTimeout: duration
      .prefault('30s')
      .describe('How long a required source may take before the others go live without it.'),
    debounce: z
      .strictObject({
        quiet: duration.prefault('20ms').describe('Further changes wait until none came for this long.'),
        max: duration.prefault('200ms').describe('But never longer than this.'),
      })
      .prefault({}),
    reload: z
      .strictObject({
        minInterval: duration.prefault('2s').describe('Between two reloads at least.'),
        jitter: duration
          .prefault('0s')
          .describe('Up to this much longer, at random, so that a fleet does not reload at once.'),
        maxOldWorkers: z
          .number()
          .int()
          .min(1)
          .default(4)
          .describe('Old processes that may still finish their connections.'),
        maxDelay: duration
          .prefault('30s')
          .describe('A reload waits this long for that; then the oldest one is retired.'),
        hardStopAfter: duration.prefault('10m').describe('An old process closes what is left after this time.'),
        startTimeout: duration.prefault('30s').describe('How long a new process may take to prove itself.'),
      })
      .prefault({}),
    state: z
      .string()
      .min(1)
      .default('./run/state')
      .describe('Myelin’s own folder: what runs, and what it was proved with.'),
    admin: z
      .strictObject({
        listen: z.string().optional().describe('HOST:PORT of the admin API. Default: only the socket.'),
        socket: z
          .string()
          .min(1)
          .default('./run/myelin.sock')
          .describe('Control socket of the command line; mode 0600.'),
      })
      .prefault({}),
    probes: z
      .strictObject({
        listen: z
          .string()
          .default('127.0.0.1:8406')
          .describe('HOST:PORT of /healthz, /readyz and /metrics; off: none.'),
      })
      .prefault({}),
  })
  .describe('Myelin’s config file.');

type Parsed = z.output<typeof config>;

/** Where a service's endpoints come from: `key` is unique within the watcher and names the answer in its updates. */
export type Origin = { readonly watcher: string; readonly key: string; readonly query: ConsulQuery | FileQuery };

/** A service as the program sees it: `from` resolved to origins, each query validated by its watcher's schema. */
export type Service = Omit<z.output<typeof service>, 'from'> & {
  readonly name: string;
  readonly origins: readonly Origin[];
};

/** The config as the program sees it: defaults filled in, durations in milliseconds, paths absolute. */
export type Config = Readonly<Omit<Parsed, 'services' | 'include'>> & {
  readonly services: ReadonlyMap<string, Service>;
};
export type WatcherConfig = Parsed['watchers'][string];
export type ConsulWatcherConfig = z.output<typeof consulWatcher>;
export type ConsulQuery = z.output<typeof consulQuery>;
export type FileWatcherConfig = z.output<typeof fileWatcher>;
export type FileQuery = z.output<typeof fileQuery>;
