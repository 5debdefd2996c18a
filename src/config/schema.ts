/**
 * The whole of `myelin.yaml` in one place: keys, defaults, limits and descriptions. `myelin schema` and the reference
 * page are printed from here. All objects are strict: an unknown key is an error.
 */
import { z } from 'zod';
import { serviceOptions } from './discover/service-options.ts';
import {
  cidr,
  command,
  duration,
  filePath,
  lines,
  listen,
  listenOrOff,
  port,
  portRange,
  proxyName,
  rawLine,
  section,
  someTime,
  text,
  word,
} from './values.ts';

/** A list that may be written as a single item. */
function oneOrMany<T extends z.ZodType>(item: T) {
  return z.union([item, z.array(item)]).transform((value) => (Array.isArray(value) ? value : [value]) as z.output<T>[]);
}

const required = z
  .boolean()
  .default(true)
  .describe('Nothing is rendered until this source has answered once, or `startTimeout` is over.');

const maxShrink = z
  .strictObject({
    share: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('The part of a service’s endpoints that may go at once, 0 to 1; 1 holds nothing back.'),
    hold: someTime
      .prefault('60s')
      .describe('How long the source must go on saying so; losses within this time count together.'),
  })
  .prefault({})
  .describe('A larger loss is held back: those that vanished serve on for `hold`, or until `myelin accept SERVICE`.');

const maxServers = z
  .number()
  .int()
  .min(1)
  .default(1000)
  .describe('So many endpoints of one service are taken, ready ones first, then by name; further ones are left out.');

const tls = z
  .strictObject({
    caFile: filePath
      .optional()
      .describe('CA certificates (PEM) that the agent is verified with. Default: the system’s.'),
    certFile: filePath.optional().describe('Client certificate (PEM); needs `keyFile`.'),
    keyFile: filePath.optional().describe('Key of the client certificate (PEM).'),
    serverName: word
      .optional()
      .describe('Name expected in the agent’s certificate, where it is not the host of the address.'),
    verify: z
      .boolean()
      .optional()
      .describe('false accepts any certificate: for tests only. Default: CONSUL_HTTP_SSL_VERIFY, else true.'),
  })
  .describe('TLS towards an https:// address.');

export const consulWatcher = z
  .strictObject({
    type: z.literal('consul').describe('The kind of source. Default: the name of the watcher, where that is a kind.'),
    address: word
      .regex(/^(https?|unix):\/\/.+|^[^/]+:\d+$/, 'expected http://HOST:PORT, https://HOST:PORT or unix:///PATH')
      .optional()
      .describe('The agent: http://, https:// or unix://. Default: CONSUL_HTTP_ADDR, else http://127.0.0.1:8500.'),
    token: z
      .string()
      .optional()
      .meta({ secret: true })
      .describe('ACL token, better given as `${ENV}` or `${file:PATH}`. Default: CONSUL_HTTP_TOKEN.'),
    tokenFile: filePath
      .optional()
      .describe('File with the ACL token, read again when it changes. Default: CONSUL_HTTP_TOKEN_FILE.'),
    datacenter: word.optional().describe('Datacenter asked where a query names none. Default: the agent’s.'),
    required,
    wait: someTime
      .refine((ms) => ms <= 600_000, 'expected at most 10m (Consul waits no longer)')
      .prefault('2m')
      .describe('How long a blocking query waits at the agent; 10m at most.'),
    maxConnections: z
      .number()
      .int()
      .min(1)
      .max(10_000)
      .default(100)
      .describe('Connections to the agent at most (it allows 200 from one address unless told otherwise).'),
    hostNames: z
      .enum(['refuse', 'resolve'])
      .default('refuse')
      .describe('Instances whose address is a host name, as of external services: refused or resolved.'),
    maxServers,
    maxShrink,
    tls: tls.prefault({}),
  })
  .describe('Services of a Consul agent.');

