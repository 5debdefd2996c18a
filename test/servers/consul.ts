/** A real Consul agent for tests: found or built, started on loopback, with the few calls of its API that tests need. */

import { freePort, until } from '../support/index.ts';
import { type Child, lastOutput, startChild } from '../support/machine/child.ts';
import { goProgram } from './go-program.ts';
import { provided } from './provided.ts';

/** Path of the executable; a build with Go takes about five minutes the first time. */
export const consulBinary = provided('Consul', () =>
  goProgram({
    name: 'consul',
    variable: 'CONSUL_BIN',
    module: 'consul',
    cache: 'consul-1.22.0',
    package: 'github.com/hashicorp/consul',
    takes: 'about five minutes',
  }),
);

export type Registration = {
  readonly name: string;
  /** Default: the name and the port. */
  readonly id?: string;
  readonly port: number;
  /** Default: none, so that the node's counts. */
  readonly address?: string;
  readonly tags?: readonly string[];
  readonly meta?: Readonly<Record<string, string>>;
  readonly weights?: { readonly Passing: number; readonly Warning: number };
};

export type ConsulAgent = AsyncDisposable & {
  /** `http://127.0.0.1:PORT` */
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  /** The management token, where ACLs are on. */
  readonly token: string | undefined;
  /** Each registration has a check of its own, which passes until `setCheck` says otherwise. */
  register(service: Registration): Promise<void>;
  deregister(id: string): Promise<void>;
  setCheck(id: string, state: 'pass' | 'warn' | 'fail'): Promise<void>;
  /** Of a service, or of the whole node. */
  maintenance(on: boolean, id?: string): Promise<void>;
  api(method: 'GET' | 'PUT', path: string, body?: unknown): Promise<unknown>;
  /** All that the servers know now; `restore` puts it in the place of what they know then. */
  snapshot(): Promise<Blob>;
  restore(snapshot: Blob): Promise<void>;
  stop(): Promise<void>;
  /** The same ports, and nothing of what was registered. */
  restart(): Promise<void>;
};

export type ConsulOptions = {
  /** ACLs on, everything denied by default, `token` may do all. */
  readonly acl?: boolean;
  /** Further configuration in HCL. */
  readonly hcl?: string;
};

export async function startConsul({ acl = false, hcl = '' }: ConsulOptions = {}): Promise<ConsulAgent> {
  const binary = await consulBinary();
  const [port, serverPort, serfPort] = [await freePort(), await freePort(), await freePort()];
  const token = acl ? '6d1f0b1e-55a5-4e52-8f3c-5a0c3f1f7a11' : undefined;
  const args = [
    ...['agent', '-dev', '-bind=127.0.0.1', '-client=127.0.0.1', '-node=node-1', '-log-level=err'],
    ...[`-http-port=${port}`, `-server-port=${serverPort}`, `-serf-lan-port=${serfPort}`],
    ...['-serf-wan-port=-1', '-dns-port=-1', '-grpc-port=-1', '-grpc-tls-port=-1', '-hcl=connect { enabled = false }'],
    ...(acl ? [`-hcl=acl { enabled = true default_policy = "deny" tokens { initial_management = "${token}" } }`] : []),
    ...(hcl === '' ? [] : [`-hcl=${hcl}`]),
  ];
  const address = `http://127.0.0.1:${port}`;
  let running = await start(binary, args, address, token);

  const api: ConsulAgent['api'] = (method, path, body) => call(address, token, method, path, body);
  const stop = (): Promise<void> => running.kill();
  return {
    address,
    port,
    get pid() {
      return running.pid;
    },
    token,
    api,
    async register({ name, port, id = `${name}-${port}`, address = '', tags = [], meta = {}, weights }) {
      await api('PUT', '/v1/agent/service/register', {
        ID: id,
        Name: name,
        Address: address,
        Port: port,
        Tags: tags,
        Meta: meta,
        ...(weights === undefined ? {} : { Weights: weights }),
        Check: { CheckID: `check-${id}`, TTL: '1h', Status: 'passing' },
      });
    },
    async deregister(id) {
      await api('PUT', `/v1/agent/service/deregister/${encodeURIComponent(id)}`);
    },
    async setCheck(id, state) {
      await api('PUT', `/v1/agent/check/${state}/${encodeURIComponent(`check-${id}`)}`);
    },
    async maintenance(on, id) {
      const whose = id === undefined ? 'maintenance' : `service/maintenance/${encodeURIComponent(id)}`;
      await api('PUT', `/v1/agent/${whose}?enable=${on}`);
    },
    snapshot: async () => (await ask(address, token, 'GET', '/v1/snapshot')).blob(),
    async restore(snapshot) {
      await ask(address, token, 'PUT', '/v1/snapshot', snapshot);
    },
    stop,
    async restart() {
      await stop();
      running = await start(binary, args, address, token);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function start(
  binary: string,
  args: readonly string[],
  address: string,
  token: string | undefined,
): Promise<Child> {
  const child = await startChild([binary, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const output = lastOutput(child.process);
  try {
    await until(
      'the Consul agent has a leader and knows its own node',
      async () => {
        if (child.hasEnded()) return true;
        const nodes = await call(address, token, 'GET', '/v1/catalog/nodes');
        return Array.isArray(nodes) && nodes.length > 0;
      },
      { withinMs: 60_000, everyMs: 50 },
    );
  } catch (cause) {
    await child.kill();
    throw new Error(`consul did not start\n${output()}`, { cause });
  }
  if (child.hasEnded()) throw new Error(`consul ended with status ${child.process.exitCode}\n${output()}`);
  return child;
}

async function call(
  address: string,
  token: string | undefined,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const response = await ask(address, token, method, path, body === undefined ? undefined : JSON.stringify(body));
  const text = await response.text();
  return text === '' ? null : JSON.parse(text);
}

async function ask(
  address: string,
  token: string | undefined,
  method: string,
  path: string,
  body?: string | Blob,
): Promise<Response> {
  const response = await fetch(`${address}${path}`, {
    method,
    headers: token === undefined ? {} : { 'X-Consul-Token': token },
    ...(body === undefined ? {} : { body }),
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`${method} ${path}: HTTP ${response.status} ${await response.text()}`);
  return response;
}
