/**
 * The only importer of npm `consul`, with what its types lack: one request asked with an abort signal, the answer with
 * its headers, a bounded number of sockets, and an answer that was cut short told as an error.
 */

import { EventEmitter } from 'node:events';
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import Consul from 'consul';
import { http } from '../../src/lib/net/node-http.ts';
import type { Ms } from '../../src/model.ts';
import { spellingsOfLogin } from '../kit/login.ts';
import { type Connection, readTls } from './connection.ts';
import { tokenReader } from './token.ts';

/** As the HTTP API of Consul names them (GET /v1/health/service/:service). */
export type HealthRequest = {
  readonly service: string;
  readonly tag?: readonly string[];
  readonly filter?: string;
  readonly dc?: string;
  readonly stale?: boolean;
  readonly consistent?: boolean;
  readonly index?: string;
  readonly wait?: string;
};

/** Requests about a whole datacenter: states of all checks, names of all services, of all nodes, what is on a node. */
export type ListRequest = (
  | { readonly what: 'checks' | 'services' | 'nodes' }
  | { readonly what: 'node'; readonly node: string }
) &
  Pick<HealthRequest, 'dc' | 'stale' | 'index' | 'wait'>;

export type ConsulResponse = { readonly headers: IncomingMessage['headers']; readonly body: unknown };

export type Client = {
  /** Throws on anything but an answer with status 2xx; see `failureOf`. */
  health(request: HealthRequest, timeoutMs: Ms): Promise<ConsulResponse>;
  list(request: ListRequest, timeoutMs: Ms): Promise<ConsulResponse>;
};

/**
 * When the kernel begins to probe a connection on which nothing happens, once a second; after ten probes without an
 * answer it is dead. So a machine that has vanished is noticed long before a request would be answered.
 */
const probeAfterMs = 10_000;

/** Every socket of the client is closed when `signal` aborts; `onSecret` is told of what it proves itself with. */
export async function openClient(
  connection: Connection,
  maxConnections: number,
  onSecret: (secret: string) => void,
  signal: AbortSignal,
): Promise<Client> {
  const currentToken = tokenReader(connection, onSecret);
  const { basicAuth } = connection;
  if (basicAuth !== undefined) for (const spelling of spellingsOfLogin(basicAuth)) onSecret(spelling);
  const secure = connection.url.startsWith('https:');
  const shared = { keepAlive: true, keepAliveMsecs: probeAfterMs, maxSockets: maxConnections };
  const agent = secure
    ? new HttpsAgent({ ...shared, ...(await readTls(connection.tls)) })
    : new http.Agent({
        ...shared,
        ...(connection.socketPath === undefined ? {} : { socketPath: connection.socketPath }),
      });
  const consul = new UntypedConsul({
    baseUrl: `${connection.url}/v1`,
    agent,
    headers: basicAuth === undefined ? {} : { authorization: `Basic ${Buffer.from(basicAuth).toString('base64')}` },
  });
  consul._ext('onRequest', failWhenCutShort);
  const open = new Set<EventEmitter>();
  const close = (): void => {
    for (const ctx of open) ctx.emit('cancel');
    agent.destroy();
  };
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, { once: true });

  return {
    health: (request, timeoutMs) => call((options) => consul.health.service(options), request, timeoutMs),
    list({ what, ...request }, timeoutMs) {
      switch (what) {
        case 'checks':
          return call((options) => consul.health.state(options), { ...request, state: 'any' }, timeoutMs);
        case 'services':
          return call((options) => consul.catalog.service.list(options), request, timeoutMs);
        case 'nodes':
          return call((options) => consul.catalog.node.list(options), request, timeoutMs);
        case 'node':
          return call((options) => consul.catalog.node.services(options), request, timeoutMs);
      }
    },
  };

  async function call(get: Get, options: object, timeoutMs: Ms): Promise<ConsulResponse> {
    const token = await currentToken();
    signal.throwIfAborted();
    // Both properties are what the library looks for: the response in the result, and 'cancel' to abort.
    const ctx = Object.assign(new EventEmitter(), { includeResponse: true });
    open.add(ctx);
    try {
      const [response, body] = await get({
        ...options,
        ...(token !== undefined && { token }),
        timeout: timeoutMs,
        ctx,
      });
      return { headers: response.headers, body };
    } finally {
      open.delete(ctx);
    }
  }
}

/** Whoever may register decides how long an answer is; more of one service, or of one datacenter, is not worth its memory. */
const mostBytes = 64 * 1024 * 1024;

/** An answer that ended before it was complete; the library itself would wait for the rest until its timeout. */
export class CutShort extends Error {
  override readonly name = 'CutShort';
}

type Transport = { request(options: RequestOptions): ClientRequest };
type PapiRequest = { transport: Transport };

type Get = (options: object) => Promise<[IncomingMessage, unknown]>;

type ConsulClient = {
  readonly health: { readonly service: Get; readonly state: Get };
  readonly catalog: {
    readonly service: { readonly list: Get };
    readonly node: { readonly list: Get; readonly services: Get };
  };
  _ext(event: 'onRequest', extension: (request: PapiRequest, next: () => void) => void): void;
};

// The library's types know neither base URL nor headers, and of a request only half of its fields.
const UntypedConsul = Consul as unknown as new (options: object) => ConsulClient;

function failWhenCutShort(request: PapiRequest, next: () => void): void {
  const { transport } = request;
  request.transport = {
    request(options) {
      const sent = transport.request(options);
      sent.once('response', (response) => {
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > mostBytes) response.destroy();
        });
        response.once('close', () => {
          const why = bytes > mostBytes ? `the answer is longer than ${mostBytes} bytes` : 'the answer was cut short';
          if (!response.complete) sent.emit('error', new CutShort(why));
        });
      });
      return sent;
    },
  };
  next();
}
