/** HAProxy reloaded behind Myelin's back, from an old file: what is wanted is soon back, or the status says who serves what. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { ask as askHaproxy } from '../../../src/haproxy/cli/socket.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { until } from '../../support/index.ts';
import { listenersOf } from '../../support/machine/listeners.ts';
import { isRunning } from '../../support/machine/processes.ts';
import { besideMaster, startMasterOf } from '../../support/sites/master-site.ts';
import { ask as askSocket } from '../../support/sites/myelin.ts';
import { type Site, site } from '../../support/sites/site.ts';

const verifyIntervalMs = 4000;
const rest = [`verifyInterval: ${verifyIntervalMs}ms`];

test('HAProxy reloaded by hand from an old file: what is wanted serves again within verifyInterval, and nothing is lost', async () => {
  await using my = await site({ rest });
  const myelin = await my.start();
  const old = await oldFile(my);
  const load = my.load();
  const { haproxy: before } = await my.place.status();
  await using hand = await reloadByHand(my, old, before?.pid);
  await until('the old file is back', async () => (await ask(my.port)) === 'alpha');
  const reloadedAt = performance.now();
  const { haproxy: now } = await myelin.until(
    'it is put right',
    ({ lastApply }) => lastApply?.reasons[0]?.code === 'haproxy_exited',
  );
  assert.equal(await ask(my.port), 'beta');
  const tookMs = performance.now() - reloadedAt;
  assert.ok(tookMs < verifyIntervalMs, `it took ${tookMs} ms`);
  const { lastApply } = await myelin.until('all is well', ({ stateReasons }) => isApplied(stateReasons));
  assert.deepEqual(lastApply?.reasons, [
    { code: 'haproxy_exited', detail: `process ${hand.pid} was started by somebody else` },
  ]);
  assert.match(await metrics(my), /^myelin_reloads_total\{reason="haproxy_exited",result="ok"\} 1$/m);
  await hand.ended;
  await until('only ours is left', async () => String(await my.place.haproxies()) === String(now?.pid));
  assert.deepEqual(await listenersOf(my.port), [now?.pid]);
  await load.endsWithoutFailure();
});

test('with drift: report, a HAProxy that was reloaded by hand is told and left, until an operator orders a reload', async () => {
  await using my = await site({ rest: [...rest, 'drift: report'] });
  const myelin = await my.start();
  const old = await oldFile(my);
  const load = my.load();
  const { haproxy: before } = await my.place.status();
  await using hand = await reloadByHand(my, old, before?.pid);
  const words = `process ${hand.pid} was started by somebody else and serves in the place of ours; with drift: report it is left in place`;
  const { lastApply } = await myelin.until('it is told', (status) => status.lastApply?.error?.includes(words) === true);
  assert.equal(lastApply?.result, 'failed');
  const toldAt = performance.now();
  await until('a while has passed', () => performance.now() - toldAt > 2500);
  assert.equal(await ask(my.port), 'alpha');
  assert.ok(isRunning(hand.pid));
  assert.equal(myelin.output.split(words).length, 2, 'it is told once');
  assert.ok((await my.place.command('status')).stdout.includes(words));

  assert.equal((await my.place.command('reload')).exitCode, 0);
  assert.equal(await ask(my.port), 'beta');
  await hand.ended;
  await load.endsWithoutFailure();
});

test('a folder of sockets that is removed: Myelin is reached again, servers follow, and what a reload lacks is said', async () => {
  await using my = await site();
  const myelin = await my.start();
  const load = my.load();
  const pid = (await my.place.status()).haproxy?.pid ?? 0;
  // Myelin may write into it meanwhile.
  await rm(my.place.path('run'), { recursive: true, maxRetries: 10 });
  await myelin.until('it is reached again', ({ haproxy }) => haproxy?.pid === pid);
  await until('it is told', () =>
    myelin.output.includes('control socket was removed by somebody else and is created again'),
  );
  await my.serve('beta');
  await load.answeredBy('beta');
  await my.restructure();
  await myelin.until(
    'what is missing is said',
    ({ lastApply }) => lastApply?.error?.includes(`no path leads to the HAProxy that serves (pid ${pid})`) === true,
  );
  assert.ok(myelin.output.includes(`kill -USR1 ${pid}`), myelin.output);
  await load.endsWithoutFailure();

  process.kill(pid, 'SIGUSR1');
  await my.restructured();
  await myelin.until('all is well', ({ stateReasons, haproxy }) => isApplied(stateReasons) && haproxy?.pid !== pid);
  assert.equal(await ask(my.port), 'beta');
});

test('HAProxy reloaded by hand while Myelin was away is put right at its next start', async () => {
  await using my = await site({ rest });
  const first = await my.start();
  const old = await oldFile(my);
  const load = my.load();
  const { haproxy: before } = await my.place.status();
  first.kill('SIGKILL');
  await first.ended;
  await using hand = await reloadByHand(my, old, before?.pid);
  await until('the old file is back', async () => (await ask(my.port)) === 'alpha');
  const second = my.place.run();
  await second.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  await until('what is wanted serves', async () => (await ask(my.port)) === 'beta');
  await hand.ended;
  await load.endsWithoutFailure();
});

for (const drift of ['repair', 'report'] as const)
  test(`a master that was told to reload by hand, from an old file: drift: ${drift}`, async () => {
    await using my = await site({ ...besideMaster, rest: [...besideMaster.rest, ...rest, `drift: ${drift}`] });
    const { place } = my;
    await my.serve('alpha');
    assert.equal((await place.command('run', '--once', '--no-apply')).exitCode, 0);
    await using master = await startMasterOf(place);
    const myelin = place.run();
    await myelin.until('it is ready', ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null);
    const old = await place.read('shared/haproxy.cfg');
    await my.restructure();
    await myelin.until(
      'it is reloaded',
      ({ lastApply, pending }) => lastApply?.reasons[0]?.code === 'option_changed' && pending === null,
    );
    await my.serve('beta');
    await until('the file has followed', async () =>
      (await place.read('shared/haproxy.cfg')).includes(addressOf(my, 'beta')),
    );
    const load = my.load();
    await load.answeredBy('beta');

    const before = await master.worker();
    await place.write('shared/haproxy.cfg', old);
    await askHaproxy(master.socket, ['reload'], { timeoutMs: 10_000 });
    await until('another worker serves', async () => (await master.worker()) !== before);
    const reloadedAt = performance.now();
    if (drift === 'report') {
      const words = `process ${await master.worker()} was started by somebody else and serves in the place of ours; with drift: report it is left in place`;
      await myelin.until('it is told', ({ lastApply }) => lastApply?.error?.includes(words) === true);
      await until('a while has passed', () => performance.now() - reloadedAt > 2500);
      assert.equal(await ask(my.port), 'alpha');
      assert.equal((await place.command('reload')).exitCode, 0);
    }
    await until('what is wanted serves', async () => {
      const { stateReasons, haproxy: its } = await place.status();
      const isRight = (await place.read('shared/haproxy.cfg')).includes(my.structure);
      return (
        isApplied(stateReasons) && its?.pid === (await master.worker()) && isRight && (await ask(my.port)) === 'beta'
      );
    });
    const tookMs = performance.now() - reloadedAt;
    if (drift === 'repair') assert.ok(tookMs < verifyIntervalMs, `it took ${tookMs} ms`);
    await load.endsWithoutFailure();
  });

type ByHand = AsyncDisposable & { readonly pid: number; readonly ended: Promise<unknown> };

/** Of the file with which `alpha` served; `beta` is wanted from now on, and serves, with another structure. */
async function oldFile(my: Site): Promise<string> {
  const text = await my.place.read('run/haproxy.cfg');
  await my.place.write('old.cfg', text);
  await my.restructure();
  await my.restructured();
  await my.serve('beta');
  await until('beta serves', async () => (await ask(my.port)) === 'beta');
  await until('the file has followed', async () =>
    (await my.place.read('run/haproxy.cfg')).includes(addressOf(my, 'beta')),
  );
  await until('it is settled which HAProxy that is', async () => {
    const { pending, haproxy: now } = await my.place.status();
    return pending === null && String(await my.place.haproxies()) === String(now?.pid);
  });
  return my.place.path('old.cfg');
}

/** As HAProxy's own documentation has it. */
async function reloadByHand({ place }: Site, file: string, before: number | undefined): Promise<ByHand> {
  const args = ['-db', '-f', file, '-x', place.path('run/admin.sock'), '-sf', `${before}`];
  const child: ChildProcess = spawn(await haproxy(), args, { cwd: place.folder, stdio: 'ignore' });
  const ended = once(child, 'exit');
  await once(child, 'spawn');
  return {
    pid: child.pid ?? 0,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function addressOf({ backends }: Site, name: keyof Site['backends']): string {
  return ` 127.0.0.1:${backends[name].port} `;
}

function metrics({ place }: Site): Promise<string> {
  return askSocket(place.path('run/myelin.sock'), 'GET', '/metrics');
}