export const consulQuery = z
  .strictObject({
    service: text.optional().describe('Name in Consul. Default: the name of the service here.'),
    tags: z.array(text).default([]).describe('Only instances that carry all of these tags.'),
    filter: text.optional().describe('Consul’s filter expression, such as `Service.Meta.version == "2"`.'),
    datacenter: word.optional().describe('Ask this datacenter. Default: the watcher’s.'),
    near: word
      .optional()
      .describe('Without effect, and taken for the sake of older configs: who is chosen is for `balance` to say.'),
    stale: z
      .boolean()
      .default(true)
      .describe(
        'Let any Consul server answer, not the leader alone: faster. What a server says that has lost its leader counts once the leader has said so too.',
      ),
    warning: z.enum(['use', 'ignore']).default('use').describe('Whether instances with a warning check get traffic.'),
  })
  .describe('One service of a Consul watcher.');

const fileWatcher = z
  .strictObject({
    type: z.literal('file').describe('The kind of source. Default: the name of the watcher, where that is a kind.'),
    path: filePath.describe('A YAML or JSON file, or a folder of them.'),
    required,
    maxServers,
    maxShrink,
  })
  .describe('Services and endpoints from a file.');

export const fileQuery = z
  .strictObject({
    service: text.optional().describe('Name in the file. Default: the name of the service here.'),
  })
  .describe('One service of a file watcher.');

/** A name as Kubernetes takes it for namespaces and ports. */
const label = text.regex(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'expected a name of small letters, digits and - inside, at most 63 characters',
);

export const kubernetesWatcher = z
  .strictObject({
    type: z
      .literal('kubernetes')
      .describe('The kind of source. Default: the name of the watcher, where that is a kind.'),
    kubeconfig: filePath
      .optional()
      .describe('Default: KUBECONFIG, else ~/.kube/config, else the service account of the pod that Myelin runs in.'),
    context: text.optional().describe('Context of the kubeconfig. Default: its current one.'),
    namespace: label
      .optional()
      .describe('Namespace of services whose query names none. Default: the context’s or the pod’s, else `default`.'),
    namespaces: oneOrMany(label)
      .optional()
      .describe(
        'Namespaces that queries may name besides `namespace`; each is watched on its own, so a Role in each is enough. ' +
          '`all` watches the whole cluster at once and needs a ClusterRole. Default: those that queries name.',
      ),
    labelSelector: text
      .optional()
      .describe('Only Services, and EndpointSlices, with these labels, such as `app=shop,tier!=test`.'),
    fieldSelector: text.optional().describe('Only Services with these fields, such as `spec.type!=LoadBalancer`.'),
    zone: word.optional().describe('The zone that this HAProxy is in, such as `${ZONE}`.'),
    zonePolicy: z
      .enum(['hints', 'prefer', 'only', 'ignore'])
      .default('hints')
      .describe(
        'hints: endpoints that the cluster meant for this zone, as kube-proxy chooses them; prefer: those of this zone ' +
          'while one is ready; only: no others ever; ignore: all. All but ignore need `zone`, hints does nothing without.',
      ),
    node: word
      .optional()
      .describe('The node that this HAProxy is on, such as `${NODE_NAME}`, for `internalTrafficPolicy: Local`.'),
    family: z
      .enum(['prefer4', 'prefer6', 'both'])
      .default('prefer4')
      .describe('Of pods that have both, the IPv4 address, the IPv6 address, or both as two servers.'),
    externalName: z
      .enum(['refuse', 'resolve'])
      .default('refuse')
      .describe(
        'Services of type ExternalName, by which whoever may write Services can name any host: refused or resolved.',
      ),
    idleTimeout: someTime
      .prefault('90s')
      .describe(
        'A watch without a word for this long is opened anew. Where anything happens in the cluster the server says something once a minute.',
      ),
    required,
    maxServers,
    maxShrink,
  })
  .describe('Services of a Kubernetes cluster.');

export const kubernetesQuery = z
  .strictObject({
    service: label.optional().describe('Name of the Service. Default: the name of the service here.'),
    namespace: label.optional().describe('Its namespace. Default: the watcher’s.'),
    port: z
      .union([port, label])
      .meta({ title: 'port, or its name', expected: 'a port from 1 to 65535, or the name of one' })
      .optional()
      .describe('Name or number of its port, or of its `targetPort`. Default: its only TCP port.'),
  })
  .describe('One Service of a Kubernetes watcher.');

const labelName = z
  .string()
  .regex(
    /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/,
    'expected the name of a label, such as expose or example.com/expose',
  );

