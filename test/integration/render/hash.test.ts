/** A key stays with its server: a consistent hash is dealt alike at runtime, after a reload and on every machine. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import type { Endpoint } from '../../../src/model.ts';
import { type Backend, startBackends } from '../../servers/backend.ts';
import { branches, type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { startHaproxy } from '../../support/haproxy/process.ts';
import { freePort, tempFolder } from '../../support/index.ts';
import { planChange } from '../../support/values/plans.ts';
import { configOf, endpoint, render, rendererWith } from '../../support/values/render.ts';

const renderer = await rendererWith();

const keys = Array.from({ length: 200 }, (_, at) => `/${at}`);

for (const branch of branches) {
  test(`HAProxy ${branch}: a server that comes moves keys to itself alone, at runtime and in the file`, async () => {
    await using backends = await startBackends(['a', 'b', 'c', 'd']);
    const three = [backends.b, backends.c, backends.d];
    const four = [backends.a, ...three];
    await using before = await start(branch, three);
    await using after = await start(branch, four);
    const [dealtBefore, dealtAfter] = [await before.deal(), await after.deal()];
    assert.deepEqual([...new Set(dealtAfter)].sort(), ['a', 'b', 'c', 'd']);
    const moved = dealtBefore.filter((name, at) => name !== dealtAfter[at] && dealtAfter[at] !== 'a').length;
    assert.equal(moved, 0, `${moved} keys of ${keys.length} moved between the others`);
    if (branch === '2.2') return;
    await before.change(four);
    assert.deepEqual(await before.deal(), dealtAfter, 'added at runtime');
    await before.change([backends.a, backends.b]);
    await using two = await start(branch, [backends.a, backends.b]);
    assert.deepEqual(await before.deal(), await two.deal(), 'removed at runtime');
  });
}

/** A HAProxy that was started with the file for these servers. */
async function start(branch: HaproxyBranch, first: readonly Backend[]) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const port = await freePort();
  const config = configOf({
    state: folder.path,
    haproxy: { statsSocket: join(folder.path, 'admin.sock'), log: 'none', global: ['maxconn 200'] },
    services: {
      web: {
        bind: `127.0.0.1:${port}`,
        balance: 'uri',
        backend: ['hash-type consistent'],
        check: { type: 'none' },
      },
    },
  });
  const endpoints = (of: readonly Backend[]): readonly Endpoint[] =>
    of.map(({ name, address, port }) => endpoint(name, { address, port }));
  const sectionsOf = (of: readonly Backend[]) =>
    render(renderer, config, { web: endpoints(of) }, `${branch}.0`).sections;
  let running = sectionsOf(first);
  const process = stack.use(await startHaproxy(await haproxy(branch), folder.path, textOf(running)));
  const kept = stack.move();
  return {
    /** The server of each key. */
    async deal(): Promise<readonly string[]> {
      const dealt: string[] = [];
      for (const key of keys) dealt.push((await (await fetch(`http://127.0.0.1:${port}${key}`)).text()).trim());
      return dealt;
    },
    async change(servers: readonly Backend[]): Promise<void> {
      const wanted = sectionsOf(servers);
      const { capabilities } = process;
      const plan = planChange(running, wanted, { forced: [], capabilities, leaving: [], started: running });
      assert.ok(plan.kind === 'runtime', JSON.stringify(plan));
      for (const verdict of await process.run(plan.commands)) assert.equal(verdict.kind, 'done');
      running = wanted;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
