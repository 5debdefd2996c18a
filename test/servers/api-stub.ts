/**
 * Plays the API server's part, for what a real one does not do on demand: answers of a certain status for minutes, objects
 * that fill its whole etcd. Lists come in pages and are written piece by piece, so that they fill no memory here.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type ApiStub = AsyncDisposable & {
  readonly address: string;
  /** When, on the clock of `performance`, and what it was asked. */
  readonly requests: readonly { readonly at: number; readonly url: URL }[];
  /** Bytes of the largest answer that was read to its end. */
  readonly largestAnswer: number;
  /** Adds it, or puts it in the place of the one of its namespace and name. */
  put(resource: 'services' | 'endpointslices', object: StubObject): void;
  /** All requests are answered with this status, and what is under way ends; null: no more. */
  fail(status: number | null): void;
};

type StubObject = {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
};

export async function startApiStub(): Promise<ApiStub> {
  const objects = { services: new Map<string, StubObject>(), endpointslices: new Map<string, StubObject>() };
  const requests: { readonly at: number; readonly url: URL }[] = [];
  const watching = new Map<ServerResponse, (resource: string, object: StubObject) => void>();
  let version = 1;
  let status: number | null = null;
  let largestAnswer = 0;

  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get largestAnswer() {
      return largestAnswer;
    },
    put(resource, written) {
      const { name, namespace } = written.metadata;
      version += 1;
      const metadata = { uid: name, ...written.metadata, resourceVersion: `${version}` };
      const object = { ...written, metadata };
      objects[resource].set(`${namespace}/${name}`, object);
      for (const tell of watching.values()) tell(resource, object);
    },
    fail(next) {
      status = next;
      if (status !== null) for (const response of watching.keys()) response.destroy();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };

  async function answer({ url: path = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(path, 'http://stub');
    requests.push({ at: performance.now(), url });
    const [, namespace, plural = ''] = /\/namespaces\/([^/]+)\/(services|endpointslices)$/.exec(url.pathname) ?? [];
    if (status !== null || !(plural === 'services' || plural === 'endpointslices')) {
      const code = status ?? 404;
      response.writeHead(code, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ kind: 'Status', code, message: 'as the test wants it' }));
    } else if (url.searchParams.has('watch')) {
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      const tell = (resource: string, object: StubObject): void => {
        if (resource !== plural || object.metadata.namespace !== namespace || !isSelected(object, url)) return;
        response.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
      };
      // What was written since the version that it resumes from.
      for (const object of objects[plural].values())
        if (Number(object.metadata.resourceVersion) > Number(url.searchParams.get('resourceVersion')))
          tell(plural, object);
      watching.set(response, tell);
      response.once('close', () => watching.delete(response));
    } else {
      const all = [...objects[plural].values()].filter(
        (object) => object.metadata.namespace === namespace && isSelected(object, url),
      );
      await writeList(all, url, response);
    }
  }

  async function writeList(all: readonly StubObject[], { searchParams }: URL, response: ServerResponse): Promise<void> {
    const from = Number(searchParams.get('continue') ?? 0);
    const until = from + Number(searchParams.get('limit') ?? all.length);
    const metadata = { resourceVersion: `${version}`, ...(until < all.length && { continue: `${until}` }) };
    let bytes = 0;
    const write = async (text: string): Promise<void> => {
      bytes += text.length;
      if (!response.write(text) && !response.destroyed)
        await new Promise<void>((resolve) => {
          const go = (): void => {
            response.off('drain', go).off('close', go);
            resolve();
          };
          response.once('drain', go).once('close', go);
        });
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    await write(`{"metadata":${JSON.stringify(metadata)},"items":[`);
    for (const [at, object] of all.slice(from, until).entries()) {
      if (response.destroyed) return;
      await write(`${at > 0 ? ',' : ''}${JSON.stringify(object)}`);
    }
    response.end(']}');
    largestAnswer = Math.max(largestAnswer, bytes);
  }
}

/** Of the selectors those that Myelin uses by itself. */
function isSelected({ metadata }: StubObject, { searchParams }: URL): boolean {
  const [, only] = /metadata\.name=([^,]+)/.exec(searchParams.get('fieldSelector') ?? '') ?? [];
  const [, owners] = /service-name in \(([^)]*)\)/.exec(searchParams.get('labelSelector') ?? '') ?? [];
  const labels = (metadata.labels ?? {}) as Readonly<Record<string, string>>;
  return (
    (only === undefined || metadata.name === only) &&
    (owners === undefined || owners.split(',').includes(labels['kubernetes.io/service-name'] ?? ''))
  );
}
