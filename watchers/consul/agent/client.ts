/**
 * The only importer of npm `consul`. It adds what that lacks: requests that end with an abort signal, responses with their headers, a
 * bounded number of sockets, and an error where a response is cut short.
 */

import { EventEmitter } from 'node:events';
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import Consul from 'consul';
import { http } from '../../../src/lib/net/node-http.ts';
import type { Ms } from '../../../src/model.ts';
import { spellingsOfLogin } from '../../kit/login.ts';
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
  /** Sorts the instances; what is of use here is that an agent asks a server then, instead of a stream of its own. */
  readonly near?: string;
};

/** Requests about a whole datacenter: the states of all checks, the names of all services, all nodes, or the instances on a node. */
export type ListRequest = (
  | { readonly what: 'checks' | 'services' | 'nodes' }
  | { readonly what: 'node'; readonly node: string }
) &
  Pick<HealthRequest, 'dc' | 'filter' | 'stale' | 'consistent' | 'index' | 'wait'>;

export type ConsulResponse = { readonly headers: IncomingMessage['headers']; readonly body: unknown };

export type Client = {
  /** Throws unless the response has a status of 2xx; see `failureOf`. Ends when `stop` aborts. */
  health(request: HealthRequest, timeoutMs: Ms, stop?: AbortSignal): Promise<ConsulResponse>;
  list(request: ListRequest, timeoutMs: Ms): Promise<ConsulResponse>;
};

/**
 * After this time without traffic the kernel probes a connection once a second, and closes it after ten lost probes. So a vanished
 * machine is noticed long before the timeout of a blocking query.
 */
const probeAfterMs = 10_000;

/** `signal` closes every socket of the client; `onSecret` is called with each credential. */
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
    health: (request, timeoutMs, stop) => call((options) => consul.health.service(options), request, timeoutMs, stop),
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

  async function call(get: Get, options: object, timeoutMs: Ms, stop?: AbortSignal): Promise<ConsulResponse> {
    const token = await currentToken();
    signal.throwIfAborted();
    stop?.throwIfAborted();
    // The library looks for both: `includeResponse` puts the response into the result, and the event 'cancel' aborts.
    const ctx = Object.assign(new EventEmitter(), { includeResponse: true });
    const cancel = (): void => void ctx.emit('cancel');
    stop?.addEventListener('abort', cancel, { once: true });
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
      stop?.removeEventListener('abort', cancel);
    }
  }
}

/** Anybody who may register makes responses longer: longer ones than this are refused, to bound memory. */
const mostBytes = 64 * 1024 * 1024;

/** A response that ended before it was complete. The library itself waits for the rest until its timeout. */
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

// The library's types lack the base URL, headers, and half of the fields of a request.
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
