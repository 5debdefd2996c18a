/** Routes of services that a source discovers, through shared frontends, on two replicas of Myelin. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { type Backend, startBackends } from '../../servers/backend.ts';
import { freePort, until } from '../../support/index.ts';
import { type MyelinProcess, type Workplace, workplace } from '../../support/sites/myelin.ts';

type Found = { readonly name: string; readonly createdAt: number; readonly routes: string; readonly at: Backend };

/** Asks for the list of services again and again; `isReversed`: it has them in the other order. */
const watcher = `
import { setTimeout } from 'node:timers/promises';
import { defineSource, z } from 'myelin/watcher';

export const source = defineSource({
  type: 'list',
  settings: z.strictObject({ url: z.string(), isReversed: z.boolean() }),
  query: z.strictObject({}),
  discovery: { keys: z.strictObject({}), queries: () => [{ key: 'all', query: {} }] },
  open: ({ url, isReversed }) =>
    async function* (queries, signal) {
      let known = [];
      let isFirst = true;
      while (!signal.aborted) {
        const all = await (await fetch(url, { signal })).json();
        if (isReversed) all.reverse();
        const keys = all.map(({ name }) => name);
        for (const key of known.filter((key) => !keys.includes(key))) yield { kind: 'gone', key };
        const services = all.map(({ name, createdAt, routes }) => (
          { key: name, name, owner: 'all', createdAt, options: { routes, check: 'none' } }));
        for (const { key } of queries) yield { kind: 'discovered', key, services };
        for (const { name, address, port } of all)
          yield { kind: 'endpoints', key: name, endpoints: [{ id: 'one', address, port, weight: 1, state: 'ready' }] };
        if (isFirst) yield { kind: 'synced' };
        isFirst = false;
        known = keys;
        await setTimeout(50, undefined, { signal }).catch(() => {});
      }
    },
});
`;

type Replica = { readonly place: Workplace; readonly myelin: MyelinProcess; answer(path: string): Promise<string> };

async function replica(stack: AsyncDisposableStack, url: string, isReversed: boolean): Promise<Replica> {
  const port = await freePort();
  const place = stack.use(
    await workplace(`
watchers: { list: { type: ./list.ts, url: "${url}", isReversed: ${isReversed}, maxShrink: { share: 1 } } }
frontends: { public: { bind: "127.0.0.1:${port}" } }
discover: { list: { hosts: ["*"], service: { onEmpty: accept } } }
allowAddresses: [127.0.0.0/8]
haproxy: { log: none }
reload: { minInterval: 100ms }
probes: { listen: "off" }
`),
  );
  await place.write('list.ts', watcher);
  const myelin = place.run();
  return {
    place,
    myelin,
    answer: async (path) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return response.status === 200 ? (await response.text()).trim() : String(response.status);
    },
  };
}

test('a discovered service is served by its route; of two that claim one the older has it, the other takes over, on each replica', async () => {
  await using backends = await startBackends(['alpha', 'beta', 'gamma']);
  const { alpha, beta, gamma } = backends;
  let found: readonly Found[] = [{ name: 'alpha', createdAt: 2, routes: '/alpha, /shared', at: alpha }];
  const server = createServer((_, response) => {
    const list = found.map(({ at: { address, port }, ...service }) => ({ ...service, address, port }));
    response.end(JSON.stringify(list));
  });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => void server.close());
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const replicas = [await replica(stack, url, false), await replica(stack, url, true)];
  const answers = async (wanted: Readonly<Record<string, string>>): Promise<void> => {
    for (const { answer } of replicas)
      for (const [path, name] of Object.entries(wanted)) {
        let last = '';
        await until(
          `${path} leads to ${name}`,
          async () => {
            last = await answer(path).catch(String);
            if (last !== name) throw new Error(`it was ${last}`);
            return true;
          },
          { withinMs: 60_000 },
        );
      }
  };
  await answers({ '/alpha': 'alpha', '/alpha/x': 'alpha', '/shared': 'alpha', '/alphabet': '404', '/': '404' });

  // A younger one is told first by one replica, and last by the other.
  found = [...found, { name: 'beta', createdAt: 3, routes: '/beta, /shared', at: beta }];
  await answers({ '/beta': 'beta', '/shared': 'alpha' });
  for (const { place, myelin } of replicas) {
    await myelin.until('the conflict is told', ({ routesLeftOut: [one] }) => one?.holder === 'alpha');
    const { routesLeftOut, frontends, unserved } = await place.status();
    assert.deepEqual(routesLeftOut, [{ service: 'beta', frontend: 'public', route: '/shared', holder: 'alpha' }]);
    assert.deepEqual(frontends, [{ name: 'public', routes: 3, leftOut: 1 }]);
    assert.deepEqual(unserved, []);
    assert.match(
      myelin.output,
      /"route":"\/shared","holder":"alpha"[^\n]*"msg":"route left out: another service has it"/,
    );
  }

  // An older one takes it away, without a reload of what was there.
  found = [...found, { name: 'gamma', createdAt: 1, routes: '/shared', at: gamma }];
  await answers({ '/shared': 'gamma', '/alpha': 'alpha', '/beta': 'beta' });
  for (const { myelin } of replicas)
    await myelin.until(
      'both are left out',
      ({ routesLeftOut }) => routesLeftOut.every(({ holder }) => holder === 'gamma') && routesLeftOut.length === 2,
    );

  // When it goes, the next one has it; and then the last one.
  found = found.filter(({ name }) => name !== 'gamma');
  await answers({ '/shared': 'alpha' });
  found = found.filter(({ name }) => name !== 'alpha');
  await answers({ '/shared': 'beta', '/alpha': '404' });

  // What is no route leaves out its service, named.
  found = [...found, { name: 'alpha', createdAt: 2, routes: '/alpha\n*/evil/ beta', at: alpha }];
  for (const { place, myelin } of replicas) {
    const { unserved } = await myelin.until('it is named', ({ unserved: [one] }) => one !== undefined);
    assert.deepEqual(unserved, [
      {
        watcher: 'list',
        service: 'alpha',
        reason: 'routes: "/alpha\\n*/evil/ beta" holds a line break or another control character',
      },
    ]);
    await until(
      'the map has these alone',
      async () => (await place.read('run/haproxy.cfg.maps/public.map')) === '*/beta/ beta\n*/shared/ beta\n',
    );
  }
  await answers({ '/beta': 'beta', '/evil': '404', '/alpha': '404' });
});
