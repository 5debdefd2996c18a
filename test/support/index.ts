/** What tests share: free ports, folders that vanish, waiting on a condition. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import timers from 'node:timers/promises';

const handedOut = new Set<number>();

/** The only port of that range that `fetch` asks nobody at (a "bad port" of its specification). */
const refusedByFetch: ReadonlySet<number> = new Set([10_080]);

/** A TCP port on 127.0.0.1 that nobody listens on, never the same one twice in this process. */
export async function freePort(): Promise<number> {
  for (;;) {
    // Below the kernel's range for outgoing connections, so that no client socket takes it before its server does.
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (handedOut.has(port) || refusedByFetch.has(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A new folder that is removed with `await using`. The path is short: unix sockets go in there. */
export async function tempFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'my-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Waits until `probe` gives something other than false, null or undefined, and returns it. Its last error is the cause. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { withinMs = 10_000, everyMs = 20 } = {},
): Promise<Exclude<Awaited<T>, false | null | undefined>> {
  const deadline = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== false && value !== null && value !== undefined)
        return value as Exclude<Awaited<T>, false | null | undefined>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`, { cause: last });
    await timers.setTimeout(everyMs);
  }
}
