/** Services that a scripted source discovers, each with a route by its name, behind one shared frontend of HAProxy 3.4. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Backend } from '../../servers/backend.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { freePort } from '../index.ts';
import { type Workplace, workplace } from './myelin.ts';

/** Asks for the list of services, which is answered when it is another one. */
const watcher = `
import { defineSource, z } from 'myelin/watcher';

export const source = defineSource({
  type: 'list',
  settings: z.strictObject({ url: z.string() }),
  query: z.strictObject({}),
  discovery: { keys: z.strictObject({}), queries: () => [{ key: 'all', query: {} }] },
  open: ({ url }) =>
    async function* (queries, signal) {
      let known = [];
      let version = 0;
      while (!signal.aborted) {
        const answer = await (await fetch(url + version, { signal })).json();
        const all = answer.services;
        const keys = all.map(({ name }) => name);
        for (const key of known.filter((key) => !keys.includes(key))) yield { kind: 'gone', key };
        const services = all.map(({ name }) => (
          { key: name, name, owner: 'all', createdAt: 1, options: { routes: '/' + name, check: 'none' } }));
        for (const { key } of queries) yield { kind: 'discovered', key, services };
        for (const { name, address, port } of all)
          yield { kind: 'endpoints', key: name, endpoints: [{ id: 'one', address, port, weight: 1, state: 'ready' }] };
        if (version === 0) yield { kind: 'synced' };
        version = answer.version;
        known = keys;
      }
    },
});
`;

/** A list that is answered when it is newer than what the one who asks has. */
class List {
  readonly services = new Map<string, Backend>();
  #version = 1;
  #changed = Promise.withResolvers<void>();

  change(change: (services: Map<string, Backend>) => void): void {
    change(this.services);
    this.#version += 1;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async answer(known: number): Promise<string> {
    if (known === this.#version) await this.#changed.promise;
    const services = [...this.services].map(([name, { address, port }]) => ({ name, address, port }));
    return JSON.stringify({ version: this.#version, services });
  }
}

export type ListedServices = AsyncDisposable & {
  readonly list: List;
  readonly place: Workplace;
  /** The text of a 200, else the status. */
  readonly answer: (path: string) => Promise<string>;
};

/** Myelin is configured, and not started. */
export async function startListedServices(): Promise<ListedServices> {
  await using stack = new AsyncDisposableStack();
  const list = new List();
  const server = createServer(({ url = '' }, response) => {
    void list.answer(Number(url.slice(1))).then((text) => response.end(text));
  });
  stack.defer(() => void server.closeAllConnections());
  stack.defer(() => void server.close());
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const port = await freePort();
  const place = stack.use(
    await workplace(`
watchers: { list: { type: ./list.ts, url: "http://127.0.0.1:${(server.address() as AddressInfo).port}/", maxShrink: { share: 1 } } }
frontends: { public: { bind: "127.0.0.1:${port}" } }
discover: { list: { hosts: ["*"], service: { onEmpty: accept } } }
debounce: { quiet: 5ms, max: 50ms }
allowAddresses: [127.0.0.0/8]
haproxy: { log: none, binary: "${await haproxy('3.4')}", statsSocket: ./admin.sock }
probes: { listen: "off" }
`),
  );
  await place.write('list.ts', watcher);
  const answer = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    const text = (await response.text()).trim();
    return response.status === 200 ? text : String(response.status);
  };
  const kept = stack.move();
  return { list, place, answer, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
