/** Services that come with a route, change and go under load, one by one, on HAProxy 3.4: no request fails, in the same process. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { type Backend, startBackends } from '../../servers/backend.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { freePort, until } from '../../support/index.ts';
import { workplace } from '../../support/sites/myelin.ts';

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

test('forty services come, change and go one by one under load in one process of HAProxy 3.4: 404, then 200, then 404, and nothing else', async (t) => {
  await using backends = await startBackends(['alpha', 'beta']);
  const { alpha, beta } = backends;
  const list = new List();
  list.change((services) => services.set('first', alpha));
  await using stack = new AsyncDisposableStack();
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
haproxy: { log: none, binary: "${await haproxy('3.4')}" }
probes: { listen: "off" }
`),
  );
  await place.write('list.ts', watcher);
  place.run();
  const answer = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    const text = (await response.text()).trim();
    return response.status === 200 ? text : String(response.status);
  };
  await until('the first one is served', async () => (await answer('/first').catch(String)) === 'alpha', {
    withinMs: 30_000,
  });
  const before = await place.haproxies();
  assert.equal(before.length, 1);

  /** Asked again and again until the end. */
  const seen = new Map<string, string[]>();
  let isOver = false;
  const watch = async (name: string): Promise<void> => {
    const answers: string[] = [];
    seen.set(name, answers);
    while (!isOver) {
      const is = await answer(`/${name}`).catch(String);
      if (is !== answers.at(-1)) answers.push(is);
    }
  };
  const watching: Promise<void>[] = [];
  const tookMs: number[] = [];
  const names = Array.from({ length: 40 }, (_, at) => `s${at}`);
  for (const name of names) {
    const at = performance.now();
    list.change((services) => services.set(name, alpha));
    // Three are asked to the end.
    if (watching.length < 3) watching.push(watch(name));
    const answers: string[] = [];
    await until(`${name} is served`, async () => {
      const is = await answer(`/${name}`);
      if (is !== answers.at(-1)) answers.push(is);
      return is === 'alpha';
    });
    tookMs.push(performance.now() - at);
    assert.deepEqual(
      answers.filter((is) => is !== '404'),
      ['alpha'],
      name,
    );
  }
  list.change((services) => {
    for (const name of names) services.set(name, beta);
  });
  await until('all have moved', async () =>
    (await Promise.all(names.map((name) => answer(`/${name}`)))).every((is) => is === 'beta'),
  );
  for (const name of names) {
    list.change((services) => services.delete(name));
    const answers: string[] = [];
    await until(`${name} is gone`, async () => {
      const is = await answer(`/${name}`);
      if (is !== answers.at(-1)) answers.push(is);
      return is === '404';
    });
    assert.deepEqual(
      answers.filter((is) => is !== 'beta'),
      ['404'],
      name,
    );
  }
  isOver = true;
  await Promise.all(watching);
  for (const [name, answers] of seen)
    assert.deepEqual(answers[0] === '404' ? answers.slice(1) : answers, ['alpha', 'beta', '404'], name);
  assert.deepEqual(await place.haproxies(), before, 'the same process');
  const sorted = tookMs.toSorted((a, b) => a - b);
  t.diagnostic(`registered → 200: p50 ${sorted[20]?.toFixed(1)} ms, slowest ${sorted[39]?.toFixed(1)} ms`);
});
