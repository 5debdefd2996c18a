/** The config that `myelin init` writes: the smallest one that works, with the usual options beside it as comments. */
import type { Source, SourceExample } from '../../../watchers/kit/source.ts';
import { AppError } from '../../errors.ts';
import { builtIn } from '../schema/watchers.ts';

/** Throws an AppError where there is no such source. */
export function initText(type: string): string {
  const { trustsLoopback = false, example } = sourceOf(type);
  const { watcher, query, discover = '' } = example;
  return [
    head,
    watcher,
    `${discover}${services(type, query)}`,
    ...(trustsLoopback ? [] : [allowLoopback]),
    others,
  ].join('\n');
}

/** Files that the config of `init` reads, by name. */
export function exampleFiles(type: string): Readonly<Record<string, string>> {
  return sourceOf(type).example.files ?? {};
}

function sourceOf(type: string): Source & { readonly example: SourceExample } {
  const source = builtIn.get(type);
  if (source?.example !== undefined) return { ...source, example: source.example };
  const known = [...builtIn].flatMap(([name, { example }]) => (example === undefined ? [] : [name]));
  throw new AppError('MYELIN_USAGE', `there is no source ${JSON.stringify(type)}; known are ${known.join(', ')}`);
}

const head = `# Myelin's config. A line with \`#\` right before a key is an option at its default or an example: remove the \`#\`.
# docs/reference/config.md describes every key, \`myelin schema\` prints a JSON Schema for editors, and \`myelin check\`
# says whether all is well. Strings may hold \${NAME}, \${NAME:-default} and \${file:PATH}.
`;

function services(type: string, query: string): string {
  return `services:
  # A backend of this name, and a frontend where \`bind\` is given.
  web:
    # Where HAProxy listens, in its own bind syntax, such as "*:443 ssl crt /etc/haproxy/web.pem alpn h2,http/1.1".
    bind: "127.0.0.1:8080"
    # Whom to ask, and for what; left out, the only watcher is asked for the service of this name.
    #from: { ${type}: ${query} }
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

const allowLoopback = `# Endpoints on the loopback are refused: anyone who may register services could name what listens there for this machine alone.
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
  # Whether HAProxy keeps serving when Myelin stops: keep or stop.
  #onExit: keep
  # And what becomes of one that hangs: report or replace.
  #onHang: report
  # Where traffic is logged: stdout (with control: process Myelin's standard error), none, or a syslog address such as
  # 127.0.0.1:514 or /dev/log.
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

# Further files that say who serves: hosts, nginx-upstream, json, or the path of a template of your own.
#outputs:
#  nginx: { path: ./run/upstreams.conf, template: nginx-upstream, reload: "nginx -s reload" }

# How \`myelin status\` and the other commands reach the running Myelin.
admin:
  #socket: ./run/myelin.sock
  # A page for people in the browser: \`myelin ui\` prints its address. It asks nobody for a password.
  #listen: "127.0.0.1:8405"

# Myelin's own folder.
#state: ./run/state
`;