const labelValue = z
  .string()
  .regex(/^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/, 'expected the value of a label: letters, digits, - _ .');

const urlPath = word.regex(/^\//, 'expected a path that starts with /');

const check = z
  .strictObject({
    type: z
      .enum(['tcp', 'http', 'none'])
      .default('tcp')
      .describe('tcp: the port accepts; http: a request is answered well; none: the source alone is believed.'),
    path: urlPath.default('/').describe('What an http check asks for.'),
    method: z.enum(['GET', 'HEAD', 'OPTIONS']).default('GET').describe('How an http check asks.'),
    host: word.optional().describe('Host header of an http check. Default: none.'),
    status: z
      .string()
      .regex(/^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$/, 'expected statuses such as 200, 200-399 or 200,204')
      .default('200-399')
      .describe('Statuses that are good answers to an http check.'),
    interval: someTime
      .optional()
      .describe('From one check to the next. Default: `inter` of a `default-server` in `haproxy.defaults`, else `2s`.'),
    timeout: someTime.optional().describe('How long a check may take once connected. Default: `interval`.'),
    rise: z.number().int().min(1).optional().describe('Good checks until a server is up. Default: likewise, else `2`.'),
    fall: z
      .number()
      .int()
      .min(1)
      .optional()
      .describe('Bad checks until a server is down. Default: likewise, else `3`.'),
    port: port.optional().describe('Port to check, where it is not the endpoint’s.'),
  })
  .describe('HAProxy’s own health check of each server.');

const server = z
  .strictObject({
    maxconn: z.number().int().min(1).optional().describe('Connections to one server at once; further ones queue.'),
    slowstart: someTime.optional().describe('A server that came up gets its full weight only after this time.'),
    proxyProtocol: z.enum(['v1', 'v2']).optional().describe('Send the PROXY protocol to the servers.'),
    tls: z
      .strictObject({
        verify: z.boolean().default(true).describe('Whether the certificates of the servers are verified.'),
        caFile: filePath
          .optional()
          .describe(
            'CA certificates (PEM) for that. Default: `@system-ca`, those of the system (HAProxy 2.6 and later).',
          ),
        sni: word.optional().describe('Server name that is sent, and expected in the certificate.'),
      })
      .optional()
      .describe('Speak TLS to the servers.'),
    options: rawLine.optional().describe('Any further options of HAProxy’s `default-server` line.'),
  })
  .describe('Options of every server of the service.');

const timeouts = z
  .strictObject({
    connect: someTime.optional().describe('Until a server has accepted the connection.'),
    client: someTime.optional().describe('Inactivity of the client.'),
    server: someTime.optional().describe('Inactivity of the server: how long an answer may take.'),
    queue: someTime.optional().describe('How long a request waits for a free server (`server.maxconn`).'),
    tunnel: someTime.optional().describe('Inactivity of WebSockets and other upgraded connections.'),
    httpRequest: someTime.optional().describe('Until the headers of a request are complete.'),
    httpKeepAlive: someTime.optional().describe('How long a connection without a request stays open.'),
    check: someTime.optional().describe('HAProxy’s `timeout check`; `check.timeout` is the same and goes first.'),
  })
  .describe('HAProxy’s timeouts for this service. Default: those of the defaults section.');

export const service = z
  .strictObject({
    from: oneOrMany(z.record(z.string(), z.unknown()))
      .optional()
      .describe('Watcher name and its query; several are joined. Default: the only watcher, the service of this name.'),
    bind: oneOrMany(rawLine)
      .optional()
      .describe(
        'Where the frontend listens, in HAProxy’s bind syntax with its options. Without it there is only a backend. ' +
          'Another form of the same address, such as `*:80` for `127.0.0.1:80`, costs the frontend some milliseconds in which it refuses connections.',
      ),
    mode: z.enum(['http', 'tcp']).default('http').describe('Whether HAProxy understands the traffic as HTTP.'),
    balance: rawLine
      .optional()
      .describe(
        'HAProxy’s balance algorithm with its arguments. Default: that of `haproxy.defaults`, else `roundrobin`.',
      ),
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
          'happened within a minute of Myelin’s start or of a restart or reconnection of the source, else it accepts.',
      ),
    keepFor: someTime.prefault('10m').describe('How long doubted endpoints are kept.'),
  })
  .describe('A backend, and a frontend where `bind` is given.');

