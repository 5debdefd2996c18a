/** The config that `myelin init` writes: the smallest one that works, with the usual options beside it as comments. */

export type InitKind = 'consul' | 'file' | 'kubernetes';

export function initText(kind: InitKind): string {
  // A file may name the loopback unasked.
  return [head, watchers[kind], services(kind), ...(kind === 'file' ? [] : [allowLoopback]), others].join('\n');
}

/** The `services.yaml` that the config of `init file` reads. */
export const exampleServices = `# Services and their endpoints. Myelin follows every change of this file at once.
services:
  web:
    - "127.0.0.1:9000"
    # The long form; all but address and port may be left out.
    #- { address: 127.0.0.1, port: 9001, id: web-2, weight: 2, state: ready, tags: [blue], meta: { version: "1" } }
`;

const head = `# Myelin's config. A line with \`#\` right before a key is an option at its default or an example: remove the \`#\`.
# docs/reference/config.md describes every key, \`myelin schema\` prints a JSON Schema for editors, and \`myelin check\`
# says whether all is well. Strings may hold \${NAME}, \${NAME:-default} and \${file:PATH}.
`;

const consulWatcher = `watchers:
  # Where endpoints come from. The variables of the consul command (CONSUL_HTTP_ADDR, …) are understood as well.
  consul:
    #address: "http://127.0.0.1:8500"
    # The ACL token; the file is read again when it changes.
    #tokenFile: /etc/myelin/consul.token
    #datacenter: dc1
    # Whether HAProxy waits for this source before it starts.
    #required: true
    # When more than this share of a service's endpoints vanishes at once, they serve on for a while.
    #maxShrink: { share: 0.5, hold: 60s }
`;

const fileWatcher = `watchers:
  # Where endpoints come from: a file, or a folder of them.
  file:
    path: ./services.yaml
    # Whether HAProxy waits for this source before it starts.
    #required: true
    # When more than this share of a service's endpoints vanishes at once, they serve on for a while.
    #maxShrink: { share: 0.5, hold: 60s }
`;

const kubernetesWatcher = `watchers:
  # Where endpoints come from: the cluster of the kubeconfig, or the one that Myelin runs in as a pod. The rights that it
  # needs there are in docs/watchers/kubernetes.md.
  kubernetes:
    #kubeconfig: /etc/myelin/kubeconfig
    #context: main
    # The namespace of Services whose query names none.
    #namespace: shop
    # Where this HAProxy is, as a pod's environment may tell: endpoints near it are preferred, as kube-proxy does.
    #zone: eu-central-1a
    #node: node-1
    # Whether HAProxy waits for this source before it starts.
    #required: true
`;

const watchers: Readonly<Record<InitKind, string>> = {
  consul: consulWatcher,
  file: fileWatcher,
  kubernetes: kubernetesWatcher,
};

const queries: Readonly<Record<InitKind, string>> = {
  consul: '{ service: web, tags: [blue] }',
  file: '{ service: web }',
  kubernetes: '{ service: web, namespace: shop, port: http }',
};

function services(kind: InitKind): string {
  const discover = kind === 'kubernetes' ? discoverByLabel : '';
  return `${discover}services:
  # A backend of this name, and a frontend where \`bind\` is given.
  web:
    # Where HAProxy listens, in its own bind syntax, such as "*:443 ssl crt /etc/haproxy/web.pem alpn h2,http/1.1".
    bind: "127.0.0.1:8080"
    # Whom to ask, and for what; left out, the only watcher is asked for the service of this name.
    #from: { ${kind}: ${queries[kind]} }
    # http or tcp.
    #mode: http
    #balance: roundrobin
    # HAProxy's own check of every server; type is tcp, http or none.
    #check: { type: http, path: /healthz, interval: 2s }
    # Connections to one server at once; further ones wait in line.
    #server: { maxconn: 200 }
    #timeouts: { connect: 1s, server: 30s }
    # Lines of HAProxy's own config, as they are.
    #frontend: ["http-response set-header X-Frame-Options DENY"]
    #backend: ["http-reuse safe"]
    # When the last endpoint goes at once: doubt, keep or accept.
    #onEmpty: doubt
`;
}

const discoverByLabel = `# Services that carry this label are served without being listed, as their annotations myelin.dev/* choose.
#discover:
#  kubernetes: { labels: { expose: "true" }, bindAddress: 127.0.0.1, ports: "10000-19999" }

`;

const allowLoopback = `# Endpoints on the loopback are refused: whoever may register services could name what listens there for this machine alone.
# Where all who may are trusted, as on a laptop with an agent of its own:
#allowAddresses: [127.0.0.0/8]
`;

const others = `# More files that hold services.
#include: ["services.d/*.yaml"]

haproxy:
  # process: Myelin starts and reloads HAProxy; master: one that runs elsewhere, over the socket of its master;
  # command: your own command reloads it; none: only the file is written.
  #control: process
  #binary: haproxy
  #config: ./run/haproxy.cfg
  #statsSocket: ./run/admin.sock
  #masterSocket: /run/haproxy-master.sock
  # Whether HAProxy serves on when Myelin stops: keep or stop.
  #onExit: keep
  # And what becomes of one that hangs: report or replace.
  #onHang: report
  # stdout, stderr, none, or a syslog address such as 127.0.0.1:514 or /dev/log.
  #log: stdout
  # HAProxy's statistics page and its Prometheus exporter.
  #stats: { bind: "127.0.0.1:8404" }
  #prometheus: { bind: "127.0.0.1:8407" }
  # Lines of HAProxy's own config, as they are.
  #global: ["maxconn 20000"]
  #defaults: ["timeout client 1m"]

reload:
  # Between two reloads at least; old processes finish their connections, but only so many and so long.
  #minInterval: 2s
  #maxOldWorkers: 4
  #hardStopAfter: 10m

# /healthz, /readyz and /metrics; in a pod "*:8406".
probes:
  #listen: "127.0.0.1:8406"

# How \`myelin status\` and the other commands reach the running Myelin.
admin:
  #socket: ./run/myelin.sock

# Myelin's own folder.
#state: ./run/state
`;
