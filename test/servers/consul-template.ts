/**
 * consul-template as careful people run it beside HAProxy: it renders haproxy.cfg, and its command starts a new HAProxy
 * that takes over the listening sockets (`-x`) and then has the old one finish (`-sf`).
 */
import { chmod } from 'node:fs/promises';
import { startChild } from '../support/machine/child.ts';
import type { Workplace } from '../support/sites/myelin.ts';
import { goProgram } from './go-program.ts';
import { haproxy } from './haproxy.ts';
import { provided } from './provided.ts';

const consulTemplateBinary = provided('consul-template', () =>
  goProgram({
    name: 'consul-template',
    variable: 'CONSUL_TEMPLATE_BIN',
    module: 'consul',
    cache: 'consul-template-0.41.1',
    package: 'github.com/hashicorp/consul-template',
    takes: 'about half a minute',
  }),
);

type Options = {
  /** Whose files it lives among; ends the HAProxies that it leaves behind. */
  readonly place: Workplace;
  /** `http://127.0.0.1:PORT` of the agent. */
  readonly consul: string;
  /** Of `haproxy.cfg`, whose stats socket is `admin.sock` in the folder. */
  readonly template: string;
  /** What the template reads. */
  readonly env?: Readonly<Record<string, string>>;
};

/** What matters for a lossless reload is as in Myelin's own templates. */
export function plainTemplate(socket: string, service: string, port: number): string {
  return `global
    stats socket ${socket} mode 600 level admin expose-fd listeners
    hard-stop-after 10m
defaults
    mode http
    retries 3
    option redispatch 1
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 5s
frontend in
    bind 127.0.0.1:${port}
    option idle-close-on-response
    default_backend ${service}
backend ${service}
    balance roundrobin
{{- range service "${service}" }}
    server {{ .ID }} {{ .Address }}:{{ .Port }}
{{- end }}
`;
}

/** Does not wait for anything. */
export async function startConsulTemplate({ place, consul, template, env = {} }: Options): Promise<AsyncDisposable> {
  const config = place.path('haproxy.cfg');
  const pidFile = place.path('haproxy.pid');
  const socket = place.path('admin.sock');
  await place.write('haproxy.ctmpl', template);
  await place.write(
    'reload',
    `#!/bin/sh
set -- '${await haproxy()}' -D -f '${config}' -p '${pidFile}'
[ -S '${socket}' ] && set -- "$@" -x '${socket}'
[ -s '${pidFile}' ] && set -- "$@" -sf "$(cat '${pidFile}')"
exec "$@"
`,
  );
  await chmod(place.path('reload'), 0o755);
  // No `wait`: a change is rendered at once. Of one that is far away a reader may lag; this agent is asked as it is.
  await place.write(
    'consul-template.hcl',
    `consul { address = "${new URL(consul).host}" }
template {
  source = "${place.path('haproxy.ctmpl')}"
  destination = "${config}"
  exec { command = ["${place.path('reload')}"] }
}
`,
  );
  const argv = [await consulTemplateBinary(), '-config', place.path('consul-template.hcl'), '-log-level', 'err'];
  return startChild(argv, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...env } });
}
