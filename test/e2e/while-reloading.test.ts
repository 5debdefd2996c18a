/** What servers do does not wait for the structure: not while a reload waits for its turn, and not while it is under way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readServersState } from '../../src/haproxy/info.ts';
import { ask } from '../servers/steady.ts';
import { freePort, until } from '../support/index.ts';
import { type Site, site } from '../support/site.ts';

test('a change that comes while a reload is under way is live in the new process, 40 times in a row', async () => {
  await using my = await site();
  const myelin = await my.start();
  const load = my.load();
  const names = ['beta', 'alpha'] as const;
  for (let round = 0; round < 40; round++) {
    const name = names[round % 2] ?? 'alpha';
    const before = await my.place.status();
    await my.restructure();
    // From the moment at which the config is seen until the new process has proved itself, in steps.
    const seenAt = performance.now();
    await until('some of it has passed', () => performance.now() - seenAt > round * 6, { everyMs: 1 });
    await my.serve(name);
    await my.restructured();
    await until(`${name} answers`, async () => (await ask(my.port)) === name);
    const after = await myelin.until('it is done', ({ pending, state }) => pending === null && state === 'ready');
    assert.notEqual(after.haproxy?.pid, before.haproxy?.pid);
    const port = my.backends[name].port;
    await until(`the new process has ${name} alone`, async () => String(await serving(my)) === `${port}`);
  }
  await load.endsWithoutFailure();
});

test('while the structure changes ten times a second, reloads keep their distance and servers do not wait', async (t) => {
  await using my = await site({ reload: ['minInterval: 2s'] });
  const myelin = await my.start();
  const load = my.load();
  const reloads = async (): Promise<number> => (await my.place.status()).haproxy?.generation ?? 0;
  const before = await reloads();
  const waits: number[] = [];
  const names = ['beta', 'alpha'] as const;
  for (let change = 0; change < 100; change++) {
    const startedAt = performance.now();
    await my.restructure();
    if (change % 5 === 0) {
      const name = names[(change / 5) % 2] ?? 'alpha';
      await my.serve(name);
      const servedAt = performance.now();
      await until(`${name} answers`, async () => (await ask(my.port)) === name, { everyMs: 1 });
      waits.push(performance.now() - servedAt);
    }
    await until('a tenth of a second has passed', () => performance.now() - startedAt >= 100, { everyMs: 5 });
  }
  const count = (await reloads()) - before;
  t.diagnostic(`${count} reloads; servers changed after ${waits.map((wait) => wait.toFixed()).join(', ')} ms`);
  assert.ok(count <= 6, `${count} reloads`);
  await my.restructured();
  await myelin.until('nothing is left to do', ({ pending }) => pending === null);
  await load.endsWithoutFailure();
});

test('servers of a service whose new structure HAProxy refuses change all the same', async () => {
  const other = await freePort();
  const config = (lines: string) => ({ services: [`other: { bind: "127.0.0.1:${other}", backend: [${lines}] }`] });
  await using my = await site(config(''));
  await my.serve('alpha', 'other');
  const myelin = my.place.run();
  await myelin.until('it is ready', ({ state }) => state === 'ready');
  const { haproxy: before } = await my.place.status();
  await my.configure(config('"no-such-keyword"'));
  await myelin.until('it is set apart', ({ services }) => services.some(({ quarantined }) => quarantined !== null));
  await my.serve('beta', 'other');
  await until('the others change', async () => (await ask(my.port)) === 'beta');
  assert.equal((await my.place.status()).haproxy?.pid, before?.pid);
});

/** The ports of the servers that serve `web`. */
async function serving(my: Site): Promise<readonly string[]> {
  const { haproxy } = await my.place.status();
  const { rows } = await readServersState(haproxy?.socket ?? '');
  return rows
    .filter((row) => row.be_name === 'web' && row.srv_admin_state === '0')
    .map((row) => row.srv_port ?? '')
    .sort();
}