/** Of two watchers' discovered services, and of those that are listed, no two may claim the same. */
const discovery = z
  .strictObject({
    labels: z
      .record(labelName, labelValue)
      .refine((labels) => Object.keys(labels).length > 0, 'names no label, which would be every Service: give one')
      .describe('Services with all of these labels are served.'),
    bindAddress: z
      .union([z.ipv4(), z.ipv6(), z.literal('*')])
      .meta({ title: 'address', expected: 'an IPv4 or IPv6 address of this machine, or * for all' })
      .default('127.0.0.1')
      .describe('Where their frontends listen: an address of this machine, or `*`.'),
    ports: portRange
      .optional()
      .describe(
        'Ports that they may choose by the option `listen`, such as 10000-19999. Default: none, only backends.',
      ),
    maxServices: z
      .number()
      .int()
      .min(1)
      .default(10_000)
      .describe('So many are served, the older ones first; further ones are left out.'),
    maxPerNamespace: z
      .number()
      .int()
      .min(1)
      .default(1000)
      .describe(
        'So many of one namespace, and so many of `ports`: who may write Services in one takes them from no other.',
      ),
    options: z
      .array(z.enum(serviceOptions))
      .meta({ title: 'list of options' })
      .optional()
      .describe(
        'What they may choose. Default: every option that there is, but for `mode` where `service` has lines for HAProxy, as some count in one mode only.',
      ),
    service: service
      .omit({ from: true, bind: true })
      .prefault({})
      .describe('What they do not choose: the keys of a service, but for `from` and `bind`.'),
  })
  .describe('Services that nobody listed, from a watcher of type kubernetes.');

const haproxy = z
  .strictObject({
    control: z
      .enum(['process', 'master', 'command', 'none'])
      .default('process')
      .describe(
        'process: start and reload HAProxy here; master: reload one that runs elsewhere over `masterSocket`; ' +
          'command: run the commands below; none: only write the file.',
      ),
    binary: text
      .default('haproxy')
      .meta({ path: 'program' })
      .describe('The executable: a name is looked up in PATH, anything with a slash is a path.'),
    version: z
      .string()
      .regex(/^\d+\.\d+$/, 'expected a branch such as 3.0')
      .optional()
      .describe(
        'The branch of HAProxy for which the first config is written where none can be asked: none runs yet, and there is no executable here. Default: 2.2, which every later one understands.',
      ),
    config: filePath.default('./run/haproxy.cfg').describe('The file that Myelin writes. It is Myelin’s alone.'),
    statsSocket: filePath
      .default('./run/admin.sock')
      .describe(
        'HAProxy’s runtime API, for you; mode 0600. With control: process a link to the socket of the one that serves, in `state`, which takes 100 connections at once or more (`stats maxconn`). 97 bytes at most.',
      ),
    masterSocket: filePath
      .optional()
      .describe('control: master. The socket of HAProxy’s master, as given to it: `haproxy -W -S SOCKET`.'),
    checkCommand: command
      .optional()
      .describe('control: command. Must succeed before the file goes live; `{file}` is the candidate.'),
    reloadCommand: command.optional().describe('control: command. Makes HAProxy read the new file.'),
    passEnv: z
      .array(z.string().regex(/^[A-Za-z_]\w*$/, 'expected the name of an environment variable'))
      .default([])
      .meta({ title: 'list of names' })
      .describe(
        'Environment variables that HAProxy and the commands above are given beside the usual ones: see below.',
      ),
    onExit: z
      .enum(['keep', 'stop'])
      .default('keep')
      .describe(
        'What becomes of HAProxy when Myelin stops: keep serves on, stop ends it (SIGUSR1, then SIGTERM after stopGrace).',
      ),
    stopGrace: duration.prefault('30s').describe('onExit: stop. How long connections may finish.'),
    onHang: z
      .enum(['report', 'replace'])
      .default('report')
      .describe(
        'What becomes of a HAProxy that does not answer. It cannot hand over: replace, with control: process, ends it ' +
          'after half a minute, with the connections that it has, and starts another.',
      ),
    keepFiles: z
      .boolean()
      .default(true)
      .describe(
        'Whether copies are kept of the certificates and error pages that services name, as HAProxy took them last: where ' +
          'one is broken later, its service serves on with the copy, and nobody waits. Private keys are among them: see below.',
      ),
    handover: filePath
      .optional()
      .describe(
        'control: process. A folder of this Myelin alone, such as /run/handover/${POD_UID}, for the processes that it starts. ' +
          'The first one takes over the listening sockets of a HAProxy whose Myelin has its folder beside it, and which ' +
          'then ends (`onExit: stop`).',
      ),
    user: word.optional().describe('HAProxy drops to this user; only where Myelin runs as root.'),
    group: word.optional().describe('And to this group.'),
    log: word
      .default('stdout')
      .describe(
        'Where traffic is logged: stdout, stderr, none, or a syslog address such as 127.0.0.1:514 or /dev/log.',
      ),
    stats: z
      .strictObject({
        bind: rawLine.describe('Where it listens, in HAProxy’s bind syntax.'),
        path: urlPath.default('/').describe('Its path.'),
        lines: lines.default([]).describe('Further lines of its frontend, such as `stats auth USER:PASSWORD`.'),
      })
      .optional()
      .describe('HAProxy’s own statistics page.'),
    prometheus: z
      .strictObject({
        bind: rawLine.describe('Where it listens, in HAProxy’s bind syntax.'),
        path: urlPath.default('/metrics').describe('Its path.'),
      })
      .optional()
      .describe('HAProxy’s own Prometheus exporter.'),
    global: lines
      .default([])
      .describe('Further lines of the global section; with control: process not `master-worker`.'),
    defaults: lines
      .default([])
      .describe(
        'Further lines of the defaults section. Their `balance`, `retry-on`, log format and the `inter`, `rise` and `fall` of their `default-server` hold for each service that says nothing else.',
      ),
    sections: z
      .array(section)
      .default([])
      .describe(
        'Hand-written sections, each a block of lines; Myelin never touches their servers. What is set of them over HAProxy’s runtime API (`maint`, `drain`, a weight) outlives reloads, but neither addresses nor servers added there.',
      ),
  })
  .describe('The HAProxy that is kept in step.');

