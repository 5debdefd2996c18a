/** A small HTTP server: routes are data, answers are values, and it is gone promptly when its signal aborts. */
import { chmodSync } from 'node:fs';
import { lstat, mkdir, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect, type ListenOptions } from 'node:net';
import { dirname } from 'node:path';
import { parseListen } from '../config/values.ts';
import { AppError, describe, hasCode } from '../errors.ts';
import { http } from '../lib/node-http.ts';
import type { Ms } from '../model.ts';
import { boundConnections } from './connections.ts';

export type Reply = {
  readonly status: number;
  /** Text goes out as it is, anything else as JSON. */
  readonly body: unknown;
  readonly contentType?: string;
  /** Of a 405: what is taken there. */
  readonly allow?: string;
};

/** An answer that goes on: `stream` writes the body, whose head is out already, and ends it when `signal` aborts. */
type Stream = {
  readonly contentType: string;
  readonly stream: (response: ServerResponse, signal: AbortSignal) => void;
};

export type Asked = {
  /** What stands in the places of the path's `{name}`s, in their order. */
  readonly names: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
};

export type Route = {
  readonly method: 'GET' | 'POST';
  /** A part may be a `{name}`, which stands for any text; a slash in it is escaped. */
  readonly path: string;
  readonly answer: (asked: Asked) => Reply | Stream | Promise<Reply>;
};

export type ServerOptions = {
  readonly routes: readonly Route[];
  readonly signal: AbortSignal;
  /** Told of what broke an answer; the client is told nothing but that. */
  readonly onError: (error: unknown) => void;
  /** Null: the request may be answered, else the refusal. */
  readonly refuse?: (request: IncomingMessage) => Reply | null;
};

export type Listening = {
  /** Settles when the last connection is closed, after `signal` aborted. */
  readonly closed: Promise<void>;
};

/** Enough for probes, Prometheus and people, too few to use up the descriptors of this process. */
const mostConnections = { total: 256, perAddress: 64 };

/** How long answers under way may take when the server is to end. */
const lastAnswersMs: Ms = 500;

/** Where the kernel ends: sun_path, without its closing NUL. */
const maxSocketPath = 107;

/** `key` is where `address` stands in the config, for messages. */
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

/** For this user only. A socket that a dead process left behind is replaced, one that answers is not. */
export async function listenUnix(path: string, key: string, options: ServerOptions): Promise<Listening> {
  const server = createHttpServer(options);
  // All of them are this user's.
  boundConnections(server, { ...mostConnections, perAddress: mostConnections.total });
  try {
    if (Buffer.byteLength(path) > maxSocketPath)
      throw new Error(`the path is longer than the ${maxSocketPath} bytes that a socket may have`);
    await mkdir(dirname(path), { recursive: true });
    await removeStale(path, key);
    // The socket exists as soon as `listen` returns, and nobody is accepted before we return to the event loop.
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
  return { closed: closeOn(options.signal, server) };
}

export function text(status: number, body: string): Reply {
  return { status, body: `${body}\n`, contentType: 'text/plain; charset=utf-8' };
}

function createHttpServer(options: ServerOptions): Server {
  return http.createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    // Nothing is read from bodies.
    request.resume();
    answer(request, response, options).catch(options.onError);
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { routes, signal, onError, refuse }: ServerOptions,
): Promise<void> {
  let reply: Reply | Stream;
  try {
    reply = refuse?.(request) ?? (await find(request, routes));
  } catch (error) {
    onError(error);
    reply = failure(error);
  }
  if ('stream' in reply) {
    sendStream(request, response, reply, signal);
    return;
  }
  const isText = typeof reply.body === 'string';
  const body = isText ? (reply.body as string) : `${JSON.stringify(reply.body)}\n`;
  response.writeHead(reply.status, {
    'content-type': reply.contentType ?? (isText ? 'text/plain; charset=utf-8' : 'application/json'),
    'content-length': Buffer.byteLength(body),
    ...alwaysSaid,
    ...(reply.allow === undefined ? {} : { allow: reply.allow }),
    ...(signal.aborted ? { connection: 'close' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

const alwaysSaid = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

function sendStream(
  request: IncomingMessage,
  response: ServerResponse,
  { contentType, stream }: Stream,
  signal: AbortSignal,
): void {
  response.writeHead(200, { 'content-type': contentType, ...alwaysSaid, connection: 'close' });
  if (request.method === 'HEAD') response.end();
  else stream(response, signal);
}

function find({ method, url = '/', headers }: IncomingMessage, routes: readonly Route[]): ReturnType<Route['answer']> {
  const [path = '', query = ''] = url.split(/\?(.*)/s, 2);
  const here = routes.flatMap((route) => {
    const names = namesIn(path, route.path);
    return names === null ? [] : [{ route, names }];
  });
  const wanted = method === 'HEAD' ? 'GET' : method;
  const found = here.find(({ route }) => route.method === wanted);
  if (found !== undefined)
    return found.route.answer({ names: found.names, query: new URLSearchParams(query), headers });
  const methods = here.map(({ route }) => route.method);
  if (methods.length > 0) {
    const allow = methods.flatMap((each) => (each === 'GET' ? ['GET', 'HEAD'] : each)).join(', ');
    return { ...problem(405, `this is asked with ${methods.join(' or ')}`), allow };
  }
  const known = routes.map((route) => `${route.method} ${route.path}`).join(', ');
  return problem(404, `there is no such page; there are ${known}`);
}

/** What `path` has in the places of the pattern's `{name}`s; null: they do not match. */
function namesIn(path: string, pattern: string): readonly string[] | null {
  const found = new RegExp(`^${pattern.replace(/\{\w+\}/g, '([^/]+)')}$`).exec(path);
  const names = found?.slice(1).map(decoded) ?? null;
  return names?.includes('') ? null : names;
}

/** '' where half of an escaped character names nothing. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

export type ErrorBody = {
  readonly error: { readonly message: string; readonly code?: string; readonly remedy?: string };
};

export function problem(status: number, message: string): Reply {
  return { status, body: { error: { message } } satisfies ErrorBody };
}

/** An error of ours, for which more fits than that it went wrong. */
export function refusal(status: number, error: AppError): Reply {
  const { code, remedy } = error;
  const body: ErrorBody = { error: { message: describe(error), code, ...(remedy === undefined ? {} : { remedy }) } };
  return { status, body };
}

/** Errors of ours are meant for people; what others say may be anything. */
function failure(error: unknown): Reply {
  if (!(error instanceof AppError)) return problem(500, 'this went wrong inside; the log has the details');
  return refusal(500, error);
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
