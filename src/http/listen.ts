/** Where the HTTP servers listen: a TCP address, or a socket for this user only; and how they close. */
import { chmodSync } from 'node:fs';
import { lstat, mkdir, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect, type ListenOptions } from 'node:net';
import { dirname } from 'node:path';
import type { Config } from '../config/schema.ts';
import { parseListen } from '../config/values.ts';
import { AppError, describe, hasCode } from '../errors.ts';
import { startPolling } from '../lib/time/poll.ts';
import type { Ms } from '../model.ts';
import { boundConnections } from './connections.ts';
import { createHttpServer, type ServerOptions } from './server.ts';

export type Listening = {
  /** Settles when the last connection is closed, after `signal` aborted. */
  readonly closed: Promise<void>;
};

/** Enough for probes, Prometheus and people, but too few to use up the file descriptors of this process. */
const mostConnections = { total: 256, perAddress: 64 };

/** How long pending responses may take when the server is stopped. */
const lastAnswersMs: Ms = 500;

/** The kernel's limit: the size of sun_path, without its closing NUL. */
const maxSocketPath = 107;

/** `key` is the config key of `address`, for messages. */
export async function listenTcp(address: string, key: string, options: ServerOptions): Promise<Listening> {
  const parsed = parseListen(address);
  if (parsed === null) throw new AppError('MYELIN_CONFIG_INVALID', `${key}: ${address} is not HOST:PORT`);
  const { host, port } = parsed;
  const server = createHttpServer(options);
  boundConnections(server, mostConnections);
  try {
    await listening(server, host === null ? { port } : { host, port });
  } catch (cause) {
    throw new AppError('MYELIN_LISTEN_FAILED', `${key}: cannot listen on ${address}: ${why(cause)}`, {
      cause,
      remedy: `choose another HOST:PORT for ${key} in myelin.yaml`,
    });
  }
  return { closed: closeOn(options.signal, server) };
}

/** Throws where `run` could not listen, in its words. What a Myelin that runs with this config holds itself is free. */
export async function tryListeners({
  admin,
  probes,
  haproxy,
}: Pick<Config, 'admin' | 'probes' | 'haproxy'>): Promise<void> {
  // With `handover` the next one waits for the address.
  if (haproxy.handover !== undefined || (await isAnswered(admin.socket).catch(() => true))) return;
  const listeners = { 'admin.listen': admin.listen, 'probes.listen': probes.listen };
  for (const [key, address] of Object.entries(listeners)) {
    if (address === undefined || address === 'off') continue;
    const ended = new AbortController();
    const { closed } = await listenTcp(address, key, { routes: [], signal: ended.signal, onError: () => {} });
    ended.abort();
    await closed;
  }
}

export type Restoring = {
  readonly everyMs: Ms;
  readonly onRestored: () => void;
  readonly onTrouble: (error: unknown) => void;
};

/**
 * For this user only. A socket of a dead process is replaced, a socket that answers is not. With `restoring`, a socket
 * that somebody removes, alone or with its folder, is created again: connections to the old one are kept.
 */
export async function listenUnix(
  path: string,
  key: string,
  options: ServerOptions,
  restoring?: Restoring,
): Promise<Listening> {
  const { signal } = options;
  let server = await openUnix(path, key, options);
  const closed = [closeOn(signal, server)];
  if (restoring === undefined) return { closed: settled(closed) };
  const { everyMs, onRestored, onTrouble } = restoring;
  const poll = async (): Promise<void> => {
    if (!(await isGone(path))) return;
    // A closing server removes its path: close the old one before the new socket is created there.
    server.close();
    server = await openUnix(path, key, options);
    closed.push(closeOn(signal, server));
    onRestored();
  };
  const polling = startPolling({ everyMs, poll }, onTrouble, signal);
  const [first] = closed;
  return {
    closed: (async () => {
      await first;
      await polling[Symbol.asyncDispose]();
      await settled(closed);
    })(),
  };
}

async function settled(all: readonly Promise<void>[]): Promise<void> {
  await Promise.all(all);
}

async function openUnix(path: string, key: string, options: ServerOptions): Promise<Server> {
  const server = createHttpServer(options);
  // All connections are from the same user.
  boundConnections(server, { ...mostConnections, perAddress: mostConnections.total });
  try {
    if (Buffer.byteLength(path) > maxSocketPath)
      throw new Error(`the path is longer than the ${maxSocketPath} bytes that a socket may have`);
    await mkdir(dirname(path), { recursive: true });
    await removeStale(path, key);
    // The socket exists as soon as `listen` returns, but connections are accepted only on return to the event loop.
    const isListening = listening(server, { path });
    if (server.listening) chmodSync(path, 0o600);
    await isListening;
  } catch (cause) {
    server.close();
    if (cause instanceof AppError) throw cause;
    throw new AppError('MYELIN_LISTEN_FAILED', `${key}: cannot listen on ${path}: ${why(cause)}`, {
      cause,
      remedy: `choose another path for ${key} in myelin.yaml, in a folder that this user may write`,
    });
  }
  return server;
}

/** A socket that cannot be checked, for example for lack of rights, does not count as gone. */
async function isGone(path: string): Promise<boolean> {
  return lstat(path).then(
    () => false,
    (error: unknown) => hasCode(error, 'ENOENT', 'ENOTDIR'),
  );
}

function listening(server: Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function closeOn(signal: AbortSignal, server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const close = (): void => {
    const cut = setTimeout(() => server.closeAllConnections(), lastAnswersMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
  };
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, { once: true });
  return promise;
}

async function removeStale(path: string, key: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (found === null) return;
  if (!found.isSocket()) throw new Error('there is a file of this name that is no socket');
  if (await isAnswered(path))
    throw new AppError('MYELIN_LOCKED', `${key}: another Myelin is running and listens on ${path}`, {
      remedy: 'stop it with `myelin stop`, or give this one its own `admin.socket` and `state`',
    });
  await rm(path, { force: true });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      if (hasCode(error, 'ECONNREFUSED', 'ENOENT')) resolve(false);
      else reject(error);
    });
  });
}

function why(error: unknown): string {
  if (hasCode(error, 'EADDRINUSE')) return 'another process listens there';
  if (hasCode(error, 'EADDRNOTAVAIL')) return 'this machine has no such address';
  if (hasCode(error, 'ENOTFOUND', 'EAI_AGAIN')) return 'this name has no address';
  if (hasCode(error, 'EACCES', 'EPERM')) return 'this user may not';
  if (hasCode(error, 'EROFS')) return 'the file system is read-only';
  return describe(error);
}