export const config = z
  .strictObject({
    watchers: z
      .record(proxyName, z.discriminatedUnion('type', [consulWatcher, fileWatcher, kubernetesWatcher]))
      .describe('Sources of endpoints, by name; `type` defaults to the name.'),
    services: z.record(proxyName, service).prefault({}).describe('What is served, by name.'),
    discover: z
      .record(proxyName, discovery)
      .prefault({})
      .describe('By watcher: services that it finds by itself, within these limits.'),
    include: z
      .array(text)
      .default([])
      .describe('Further files, which may hold `services` only; `*` and `?` stand for any characters of a name.'),
    allowAddresses: z
      .array(cidr)
      .default([])
      .describe(
        'Ranges (CIDR) in which endpoints are accepted although they are loopback, link-local or the like. Never accepted is what leads back to a listener of this config.',
      ),
    onlyAddresses: z
      .array(cidr)
      .default([])
      .describe('Ranges (CIDR) outside of which, and of `allowAddresses`, no endpoint is accepted. Default: any.'),
    haproxy: haproxy.prefault({}),
    templates: filePath.optional().describe('A folder whose templates replace the built-in ones, file by file.'),
    order: z
      .enum(['name', 'host'])
      .default('name')
      .describe('Order of servers: by name, or shuffled by this host’s name.'),
    startTimeout: someTime
      .prefault('30s')
      .describe('How long a required source may take before the others go live without it.'),
    debounce: z
      .strictObject({
        quiet: duration.prefault('20ms').describe('Further changes wait until none came for this long.'),
        max: duration.prefault('200ms').describe('But never longer than this.'),
      })
      .prefault({})
      .describe('The first change is applied at once; those that follow are gathered.'),
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
          .describe(
            'Old processes that may still finish their connections. One more for the moment of a reload: the oldest is retired once the new one has proved itself.',
          ),
        maxDelay: duration
          .prefault('30s')
          .describe('A reload waits this long for that; then the oldest one is retired.'),
        offerInterval: duration
          .prefault('10m')
          .describe(
            'The oldest one is retired for what the discovered services of one namespace ask for only so often. 0s: as for anything else.',
          ),
        hardStopAfter: someTime.prefault('10m').describe('An old process closes what is left after this time.'),
        startTimeout: someTime
          .prefault('30s')
          .describe('How long a new process may take to prove itself. control: master waits a minute at least.'),
      })
      .prefault({})
      .describe('Limits on reloads and on the old processes that they leave behind.'),
    file: z
      .strictObject({
        maxLag: duration
          .prefault('200ms')
          .describe('How long the file on disk may be behind what runs; many changes are one write.'),
      })
      .prefault({})
      .describe('When `haproxy.config` is written.'),
    drainTimeout: duration
      .prefault('10m')
      .describe('How long a removed server may finish its connections; what is left then is closed, and counted.'),
    verifyInterval: someTime
      .prefault('10s')
      .describe('Within this time every backend is read back from the running HAProxy and compared.'),
    drift: z
      .enum(['repair', 'report'])
      .default('repair')
      .describe(
        'What is done with a server that is not what it should be, and with a HAProxy that somebody reloaded by hand: ' +
          'repair sets it right, report only tells.',
      ),
    state: filePath.default('./run/state').describe('Myelin’s own folder: what runs, and what it was proved with.'),
    admin: z
      .strictObject({
        listen: listen
          .optional()
          .describe('HOST:PORT of the admin API, which asks nobody for a password. Default: only the socket.'),
        allowRemote: z
          .boolean()
          .default(false)
          .describe('true: `listen` may be an address that others reach, who then read status and config.'),
        socket: filePath.default('./run/myelin.sock').describe('Control socket of the command line; mode 0600.'),
      })
      .prefault({})
      .describe('How the running Myelin is asked and told.'),
    probes: z
      .strictObject({
        listen: listenOrOff
          .default('127.0.0.1:8406')
          .describe('HOST:PORT of /healthz, /readyz and /metrics (in a pod `*:8406`), or off.'),
      })
      .prefault({})
      .describe('What orchestrators and Prometheus ask.'),
  })
  .describe('Myelin’s config file.');

