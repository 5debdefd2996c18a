/** A small HTTP server: routes are data, and answers are values. */
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { AppError, describe } from '../errors.ts';
import { http } from '../lib/net/node-http.ts';

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

export type RouteRequest = {
  /** What stands in the places of the path's `{name}`s, in their order. */
  readonly names: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
};

export type Route = {
  readonly method: 'GET' | 'POST';
  /** A part may be a `{name}`, which stands for any text; a slash in it is escaped. */
  readonly path: string;
  readonly answer: (request: RouteRequest) => Reply | Stream | Promise<Reply>;
};

export type ServerOptions = {
  readonly routes: readonly Route[];
  readonly signal: AbortSignal;
  /** Gets what broke an answer; the client learns nothing but that it broke. */
  readonly onError: (error: unknown) => void;
  /** Null: the request may be answered, else the refusal. */
  readonly refuse?: (request: IncomingMessage) => Reply | null;
};

export function text(status: number, body: string): Reply {
  return { status, body: `${body}\n`, contentType: 'text/plain; charset=utf-8' };
}

export function createHttpServer(options: ServerOptions): Server {
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
