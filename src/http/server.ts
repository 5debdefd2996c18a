/** A small HTTP server: routes are data, and responses are values. */
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { AppError, describe } from '../errors.ts';
import { http } from '../lib/net/node-http.ts';
import { printableJson } from '../report/text/printable.ts';

export type Reply = {
  readonly status: number;
  /** A text is sent unchanged, anything else as JSON. */
  readonly body: unknown;
  readonly contentType?: string;
  /** For a 405: the methods that the path accepts. */
  readonly allow?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A response without a fixed end: `stream` writes the body after the head, and ends it when `signal` aborts. */
type Stream = {
  readonly contentType: string;
  readonly stream: (response: ServerResponse, signal: AbortSignal) => void;
};

export type RouteRequest = {
  /** The values of the path's `{name}`s, in their order. */
  readonly names: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
};

export type Route = {
  readonly method: 'GET' | 'POST';
  /** A part may be a `{name}`, which matches any text; a slash in that text is escaped. */
  readonly path: string;
  readonly answer: (request: RouteRequest) => Reply | Stream | Promise<Reply | Stream>;
};

export type ServerOptions = {
  readonly routes: readonly Route[];
  readonly signal: AbortSignal;
  /** Gets the error of a failed response; the client only gets the fact that it failed. */
  readonly onError: (error: unknown) => void;
  /** null: the request is allowed; else the refusal. */
  readonly refuse?: (request: IncomingMessage) => Reply | null;
};

export function text(status: number, body: string): Reply {
  return { status, body: `${body}\n`, contentType: 'text/plain; charset=utf-8' };
}

export function createHttpServer(options: ServerOptions): Server {
  return http.createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    // Bodies of requests are ignored.
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
  const body = isText ? (reply.body as string) : `${printableJson(reply.body)}\n`;
  response.writeHead(reply.status, {
    'content-type': reply.contentType ?? (isText ? 'text/plain; charset=utf-8' : 'application/json'),
    'content-length': Buffer.byteLength(body),
    ...alwaysSaid,
    ...reply.headers,
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

/** The parts of `path` that match the pattern's `{name}`s; null: the path does not match. */
function namesIn(path: string, pattern: string): readonly string[] | null {
  const found = new RegExp(`^${pattern.replace(/\{\w+\}/g, '([^/]+)')}$`).exec(path);
  const names = found?.slice(1).map(decoded) ?? null;
  return names?.includes('') ? null : names;
}

/** '' where an escaped character is incomplete, so that the part names nothing. */
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

/** An error of ours, with the status that fits it. */
export function refusal(status: number, error: AppError): Reply {
  const { code, remedy } = error;
  const body: ErrorBody = { error: { message: describe(error), code, ...(remedy === undefined ? {} : { remedy }) } };
  return { status, body };
}

/** Messages of our errors are meant for people; those of other errors may contain anything. */
function failure(error: unknown): Reply {
  if (!(error instanceof AppError)) return problem(500, 'this went wrong inside; the log has the details');
  return refusal(500, error);
}

/** An error that the client can correct has its own status; any other is an error of the server. */
export function refused(status: number, error: unknown): Reply {
  if (error instanceof AppError && error.code === 'MYELIN_USAGE') return refusal(status, error);
  throw error;
}
