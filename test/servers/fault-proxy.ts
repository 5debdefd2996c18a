/** Stands in front of a real HTTP server and spoils its answers on demand; counts requests and connections. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, request, type ServerResponse } from 'node:http';
import { request as requestSecurely } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

type Fault =
  /** Answers itself, with this. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Sends the question on without `index` and `wait`, so that it is answered at once, with the same index as before. */
  | { readonly kind: 'at-once' }
  /** As above, each time with a lower index. */
  | { readonly kind: 'index-backwards' }
  | { readonly kind: 'no-index' }
  /** Sends the question on with this `limit`, where it has a larger one: lists come in more pages. */
  | { readonly kind: 'small-pages'; readonly size: number }
  /** The status and headers, half of the body, and the end of the connection. */
  | { readonly kind: 'cut-short' }
  /** The status and headers, nothing of the body, and the connection stays: a proxy that gathers what it should pass on. */
  | { readonly kind: 'mute' }
  /** No answer, and the connection stays. */
  | { readonly kind: 'silent' };

/** Faults may apply to some requests only. */
export type Faults = Fault | null | ((url: URL) => Fault | null);

export type FaultProxy = AsyncDisposable & {
  readonly address: string;
  /** All requests so far, newest last. */
  readonly requests: readonly URL[];
  /** The Authorization header of the newest request. */
  readonly authorization: string | undefined;
  /** Connections open now, and at most so far. */
  readonly connections: { readonly open: number; readonly most: number };
  /** For requests from now on; with `breakOff` those that wait for an answer lose their connection. */
  spoil(faults: Faults, options?: { readonly breakOff: boolean }): void;
  /** Answers that have begun and not ended. */
  readonly underway: number;
  /** Answers that are under way go on no further, and their connections stay: as behind a router that lost its mind. */
  freeze(): void;
  /** Puts a line of its own into every answer under way to a request for such a URL; throws where there is none. */
  inject(matches: (url: URL) => boolean, line: string): void;
};

/** An answer under way: what comes from the server, and what goes to the client. */
type Underway = { readonly url: URL; readonly answer: IncomingMessage; readonly outgoing: ServerResponse };

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const requests: URL[] = [];
  const sockets = new Set<Socket>();
  const aborted = new AbortController();
  const underway = new Set<Underway>();
  let most = 0;
  let faults: Faults = null;
  let steps = 0;
  let authorization: string | undefined;

  const server = createServer((incoming, outgoing) => {
    const url = new URL(incoming.url ?? '/', target);
    requests.push(url);
    authorization = incoming.headers.authorization;
    const fault = typeof faults === 'function' ? faults(url) : faults;
    if (fault?.kind === 'silent') return;
    if (fault?.kind === 'status') {
      outgoing.writeHead(fault.status, { 'content-type': 'text/plain', ...fault.headers }).end(fault.body);
      return;
    }
    const onAnswer = (answer: IncomingMessage): void => {
      const one = { url, answer, outgoing };
      underway.add(one);
      outgoing.once('close', () => underway.delete(one));
      answer.once('close', () => {
        // The pipe itself would leave the client waiting for the rest.
        if (!answer.complete && underway.has(one)) outgoing.destroy();
      });
    };
    forward(incoming, outgoing, url, fault, (index) => `${Math.max(1, index - ++steps)}`, onAnswer, aborted.signal);
  });
  // Blocking queries wait for minutes.
  server.requestTimeout = 0;
  server.on('connection', (socket) => {
    sockets.add(socket);
    most = Math.max(most, sockets.size);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    address: `http://127.0.0.1:${port}`,
    requests,
    get authorization() {
      return authorization;
    },
    connections: {
      get open() {
        return sockets.size;
      },
      get most() {
        return most;
      },
    },
    spoil(next, { breakOff } = { breakOff: false }) {
      faults = next;
      if (breakOff) for (const socket of sockets) socket.destroy();
    },
    get underway() {
      return underway.size;
    },
    freeze() {
      for (const one of underway) {
        underway.delete(one);
        one.answer.unpipe(one.outgoing).pause();
      }
    },
    inject(matches, line) {
      const reached = [...underway].filter(({ url }) => matches(url));
      // A test would go on as if it had been said.
      if (reached.length === 0) throw new Error(`none of ${underway.size} answers under way is for such a URL`);
      for (const { outgoing } of reached) outgoing.write(`${line}\n`);
    },
    async [Symbol.asyncDispose]() {
      aborted.abort();
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  url: URL,
  fault: Exclude<Fault, { readonly kind: 'status' | 'silent' }> | null,
  lower: (index: number) => string,
  onAnswer: (answer: IncomingMessage) => void,
  signal: AbortSignal,
): void {
  const asked = new URL(url);
  if (fault?.kind === 'at-once' || fault?.kind === 'index-backwards')
    for (const name of ['index', 'wait']) asked.searchParams.delete(name);
  if (fault?.kind === 'small-pages' && Number(asked.searchParams.get('limit')) > fault.size)
    asked.searchParams.set('limit', `${fault.size}`);
  const options = { method: incoming.method, headers: incoming.headers, agent: false, signal } as const;
  // A test server's certificate is of its own making.
  const sent =
    asked.protocol === 'https:'
      ? requestSecurely(asked, { ...options, rejectUnauthorized: false })
      : request(asked, options);
  outgoing.once('close', () => sent.destroy());
  sent.on('error', () => outgoing.destroy());
  sent.on('response', (answer) => {
    const headers: OutgoingHttpHeaders = { ...answer.headers, connection: 'keep-alive' };
    if (fault?.kind === 'index-backwards') headers['x-consul-index'] = lower(Number(answer.headers['x-consul-index']));
    if (fault?.kind === 'no-index') delete headers['x-consul-index'];
    outgoing.writeHead(answer.statusCode ?? 502, headers);
    if (fault?.kind === 'mute') {
      outgoing.flushHeaders();
      return;
    }
    if (fault?.kind !== 'cut-short') {
      onAnswer(answer);
      answer.pipe(outgoing);
      // The client of a stream waits for the first word of it.
      outgoing.flushHeaders();
      return;
    }
    answer.once('data', (chunk: Buffer) => {
      answer.pause();
      outgoing.write(chunk.subarray(0, Math.ceil(chunk.length / 2)), () => outgoing.destroy());
    });
  });
  incoming.pipe(sent);
}
