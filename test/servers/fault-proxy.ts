/** Stands in front of a real HTTP server and spoils its answers on demand; counts requests and connections. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, request, type ServerResponse } from 'node:http';
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
  /** The status and headers, half of the body, and the end of the connection. */
  | { readonly kind: 'cut-short' }
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
};

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const requests: URL[] = [];
  const sockets = new Set<Socket>();
  const aborted = new AbortController();
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
    forward(incoming, outgoing, url, fault, (index) => `${Math.max(1, index - ++steps)}`, aborted.signal);
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
  signal: AbortSignal,
): void {
  const asked = new URL(url);
  if (fault?.kind === 'at-once' || fault?.kind === 'index-backwards')
    for (const name of ['index', 'wait']) asked.searchParams.delete(name);
  const sent = request(asked, { method: incoming.method, headers: incoming.headers, agent: false, signal });
  outgoing.once('close', () => sent.destroy());
  sent.on('error', () => outgoing.destroy());
  sent.on('response', (answer) => {
    const headers: OutgoingHttpHeaders = { ...answer.headers, connection: 'keep-alive' };
    if (fault?.kind === 'index-backwards') headers['x-consul-index'] = lower(Number(answer.headers['x-consul-index']));
    if (fault?.kind === 'no-index') delete headers['x-consul-index'];
    outgoing.writeHead(answer.statusCode ?? 502, headers);
    if (fault?.kind !== 'cut-short') {
      answer.pipe(outgoing);
      return;
    }
    answer.once('data', (chunk: Buffer) => {
      answer.pause();
      outgoing.write(chunk.subarray(0, Math.ceil(chunk.length / 2)), () => outgoing.destroy());
    });
  });
  incoming.pipe(sent);
}
