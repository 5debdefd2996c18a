/** No request is lost while the structure changes under load, whichever way it comes; and what would lose some is seen to. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import timers from 'node:timers/promises';
import { h2 } from '../../servers/h2.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { ab, type Load, wrk } from '../../servers/load.ts';
import { until } from '../../support/index.ts';
import { losesSome } from '../../support/load/controls.ts';
import { listenersOf } from '../../support/machine/listeners.ts';
import { isRunning } from '../../support/machine/processes.ts';
import { type Changes, type Versions, versions } from '../../support/versions.ts';

test('no request is lost while the structure changes every 3 s', async (t) => {
  await using served = await versions();
  await using changes = served.keepChanging(3000);
  const plain = `http://127.0.0.1:${served.port}/`;
  const tls = `https://127.0.0.1:${served.tlsPort}/`;
  for (const concurrency of [20, 200]) {
    await t.test(`HTTP/1.1, a connection each, ${concurrency} at once, plain and TLS`, (t) =>
      losesNothing(t, served, changes, 100_000, () => [
        ab({ url: plain, concurrency, requests: 100_000, keepAlive: false }),
        ab({ url: tls, concurrency, requests: 5000, keepAlive: false }),
      ]),
    );
    await t.test(`HTTP/1.1, kept connections, ${concurrency} at once, plain and TLS`, (t) =>
      losesNothing(t, served, changes, 100_000, () => [
        ab({ url: plain, concurrency, requests: 100_000, keepAlive: true }),
        // ab takes a kept connection that closes without an answer for a good end; wrk does not.
        wrk({ url: plain, concurrency, seconds: 9 }),
        // Only connections that wait for their next request can be closed too early: see the control below.
        wrk({ url: plain, concurrency, seconds: 9, pauses: true }),
        wrk({ url: tls, concurrency, seconds: 9 }),
      ]),
    );
    await t.test(`HTTP/2 over TLS, ${concurrency} connections at once`, async (t) => {
      let goaways = 0;
      const load = async (): Promise<Outcome> => {
        const ran = await h2({ url: tls, concurrency, requests: 20_000, streams: 3 });
        goaways += ran.goaways;
        return ran;
      };
      await losesNothing(t, served, changes, 20_000, () => [load()]);
      assert.ok(goaways >= concurrency, `${goaways} connections were told to go away`);
    });
  }
});

test('no request is lost at ten structural changes a second, and the old processes go', async (t) => {
  await using served = await versions({ reload: ['minInterval: 50ms'] });
  const { place } = served;
  const plain = `http://127.0.0.1:${served.port}/`;
  const first = (await place.status()).haproxy?.generation ?? 0;
  const before = await served.answered();
  const isOver = new AbortController();
  const loads = loadUntil(isOver.signal, [
    () => wrk({ url: plain, concurrency: 200, seconds: 2 }),
    () => ab({ url: plain, concurrency: 200, requests: 20_000, keepAlive: false }),
  ]);
  let last = '';
  for (let change = 0; change < 100; change++) {
    const gap = timers.setTimeout(100);
    last = await served.publish();
    await gap;
  }
  isOver.abort();
  for (const load of await loads) assert.equal(load.failed, 0, load.output);
  await served.answers(last);
  const { haproxy: running } = await place.status();
  const reloads = (running?.generation ?? 0) - first;
  t.diagnostic(`100 changes in ${reloads} reloads`);
  // How many are gathered into one reload depends on the machine; that all of them are would prove nothing.
  assert.ok(reloads >= 10, `${reloads} reloads`);
  assert.equal(told(before, await served.answered(), 1).length, before.size);
  await until(
    'only the HAProxy that serves is left',
    async () => String(await place.haproxies()) === String((await place.status()).haproxy?.pid),
    { withinMs: 30_000 },
  );
  assert.deepEqual(await listenersOf(served.port), await place.haproxies());
});

test('a restart that hands over its listening sockets loses nothing; one that does not, or does not wait, loses some', async (t) => {
  await using served = await versions();
  // From here on HAProxy is restarted by hand, with the config that Myelin left it.
  served.myelin.kill('SIGTERM');
  await served.myelin.ended;
  const sockets = ['-x', served.place.path('run/admin.sock')];
  await startAfresh(served);
  await t.test('-x and a soft stop: none', async () => {
    const { failed, output } = await restartUnderLoad(served, (old) => [...sockets, '-sf', `${old}`]);
    assert.equal(failed, 0, output);
  });
  await t.test('a soft stop without -x: some', () =>
    losesSome(() => restartUnderLoad(served, (old) => ['-sf', `${old}`])),
  );
  await t.test('-x and a hard stop: some', () =>
    losesSome(() => restartUnderLoad(served, (old) => [...sockets, '-st', `${old}`])),
  );
});

test('left to HAProxy alone, as where it has peers, and without idle-close-on-response, kept connections lose requests', async (t) => {
  await using served = await versions({
    reload: ['minInterval: 0ms'],
    sections: ['peers others\n    peer other 127.0.0.1:9'],
    frontend: (template) => template.replace('    option idle-close-on-response\n', ''),
  });
  assert.doesNotMatch(await served.place.read('run/haproxy.cfg'), /idle-close-on-response/);
  assert.deepEqual(await listenersOf(served.port), await served.place.haproxies());
  await using changes = served.keepChanging(300);
  const plain = `http://127.0.0.1:${served.port}/`;
  const loads = await changes.during(5, () => wrk({ url: plain, concurrency: 200, seconds: 4, pauses: true }));
  const failed = loads.reduce((sum, each) => sum + each.failed, 0);
  t.diagnostic(`${failed} of ${loads.reduce((sum, each) => sum + each.complete, 0)} lost`);
  assert.ok(failed > 0, 'nothing was lost');
});

type Outcome = Pick<Load, 'complete' | 'failed' | 'output'>;

/** Puts on the loads, again where need be, until three changes went live meanwhile; old and new must have answered. */
async function losesNothing(
  t: TestContext,
  served: Versions,
  changes: Changes,
  least: number,
  start: () => readonly Promise<Outcome>[],
): Promise<void> {
  const before = await served.answered();
  const loads = (await changes.during(3, () => Promise.all(start()))).flat();
  for (const { failed, output } of loads) assert.equal(failed, 0, `${output}\n${served.myelin.output.slice(-2000)}`);
  const complete = loads.reduce((sum, each) => sum + each.complete, 0);
  t.diagnostic(`${complete} requests, none failed`);
  assert.ok(complete >= least, `${complete} requests`);
  const answering = told(before, await served.answered(), 100);
  assert.ok(answering.length >= 3, `answers came from ${answering}`);
}

