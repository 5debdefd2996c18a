/** Whatever becomes of what it asks, a load of the tests comes to an end, and says which one it is. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { h2 } from '../../servers/h2.ts';
import { ab, wrk } from '../../servers/load.ts';
import { echoSession } from '../../servers/sessions.ts';
import { steadyLoad } from '../../servers/steady.ts';
import { until } from '../../support/index.ts';

type Mute = AsyncDisposable & { readonly port: number; readonly sockets: ReadonlySet<Socket> };

/** Takes connections and all that is sent, and says nothing. */
async function mute(): Promise<Mute> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}).resume());
    socket.once('close', () => sockets.delete(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const withinMs = 300;

test('requests over HTTP/2 that nobody answers end, and leave no connection', async () => {
  await using server = await mute();
  const url = `http://127.0.0.1:${server.port}/`;
  await assert.rejects(h2({ url, concurrency: 2, requests: 10, streams: 2, withinMs }), {
    message: `not over within 300 ms: HTTP/2 clients of ${url}`,
  });
  await until('they are gone', () => server.sockets.size === 0);
});

test('requests over HTTP/2 end with the test that made them', async () => {
  await using server = await mute();
  const url = `http://127.0.0.1:${server.port}/`;
  const cancelled = new AbortController();
  const load = h2({ url, concurrency: 2, requests: 10, streams: 2, signal: cancelled.signal });
  await until('they are there', () => server.sockets.size > 0);
  cancelled.abort(new Error('cancelled'));
  await assert.rejects(load, { message: 'cancelled' });
  await until('they are gone', () => server.sockets.size === 0);
});

test('ab and wrk end where nobody answers', async () => {
  await using server = await mute();
  const url = `http://127.0.0.1:${server.port}/`;
  await assert.rejects(ab({ url, concurrency: 1, requests: 1, keepAlive: false, withinMs }), {
    message: `not over within 300 ms: ab on ${url}`,
  });
  await assert.rejects(wrk({ url, concurrency: 1, seconds: 60, withinMs }), {
    message: `not over within 300 ms: wrk on ${url}`,
  });
});

test('a session that nobody ends, ends', async () => {
  const echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const { port } = echo.address() as AddressInfo;
  const told = await echoSession({
    port,
    isOver: () => false,
    turn: () => new Promise(() => {}),
    onEcho: () => {},
    withinMs,
  });
  assert.match(String(told), new RegExp(`^not over within 300 ms: the session on port ${port} after 1 echoes`));
  echo.close();
});

test('a steady load that nobody ends, ends as failed', async () => {
  const { port, ...server } = await mute();
  const load = steadyLoad(port, { withinMs });
  await until('it tells', () => load.failures.length > 0);
  assert.match(load.failures[0] ?? '', new RegExp(`^not over within 300 ms: the steady load on port ${port}`));
  await server[Symbol.asyncDispose]();
  await load[Symbol.asyncDispose]();
});
