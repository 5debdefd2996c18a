/** Servers for HAProxy to send its requests to: each answers with its name, and with its health as it is told. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ask } from '../../src/haproxy/cli/socket.ts';
import { freePort, tempFolder, until } from '../support/index.ts';
import { startChild } from '../support/machine/child.ts';
import { haproxy } from './haproxy.ts';

export type Backend = {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** What `/health` answers from now on: 200 or 500. */
  setHealthy(isHealthy: boolean): Promise<void>;
  /** How many requests it got so far. */
  answered(): Promise<number>;
};

/** What `ab` takes for a failure is an answer of another length. */
const answerLength = 16;

/** All of them in one HAProxy of their own: fast enough not to be what a load test measures. */
export async function startBackends<Name extends string>(
  names: readonly Name[],
  address = '127.0.0.1',
): Promise<AsyncDisposable & { readonly [N in Name]: Backend }> {
  await using started = new AsyncDisposableStack();
  const folder = started.use(await tempFolder());
  const map = join(folder.path, 'health.map');
  const ports = await Promise.all(names.map(() => freePort()));
  await writeFile(map, names.map((name) => `${name} up\n`).join(''));
  const frontends = names.map((name, at) =>
    [
      `frontend ${name}`,
      `    bind ${address}:${ports[at]}`,
      `    http-request return status 500 if { path /health } { str(${name}),map(${map},up) -m str down }`,
      `    http-request return status 200 content-type text/plain string "${name.padEnd(answerLength)}"`,
    ].join('\n'),
  );
  const { socket } = started.use(await startFrontends(frontends));
  const backends = names.map(
    (name, at): Backend => ({
      name,
      address,
      port: ports[at] ?? 0,
      setHealthy: async (isHealthy) => {
        await ask(socket, [`set map ${map} ${name} ${isHealthy ? 'up' : 'down'}`]);
      },
      answered: async () => requestsOf(await ask(socket, ['show stat']), name),
    }),
  );
  const kept = started.move();
  return {
    ...(Object.fromEntries(backends.map((backend) => [backend.name, backend])) as { [N in Name]: Backend }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A HAProxy with these frontends, which listens when this returns. */
export async function startFrontends(
  frontends: readonly string[],
): Promise<AsyncDisposable & { readonly socket: string }> {
  await using started = new AsyncDisposableStack();
  const folder = started.use(await tempFolder());
  const socket = join(folder.path, 's');
  const config = join(folder.path, 'haproxy.cfg');
  await writeFile(
    config,
    [
      `global\n    stats socket ${socket} mode 600 level admin\n    maxconn 8000\n    noreuseport`,
      'defaults\n    mode http\n    timeout client 60s\n    timeout server 60s\n    timeout connect 5s',
      ...frontends,
      '',
    ].join('\n'),
  );
  const argv = [await haproxy(), '-db', '-f', config];
  started.use(await startChild(argv, { stdio: ['ignore', 'ignore', 'inherit'] }));
  await until('the backends answer', async () => (await ask(socket, ['show info'])).includes('Pid:'));
  const kept = started.move();
  return { socket, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** One in this process, which sees each request; `answer` may hold it as long as it likes. */
export async function startNodeBackend(
  name: string,
  { port = 0, answer = () => name }: { port?: number; answer?: (url: string) => string | Promise<string> } = {},
): Promise<AsyncDisposable & Backend & { readonly requests: readonly string[] }> {
  let isHealthy = true;
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    const url = request.url ?? '/';
    if (url === '/health') {
      response.writeHead(isHealthy ? 200 : 500).end();
      return;
    }
    requests.push(url);
    void Promise.resolve(answer(url)).then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    name,
    address: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    requests,
    setHealthy: async (value) => {
      isHealthy = value;
    },
    answered: async () => requests.length,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** `show stat` is CSV with the names of its columns on the first line. */
export function requestsOf(csv: string, frontend: string): number {
  const [header = [], ...rows] = csv.split('\n').map((line) => line.split(','));
  const row = rows.find(([name, kind]) => name === frontend && kind === 'FRONTEND');
  return Number(row?.[header.indexOf('req_tot')] ?? Number.NaN);
}