/** One load after the other, over and over until `signal` aborts. */
async function loadUntil(signal: AbortSignal, loads: readonly (() => Promise<Load>)[]): Promise<readonly Load[]> {
  const done: Load[] = [];
  while (!signal.aborted) for (const load of loads) done.push(await load());
  return done;
}

/** The servers that got at least so many requests. */
function told(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>, least: number): string[] {
  return [...after].flatMap(([name, count]) => (count - (before.get(name) ?? 0) >= least ? [name] : []));
}

/** As after a reboot: what Myelin started is gone, and nothing is handed over. */
async function startAfresh({ place, port }: Versions): Promise<void> {
  for (const pid of await place.haproxies()) process.kill(pid, 'SIGTERM');
  await until('it is gone', async () => (await place.haproxies()).length === 0);
  const args = ['-db', '-f', place.path('run/haproxy.cfg')];
  const child = spawn(await haproxy(), args, { cwd: place.folder, stdio: 'ignore' });
  await until('the new one listens', async () => String(await listenersOf(port)) === String(child.pid));
}

/** Restarts over and over while 200 clients ask over new connections. */
async function restartUnderLoad(served: Versions, args: (old: number) => readonly string[]): Promise<Load> {
  const { place, port } = served;
  const binary = await haproxy();
  let [serving = 0, ...others] = await place.haproxies();
  assert.deepEqual(others, []);
  assert.deepEqual(await listenersOf(port), [serving]);
  let isOver = false;
  const load = ab({ url: `http://127.0.0.1:${port}/`, concurrency: 200, requests: 40_000, keepAlive: false });
  void load.finally(() => {
    isOver = true;
  });
  for (let restart = 0; restart < 10 && !isOver; restart++) {
    const old = serving;
    const child = spawn(binary, ['-db', '-f', place.path('run/haproxy.cfg'), ...args(old)], {
      cwd: place.folder,
      stdio: 'ignore',
    });
    await once(child, 'spawn');
    serving = child.pid ?? 0;
    await until('the old one is gone and the new one listens', async () => {
      return !isRunning(old) && String(await listenersOf(port)) === String(serving);
    });
  }
  return load;
}
