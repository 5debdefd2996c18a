/** What tests share: free ports, folders that vanish, waiting on a condition. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ListenOptions, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ms } from '../../src/model.ts';
import { until } from '../../watchers/public/until.ts';

export { until };

/** The only port of that range that `fetch` asks nobody at (a "bad port" of its specification). */
const refusedByFetch: ReadonlySet<number> = new Set([10_080]);

/** A TCP port on 127.0.0.1 that nobody listens on, and that no other test gets for as long as this process lives. */
export async function freePort(): Promise<number> {
  for (;;) {
    // Below the kernel's range for outgoing connections, so that no client socket takes it before its server does.
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (!refusedByFetch.has(port) && (await isFree(port)) && (await reserve(port))) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen({ port, host: '127.0.0.1' });
  if (server === null) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** Test files run side by side: the name of a socket is taken for the port, in the same network as the port. */
async function reserve(port: number): Promise<boolean> {
  const server = await listen({ path: `\0myelin-test-port-${port}` });
  server?.unref();
  return server !== null;
}

/** null where somebody listens there already. */
function listen(where: ListenOptions): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen(where, () => resolve(server));
  });
}

/** A new folder that is removed with `await using`. The path is short: unix sockets go in there. */
export async function tempFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'my-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** For what must not happen meanwhile: no condition can tell that. */
export function secondsPass(seconds: number): Promise<unknown> {
  const end = performance.now() + seconds * 1000;
  return until(`${seconds} s have passed`, () => performance.now() > end, { withinMs: seconds * 1000 + 5000 });
}

/** For how long a processor was busy with `work`, whatever else it had to do meanwhile. */
export function cpuMs(work: () => unknown): Ms {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/**
 * What `work` comes to, where it comes to its end in time; else rejects, and names what did not. The signal that `work`
 * gets aborts then, when `signal` does, and when it is over: what it started goes with it.
 */
export async function endsWithin<T>(
  what: string | (() => string),
  limitMs: Ms,
  work: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const over = new AbortController();
  const abort = (): void => over.abort(signal?.reason);
  const timer = setTimeout(() => {
    over.abort(new Error(`not over within ${limitMs} ms: ${typeof what === 'string' ? what : what()}`));
  }, limitMs);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  over.signal.addEventListener('abort', () => reject(over.signal.reason), { once: true });
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  try {
    return await Promise.race([aborted, work(over.signal)]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    over.abort();
  }
}