/** What the schema makes of the file, before services' `from` is resolved. */
export type ParsedConfig = z.output<typeof config>;
export type ParsedService = z.output<typeof service>;

/** Where a service's endpoints come from: `key` is unique within the watcher and names the answer in its updates. */
export type Origin = { readonly watcher: string; readonly key: string; readonly query: SourceQuery };

/** A service as the program sees it: `from` resolved to origins, each query validated by its watcher's schema. */
export type Service = Omit<ParsedService, 'from'> & {
  readonly name: string;
  readonly origins: readonly Origin[];
};

/** One question for services that nobody listed, and the limits within which what is found may choose. */
export type Discovery = {
  readonly watcher: string;
  /** Unique within the watcher, and no service's name. */
  readonly key: string;
  readonly query: KubernetesDiscovery;
  readonly limits: Limits;
};

/** The config as the program sees it: defaults filled in, durations in milliseconds, paths absolute. */
export type Config = Readonly<Omit<ParsedConfig, 'services' | 'include' | 'discover'>> & {
  /** By name, in the order of names. */
  readonly services: ReadonlyMap<string, Service>;
  readonly discoveries: readonly Discovery[];
};
export type Limits = z.output<typeof discovery>;
export type WatcherConfig = ParsedConfig['watchers'][string];
export type ConsulWatcherConfig = z.output<typeof consulWatcher>;
export type ConsulQuery = z.output<typeof consulQuery>;
export type FileWatcherConfig = z.output<typeof fileWatcher>;
export type FileQuery = z.output<typeof fileQuery>;
export type KubernetesWatcherConfig = z.output<typeof kubernetesWatcher>;
export type KubernetesQuery = z.output<typeof kubernetesQuery>;
/** A question for all Services with these labels. */
export type KubernetesDiscovery = {
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined: the watcher's own, or all where it watches all. */
  readonly namespace: string | undefined;
};
type SourceQuery = ConsulQuery | FileQuery | KubernetesQuery | KubernetesDiscovery;
