/** What servers do does not wait for the structure: not while a reload waits for its turn, and not while it is under way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readServersState } from '../../src/haproxy/info.ts';
import type { Ms } from '../../src/model.ts';
import { ask } from '../servers/steady.ts';
import { quantile } from '../support/figures.ts';
import { freePort, until } from '../support/index.ts';
import { ask as askSocket, type MyelinProcess } from '../support/myelin.ts';
import { type Site, site } from '../support/site.ts';

/** More with, say, `ROUNDS=200`. */
const rounds = Number(process.env.ROUNDS ?? 20);

test(`a change that comes while a reload is under way is live in the new process, ${rounds} times in a row`, async () => {
  await using my = await site();
  const myelin = await my.start();
  const load = my.load();
  const names = ['beta', 'alpha'] as const;
  for (let round = 0; round < rounds; round++) {
    const name = names[round % 2] ?? 'alpha';
    const before = await my.place.status();
    // Until the new process has proved itself, in steps.
    await intoReload(my, myelin, (round % 40) * 4);
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
  const minIntervalMs = 2000;
  await using my = await site({ reload: [`minInterval: ${minIntervalMs}ms`] });
  const myelin = await my.start();
  const load = my.load();
  const names = ['beta', 'alpha'] as const;
  /** 100 steps in ten seconds, with a change of servers at every fifth: how long each took until its first answer. */
  const serverChanges = async (besides: () => Promise<void>): Promise<readonly number[]> => {
    const waits: number[] = [];
    for (let step = 0; step < 100; step++) {
      const startedAt = performance.now();
      await besides();
      if (step % 5 === 0) {
        const name = names[(step / 5) % 2] ?? 'alpha';
        await my.serve(name);
        const servedAt = performance.now();
        await until(`${name} answers`, async () => (await ask(my.port)) === name, { everyMs: 1 });
        waits.push(performance.now() - servedAt);
      }
      await until('a tenth of a second has passed', () => performance.now() - startedAt >= 100, { everyMs: 5 });
    }
    return waits;
  };
  const reloads = async (): Promise<number> => (await my.place.status()).haproxy?.generation ?? 0;

  const alone = await serverChanges(async () => {});
  const before = await reloads();
  assert.equal(before, 1, 'servers change without a reload');
  const startedAt = performance.now();
  const meanwhile = await serverChanges(() => my.restructure());
  const count = (await reloads()) - before;
  const tookMs = performance.now() - startedAt;
  const told = (waits: readonly number[]): string =>
    `p50 ${quantile(waits, 0.5).toFixed()} ms, p90 ${quantile(waits, 0.9).toFixed()} ms`;
  t.diagnostic(`${count} reloads in ${(tookMs / 1000).toFixed(1)} s`);
  t.diagnostic(`servers changed within ${told(meanwhile)}; without changes of structure ${told(alone)}`);
  // The first may come at once; that is six in the ten seconds that it takes where the machine keeps up.
  assert.ok(count <= 1 + Math.floor(tookMs / minIntervalMs), `${count} reloads in ${tookMs} ms`);
  const delayMs = quantile(meanwhile, 0.5) - quantile(alone, 0.5);
  assert.ok(delayMs <= 50, `servers changed ${delayMs} ms later than without changes of structure`);
  await my.restructured();
  await myelin.until('nothing is left to do', ({ pending }) => pending === null);
  await load.endsWithoutFailure();
});

test('an order that is given while a reload is under way holds in the new process, 12 times in a row', async () => {
  // Nothing is put right that was not obeyed.
  await using my = await site({ rest: ['drift: report'] });
  const { place, backends } = my;
  const myelin = await my.start();
  const all = Object.entries(backends).map(([id, { port }]) => `{ id: ${id}, address: 127.0.0.1, port: ${port} }`);
  await place.write('services.yaml', `services: { web: [${all.join(', ')}] }\n`);
  await until('all serve', async () => (await serving(my)).length === all.length);
  for (let round = 0; round < 12; round++) {
    const state = round % 2 === 0 ? 'maint' : 'ready';
    await intoReload(my, myelin, round * 12);
    await askSocket(place.path('run/myelin.sock'), 'POST', `/api/v1/servers/web/beta/${state}`);
    await my.restructured();
    await myelin.until('it is done', ({ pending, state: its }) => pending === null && its === 'ready');
    const port = `${backends.beta.port}`;
    await until(`beta is ${state}`, async () => (await serving(my)).includes(port) === (state === 'ready'), {
      withinMs: 2000,
    });
  }
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

/** Changes the structure; `ms` after the config was seen the reload that this takes is under way, if it has not ended. */
async function intoReload(my: Site, myelin: MyelinProcess, ms: Ms): Promise<void> {
  const timesSeen = (): number => myelin.output.split('config and templates were read again').length;
  const before = timesSeen();
  await my.restructure();
  await until('the config is seen', () => timesSeen() > before, { everyMs: 1 });
  const seenAt = performance.now();
  await until('some of the reload has passed', () => performance.now() - seenAt >= ms, { everyMs: 1 });
}

/** The ports of the servers that serve `web`. */
async function serving(my: Site): Promise<readonly string[]> {
  const { haproxy } = await my.place.status();
  const { rows } = await readServersState(haproxy?.socket ?? '');
  return rows
    .filter((row) => row.be_name === 'web' && row.srv_admin_state === '0')
    .map((row) => row.srv_port ?? '')
    .sort();
}
