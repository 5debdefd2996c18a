/** Control `master` as a whole: `myelin run` beside a HAProxy that others start, with a socket and a folder in common. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { until } from '../../support/index.ts';
import { besideMaster, nextSecond, startMasterOf } from '../../support/sites/master-site.ts';
import { site } from '../../support/sites/site.ts';

test('an init container writes the file, HAProxy starts from it, and Myelin keeps both in step without a lost request', async () => {
  await using my = await site(besideMaster);
  const { place, backends } = my;
  await my.serve('alpha');
  const init = await place.command('run', '--once', '--no-apply');
  assert.equal(init.exitCode, 0, init.stdout);
  await using master = await startMasterOf(my.place);
  assert.equal(await ask(my.port), 'alpha');
  const first = await master.worker();

  const myelin = my.place.run();
  const ready = await myelin.until(
    'it knows HAProxy',
    ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null,
  );
  assert.equal(ready.haproxy?.pid, first, 'it was taken as it was');
  assert.equal((await master.processes()).master.reloads, 0);

  const load = my.load();
  await my.serve('beta');
  await load.answeredBy('beta');
  await myelin.until('it was done by commands', ({ lastApply }) => lastApply?.result === 'runtime');
  assert.equal((await master.processes()).master.reloads, 0, 'servers change without a reload');
  const address = `127.0.0.1:${backends.beta.port}`;
  await until('the file follows', async () => (await place.read('shared/haproxy.cfg')).includes(` ${address} `));

  await my.restructure();
  const after = await myelin.until('it was reloaded', ({ lastApply }) => lastApply?.result === 'reload');
  assert.deepEqual(
    after.lastApply?.reasons.map(({ code }) => code),
    ['option_changed'],
  );
  assert.equal((await master.processes()).master.reloads, 1);
  assert.notEqual(await master.worker(), first);
  assert.equal((await place.status()).haproxy?.pid, await master.worker());
  await load.answeredBy('beta');
  await load.endsWithoutFailure();
});

test('Myelin started before HAProxy waits for it, is not ready, and says what it waits for', async () => {
  await using my = await site(besideMaster);
  await my.serve('alpha');
  const myelin = my.place.run();
  const waiting = await myelin.until('it has written the file', ({ lastApply }) => lastApply?.result === 'failed');
  assert.notEqual(waiting.state, 'ready');
  assert.match(
    waiting.lastApply?.error ?? '',
    /^no HAProxy serves yet: .*master\.sock.*haproxy\.cfg is written for it/,
  );
  await using master = await startMasterOf(my.place);
  const status = await myelin.until(
    'it is ready',
    ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null,
  );
  assert.equal(status.haproxy?.pid, await master.worker());
  assert.equal(await ask(my.port), 'alpha');
  await my.serve('gamma');
  await until('gamma answers', async () => (await ask(my.port)) === 'gamma');
});

test('a HAProxy that is started together with Myelin is not reloaded for what it serves already', async () => {
  await using my = await site(besideMaster);
  const { place } = my;
  await my.serve('alpha');
  assert.equal((await place.command('run', '--once', '--no-apply')).exitCode, 0);
  const myelin = place.run();
  await myelin.until('it has begun', () => true);
  await using master = await startMasterOf(my.place);
  const load = my.load();
  const status = await myelin.until(
    'it is ready',
    ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null,
  );
  assert.equal(status.haproxy?.pid, await master.worker());
  await my.serve('beta');
  await load.answeredBy('beta');
  assert.equal((await master.processes()).master.reloads, 0);
  await load.endsWithoutFailure();
});

test('neither a kill of Myelin nor a restart of HAProxy brings anything but what is wanted', async () => {
  await using my = await site(besideMaster);
  const { place } = my;
  await my.serve('alpha');
  assert.equal((await place.command('run', '--once', '--no-apply')).exitCode, 0);
  const master = await startMasterOf(my.place);
  const myelin = place.run();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  await my.serve('beta');
  await until('beta answers', async () => (await ask(my.port)) === 'beta');
  const { reloads } = (await master.processes()).master;

  myelin.kill('SIGKILL');
  await myelin.ended;
  await my.serve('gamma');
  const plan = await place.command('plan', '--exit-code');
  assert.equal(plan.exitCode, 10, plan.stderr);
  assert.match(plan.stdout, /^no reload, but the runtime commands\n/);
  await my.serve('beta');
  const again = place.run();
  const status = await again.until(
    'it is ready again',
    ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null,
  );
  assert.equal(status.haproxy?.pid, await master.worker());
  assert.equal((await master.processes()).master.reloads, reloads);

  await nextSecond();
  await master.stop();
  await again.until('it sees that', ({ haproxy: its }) => its === null);
  await my.serve('gamma');
  await using next = await startMasterOf(my.place);
  await until('gamma answers', async () => (await ask(my.port)) === 'gamma');
  const afterwards = await again.until(
    'it is ready',
    ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null,
  );
  assert.equal(afterwards.haproxy?.pid, await next.worker());

  again.kill('SIGTERM');
  assert.equal(await again.ended, 0);
  assert.equal(await ask(my.port), 'gamma', 'HAProxy is not Myelin’s to end');
});

test('a service that HAProxy refuses is quarantined, and a second Myelin is told that there is one', async () => {
  await using my = await site(besideMaster);
  const { place } = my;
  await my.serve('alpha');
  assert.equal((await place.command('run', '--once', '--no-apply')).exitCode, 0);
  await using master = await startMasterOf(my.place);
  const myelin = place.run();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  const second = await place.command('run');
  assert.equal(second.exitCode, 1);
  assert.match(second.stderr, /is in use by another Myelin.*\[MYELIN_LOCKED\]/);

  await my.configure({ ...besideMaster, web: ['backend: ["bogus"]'] });
  const status = await myelin.until('it is quarantined', ({ services }) => services[0]?.quarantined !== null);
  assert.match(status.services[0]?.quarantined?.problems[0]?.message ?? '', /unknown keyword 'bogus'/);
  assert.equal(await ask(my.port), 'alpha');
  await my.serve('beta');
  assert.ok((await master.worker()) > 0);
});

for (const trouble of ['stopped', 'removed', 'removed with the worker’s'] as const)
  test(`a master whose process or socket is ${trouble}: the worker serves on, which is what is said, and all is well afterwards`, async () => {
    await using my = await site(besideMaster);
    const { place } = my;
    await my.serve('alpha');
    await place.command('run', '--once', '--no-apply');
    await using master = await startMasterOf(place);
    const myelin = place.run();
    await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
    const worker = await master.worker();
    const load = my.load();
    try {
      if (trouble === 'stopped') process.kill(master.pid, 'SIGSTOP');
      else await rm(master.socket);
      if (trouble === 'removed with the worker’s') {
        await rm(place.path('shared/admin.sock'));
        await my.restructure();
        const { haproxy: its } = await myelin.until('it is told', ({ state }) => state === 'unresponsive', 40_000);
        assert.match(
          its?.unresponsive?.reason ?? '',
          /master\.sock, which was removed: its worker \d+ cannot be asked/,
        );
      } else {
        const { stateReasons } = await myelin.until('it is told', ({ state }) => state === 'degraded', 20_000);
        assert.deepEqual(stateReasons, ['master_unresponsive'], 'while nothing needs a reload');
        await my.serve('beta');
        await load.answeredBy('beta', 20_000);
        await my.restructure();
        const words = /master does not answer .*: its worker \d+ serves on and its servers follow over its own socket/;
        await myelin.until('it is told', ({ lastApply }) => words.test(lastApply?.error ?? ''), 30_000);
      }
      assert.equal((await place.status()).haproxy?.pid, worker);
      assert.doesNotMatch(myelin.output, /HAProxy exited unexpectedly/);
      assert.match(myelin.output, /SIGUSR2 to its master/);
    } finally {
      process.kill(master.pid, trouble === 'stopped' ? 'SIGCONT' : 'SIGUSR2');
    }
    await my.serve('gamma');
    await load.answeredBy('gamma', 30_000);
    await until('it is reloaded', async () => (await place.read('shared/haproxy.cfg')).includes(my.structure), {
      withinMs: 40_000,
    });
    await myelin.until('all is well', ({ stateReasons }) => isApplied(stateReasons), 40_000);
    await load.endsWithoutFailure();
  });
