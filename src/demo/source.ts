/** Where the demo registers its backends: a file, or its own Consul agent. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import timers from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { now } from '../lib/time/clock.ts';

type Registered = { readonly name: string; readonly port: number; readonly weight: number };

/** A service that chooses its own routes. */
type Offer = { readonly name: string; readonly port: number; readonly routes: string };

export type Source = {
  /** Its name as a watcher. */
  readonly name: string;
  /** The lines of `myelin.yaml` that name this source. */
  readonly config: string;
  /** The keys by which it discovers services. */
  readonly discover: string;
  /** Where a viewer of the demo can change the backends by hand. */
  readonly hint: string;
  /** Registers exactly these backends. */
  publish(backends: readonly Registered[]): Promise<void>;
  /** Registers this service to be discovered, and no other one. */
  offer(service: Offer | null): Promise<void>;
  stop(): Promise<void>;
};

export async function fileSource(folder: string): Promise<Source> {
  const path = join(folder, 'services.yaml');
  let registered: readonly Registered[] = [];
  let offered: Offer | null = null;
  const write = async (): Promise<void> => {
    const items = registered.map(
      ({ name, port, weight }) => `    - { id: ${name}, address: 127.0.0.1, port: ${port}, weight: ${weight} }\n`,
    );
    const web = `  web:${items.length === 0 ? ' []\n' : `\n${items.join('')}`}`;
    const { name, port, routes } = offered ?? {};
    const other =
      offered === null ? '' : `  ${name}:\n    options: { routes: ${routes} }\n    endpoints: ["127.0.0.1:${port}"]\n`;
    await writeFile(`${path}.new`, `services:\n${web}${other}`);
    await rename(`${path}.new`, path);
  };
  return {
    name: 'file',
    config: 'watchers:\n  file: { path: services.yaml }\n',
    discover: '',
    hint: `a file of services, ${path}`,
    async publish(backends) {
      registered = backends;
      await write();
    },
    async offer(service) {
      offered = service;
      await write();
    },
    async stop() {},
  };
}

export async function consulSource(ports: readonly number[], signal: AbortSignal): Promise<Source> {
  const [http = 0, serf = 0, server = 0] = ports;
  const agent = await startAgent({ http, serf, server });
  const api = `http://127.0.0.1:${http}/v1`;
  const stop = async (): Promise<void> => {
    if (agent.exitCode !== null || agent.signalCode !== null) return;
    agent.kill('SIGTERM');
    await once(agent, 'exit');
  };
  try {
    await leader(api, agent, signal);
  } catch (error) {
    await stop();
    throw error;
  }
  let known: readonly Registered[] = [];
  let offered: Offer | null = null;
  const tag = 'demo';
  return {
    name: 'consul',
    config: `watchers:\n  consul: { address: "http://127.0.0.1:${http}" }\nallowAddresses: [127.0.0.0/8]\n`,
    discover: `tag: ${tag}, `,
    hint: `a Consul agent, http://127.0.0.1:${http}`,
    async publish(backends) {
      for (const { name } of known)
        if (!backends.some((backend) => backend.name === name)) await put(`${api}/agent/service/deregister/${name}`);
      for (const { name, port, weight } of backends) {
        if (known.some((before) => before.name === name && before.weight === weight)) continue;
        const Weights = { Passing: weight, Warning: 1 };
        await put(`${api}/agent/service/register`, {
          ID: name,
          Name: 'web',
          Address: '127.0.0.1',
          Port: port,
          Weights,
        });
      }
      known = backends;
    },
    async offer(service) {
      if (offered !== null) await put(`${api}/agent/service/deregister/${offered.name}`);
      if (service !== null)
        await put(`${api}/agent/service/register`, {
          Name: service.name,
          Address: '127.0.0.1',
          Port: service.port,
          Tags: [tag, `myelin.routes=${service.routes}`],
        });
      offered = service;
    },
    stop,
  };
}

async function startAgent(ports: { http: number; serf: number; server: number }): Promise<ChildProcess> {
  const options = ['-dev', '-bind=127.0.0.1', '-client=127.0.0.1', '-log-level=error'];
  const off = ['-grpc-port=-1', '-grpc-tls-port=-1', '-dns-port=-1', '-serf-wan-port=-1'];
  const used = [`-http-port=${ports.http}`, `-serf-lan-port=${ports.serf}`, `-server-port=${ports.server}`];
  const agent = spawn('consul', ['agent', ...options, ...off, ...used], { stdio: 'ignore' });
  try {
    await once(agent, 'spawn');
  } catch (cause) {
    throw new AppError('MYELIN_USAGE', 'a Consul agent cannot be started', {
      cause,
      remedy: 'install Consul so that `consul` is in PATH, or run the demo without --consul',
    });
  }
  return agent;
}

/** Waits until the agent has elected itself as leader. */
async function leader(api: string, agent: ChildProcess, signal: AbortSignal): Promise<void> {
  for (const deadline = now() + 30_000; now() < deadline; ) {
    if (agent.exitCode !== null) break;
    const answer = await fetch(`${api}/status/leader`, { signal }).then(
      (response) => response.text(),
      () => '',
    );
    signal.throwIfAborted();
    if (/\d/.test(answer)) return;
    await timers.setTimeout(50, undefined, { signal });
  }
  throw new AppError('MYELIN_SOURCE_TIMEOUT', 'the Consul agent of the demo did not elect a leader within 30 s');
}

async function put(url: string, body?: unknown): Promise<void> {
  const response = await fetch(url, { method: 'PUT', body: body === undefined ? null : JSON.stringify(body) });
  if (response.ok) return;
  throw new AppError('MYELIN_SOURCE_FAILED', `${url} answered ${response.status}: ${await response.text()}`);
}
