/** What the built-in templates promise to those who send requests, seen at a real HAProxy. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import type { Endpoint } from '../../../src/model.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { configOf, endpoint, render, rendererWith } from '../../support/values/render.ts';

type Server = AsyncDisposable & { readonly port: number; readonly methods: string[] };

/** Reads the first bytes of a request, then answers or just closes the connection. */
async function startServer(answer: string): Promise<Server> {
  const methods: string[] = [];
  const server = createServer((socket) => {
    socket.once('data', (data) => {
      methods.push(data.toString('latin1').split(' ')[0] ?? '');
      socket.end(answer);
    });
    socket.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    methods,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

/** A HAProxy with what the built-in templates make of these services. */
async function startHaproxy(
  services: Readonly<Record<string, object>>,
  endpoints: Readonly<Record<string, readonly Endpoint[]>>,
): Promise<AsyncDisposable> {
  await using started = new AsyncDisposableStack();
  const { path } = started.use(await tempFolder());
  const config = configOf({ state: path, haproxy: { statsSocket: join(path, 's'), log: 'none' }, services });
  const file = join(path, 'haproxy.cfg');
  await writeFile(file, textOf(render(await rendererWith(), config, endpoints).sections));
  await writeFile(join(path, 'servers.state'), '1\n');
  const child = spawn(await haproxy(), ['-db', '-f', file], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  started.defer(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return started.move();
}

/** On a connection of its own: on one that was used before, HAProxy leaves it to the client to ask again. */
async function statusOf(port: number, method: string): Promise<number | undefined> {
  const request = http.request({ host: '127.0.0.1', port, method, agent: false }).end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  await once(response, 'end');
  return response.statusCode;
}

const at = (port: number): Endpoint => endpoint(`p${port}`, { address: '127.0.0.1', port });
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok';

test('a GET that a server leaves unanswered is asked again of another one; a POST never is', async () => {
  await using mute = await startServer('');
  await using good = await startServer(ok);
  const port = await freePort();
  const services = { web: { bind: `127.0.0.1:${port}`, check: { type: 'none' } } };
  await using _haproxy = await startHaproxy(services, { web: [at(mute.port), at(good.port)] });
  await until('HAProxy answers', async () => (await statusOf(port, 'GET')) === 200);
  for (let request = 0; request < 10; request++) assert.equal(await statusOf(port, 'GET'), 200);
  assert.ok(mute.methods.includes('GET'));
  const statuses: (number | undefined)[] = [];
  for (let request = 0; request < 10; request++) statuses.push(await statusOf(port, 'POST'));
  assert.ok(statuses.includes(200) && statuses.includes(502), statuses.join(' '));
  const posts = [...mute.methods, ...good.methods].filter((method) => method === 'POST');
  assert.equal(posts.length, 10, 'each POST reached one server, once');
});

test('a server that refuses connections costs no request, whatever the method', async () => {
  await using good = await startServer(ok);
  const port = await freePort();
  const services = { web: { bind: `127.0.0.1:${port}`, check: { type: 'none' } } };
  await using _haproxy = await startHaproxy(services, { web: [at(await freePort()), at(good.port)] });
  await until('HAProxy answers', async () => (await statusOf(port, 'GET')) === 200);
  for (let request = 0; request < 10; request++) assert.equal(await statusOf(port, 'POST'), 200);
});

test('a server that drains gets no new request, and a service without servers answers 503', async () => {
  await using leaving = await startServer(ok);
  await using staying = await startServer(ok);
  const [web, empty] = [await freePort(), await freePort()];
  const services = { web: { bind: `127.0.0.1:${web}` }, empty: { bind: `127.0.0.1:${empty}` } };
  const endpoints = { web: [{ ...at(leaving.port), state: 'draining' as const }, at(staying.port)] };
  await using _haproxy = await startHaproxy(services, endpoints);
  await until('HAProxy answers', async () => (await statusOf(web, 'GET')) === 200);
  for (let request = 0; request < 10; request++) assert.equal(await statusOf(web, 'GET'), 200);
  assert.deepEqual(leaving.methods, []);
  assert.equal(await statusOf(empty, 'GET'), 503);
});
