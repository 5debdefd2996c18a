/** A server that an operator took out stays out, whatever becomes of HAProxy and of Myelin, until it is given back. */
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { until } from '../../support/index.ts';
import { besideMaster, startMasterOf } from '../../support/sites/master-site.ts';
import { type Site, site } from '../../support/sites/site.ts';

test('a server that is out serves no request when HAProxy is killed, reloaded, or started by a new Myelin', async () => {
  await using my = await site();
  await serveBoth(my);
  const myelin = my.place.run();
  await myelin.until('both serve', ({ stateReasons }) => isApplied(stateReasons));
  await takeOut(my, 'maint');
  const stays = await staysOut(my);
  for (let times = 0; times < 3; times++) {
    const pid = (await my.place.status()).haproxy?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    await myelin.until('another serves', ({ haproxy: its }) => its !== null && its.pid !== pid);
    await stays();
  }
  await my.place.reload();
  await stays();
  myelin.kill('SIGKILL');
  await myelin.ended;
  for (const pid of await my.place.haproxies()) process.kill(pid, 'SIGKILL');
  const again = my.place.run();
  await again.until('it serves again', ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null);
  await stays();
  assert.equal((await my.place.command('server', 'ready', 'web/alpha')).exitCode, 0);
  await until('alpha is back', async () => (await ask(my.port)) === 'alpha');
});

for (const state of ['maint', 'drain'] as const)
  test(`a server in ${state} serves no request when its HAProxy is restarted or reloaded by others`, async () => {
    await using my = await site(besideMaster);
    await serveBoth(my);
    assert.equal((await my.place.command('run', '--once', '--no-apply')).exitCode, 0);
    const first = await startMasterOf(my.place);
    const myelin = my.place.run();
    await myelin.until('both serve', ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null);
    await takeOut(my, state);
    await until('the file says so', async () =>
      (await my.place.read('shared/haproxy.cfg')).includes('# by `myelin server`'),
    );
    const stays = await staysOut(my);
    const worker = await first.worker();
    process.kill(first.pid, 'SIGUSR2');
    await until('another worker serves', async () => (await first.worker()) !== worker);
    await stays();
    await first.stop();
    await using second = await startMasterOf(my.place);
    await stays();
    await myelin.until('it knows that one', ({ haproxy: its }) => its !== null);
    await stays();
    assert.ok((await second.worker()) > 0);
  });

test('a process that leaves is told that a server is out, and sends it nothing over the connections that it keeps', async () => {
  await using my = await site();
  await serveBoth(my);
  const myelin = my.place.run();
  const { haproxy: first } = await myelin.until('both serve', ({ stateReasons }) => isApplied(stateReasons));
  const agents = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  for (const agent of agents) await ask(my.port, agent);
  await my.place.reload();
  const { haproxy: second } = await my.place.status();
  assert.notEqual(second?.pid, first?.pid);
  assert.equal(second?.oldWorkers.length, 1, 'it waits for the connections');
  await takeOut(my, 'maint');
  for (const agent of agents) assert.equal(await ask(my.port, agent), 'beta');
  for (const agent of agents) agent.destroy();
});

test('an order whose time is over ends also where that cannot be written down', async () => {
  await using my = await site({ haproxy: ['stopGrace: 1s'], rest: ['drift: report'] });
  await serveBoth(my);
  const myelin = my.place.run();
  await myelin.until('both serve', ({ stateReasons }) => isApplied(stateReasons));
  await takeOut(my, 'maint', '--for', '2s');
  const file = my.place.path('run/state/orders.json');
  await rm(file);
  // An empty folder would give way.
  await mkdir(join(file, 'full'), { recursive: true });
  await until('alpha is back', async () => (await ask(my.port)) === 'alpha');
  await until('it is told', () => myelin.output.includes('orders.json'));
});

async function serveBoth(my: Site): Promise<void> {
  const { alpha, beta } = my.backends;
  await my.list({ alpha, beta });
}

async function takeOut({ place }: Site, state: 'maint' | 'drain', ...more: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await place.command('server', state, 'web/alpha', ...more);
  assert.equal(exitCode, 0, stderr);
}

/** A load from now on; each call sees some more requests answered, and none of them by `alpha`. */
async function staysOut(my: Site): Promise<() => Promise<void>> {
  const before = await my.backends.alpha.answered();
  const load = my.load();
  return async () => {
    await load.goesOn(50);
    await load.answeredBy('beta');
    assert.equal(await my.backends.alpha.answered(), before);
  };
}
