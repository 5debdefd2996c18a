/** Whatever is killed, replaced or started twice, no request is lost that need not be, and everything finds its way by itself. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import timers from 'node:timers/promises';
import { cannotAddServers, haproxy } from '../../servers/haproxy.ts';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { accepts } from '../../support/load/requests.ts';
import { programOf } from '../../support/machine/listeners.ts';
import { gone, isRunning } from '../../support/machine/processes.ts';
import { type Site, site } from '../../support/sites/site.ts';

/** More with, say, `KILLS=500`. */
const kills = Number(process.env.KILLS ?? 16);

test(`Myelin killed ${kills} times, while it starts and while it applies, costs no request and leaves nothing behind`, async () => {
  await using my = await site();
  let myelin = await my.start();
  const load = my.load();
  const changes = my.use(changing(my));
  for (let kill = 0; kill < kills; kill++) {
    // By turns: somewhere in its start, and somewhere in the reloads that follow each other without a pause.
    const before = await newestGeneration(my);
    if (kill % 2 === 1)
      await until('it reloads', async () => (await newestGeneration(my)) > before, { withinMs: 30_000, everyMs: 5 });
    await timers.setTimeout(Math.random() * (kill % 2 === 1 ? 150 : 700));
    myelin.kill('SIGKILL');
    assert.equal(await myelin.ended, 'SIGKILL', myelin.output);
    myelin = my.place.run();
  }
  await changes[Symbol.asyncDispose]();
  await my.serve('gamma');
  await load.answeredBy('gamma', 30_000);
  await my.restructured();
  // A new process answers a moment before Myelin counts on it, and an old one is gone a moment before Myelin sees it.
  await until(
    'only the newest HAProxy is left, and its folder',
    async () => {
      const { haproxy: now } = await my.place.status();
      const [processes, folders] = await Promise.all([my.place.haproxies(), generations(my)]);
      return String(processes) === String(now?.pid) && String(folders) === String(now?.generation);
    },
    { withinMs: 30_000 },
  );
  const { haproxy: running } = await myelin.until('all is well', ({ stateReasons }) => isApplied(stateReasons));
  await load.endsWithoutFailure();
  assert.deepEqual(await my.place.haproxies(), [running?.pid]);
  assert.ok((load.answers.get('alpha') ?? 0) > 0 && (load.answers.get('beta') ?? 0) > 0, 'changes went live');
  assert.deepEqual(await generations(my), [running?.generation]);
  assert.deepEqual((await readdir(my.place.path('run'))).sort(), [
    'admin.sock',
    'admin.sock.kept',
    'haproxy.cfg',
    'myelin.sock',
    'state',
  ]);
  assert.equal(
    await my.place.read('run/haproxy.cfg'),
    await my.place.read(`run/state/g${running?.generation}/haproxy.cfg`),
    'the file is what serves',
  );
});

for (const [signal, how] of [
  ['SIGKILL', 'killed'],
  ['SIGTERM', 'stopped'],
] as const)
  test(`Myelin ${how} and started again recognises its HAProxy and reloads nothing; what changed meanwhile goes live`, async () => {
    await using my = await site();
    const first = await my.start();
    const load = my.load();
    const before = (await my.place.status()).haproxy;
    assert.ok(before !== null);

    first.kill(signal);
    assert.equal(await first.ended, signal === 'SIGKILL' ? signal : 0);
    assert.deepEqual(await my.place.haproxies(), [before.pid]);
    assert.equal(await ask(my.port), 'alpha');

    const second = my.place.run();
    const after = await second.until('it is ready again', ({ stateReasons }) => isApplied(stateReasons));
    assert.deepEqual(after.haproxy, before);
    assert.equal(after.lastApply, null);
    second.kill(signal);
    await second.ended;

    await my.serve('beta');
    const third = my.place.run();
    await load.answeredBy('beta');
    const { lastApply } = await third.until('it says so', (status) => status.lastApply !== null);
    assert.equal(lastApply?.result, 'runtime');
    assert.deepEqual((await my.place.status()).haproxy, before);
    await load.endsWithoutFailure();
  });

test('HAProxy killed serves again, from the newest state', async (t) => {
  await using my = await site({ reload: ['minInterval: 10m'] });
  const first = await my.start();
  await my.restructure();
  await first.until('the change waits for its turn', ({ pending }) => pending !== null);
  // On 2.2 a server that comes waits with it.
  const newest = cannotAddServers ? 'alpha' : 'beta';
  await my.serve(newest);
  await until('servers do not wait for it', async () => (await ask(my.port)) === newest);
  const replaced = await killed(t, my, newest);
  assert.ok((await my.place.read('run/haproxy.cfg')).includes(my.structure));
  await first.until('the reason is told', ({ lastApply }) => lastApply?.reasons[0]?.code === 'haproxy_exited');
  assert.match(first.output, /HAProxy exited unexpectedly/);

  // The same where it was started by an earlier Myelin, whose child it is no more.
  first.kill('SIGKILL');
  await first.ended;
  const second = my.place.run();
  const adopted = await second.until('it is adopted', ({ stateReasons }) => isApplied(stateReasons));
  assert.equal(adopted.haproxy?.pid, replaced);
  await killed(t, my, newest);
});

test('HAProxy killed while a service is quarantined serves again all that it served', async (t) => {
  await using my = await site();
  const other = await freePort();
  const config = (lines: string) => ({ services: [`other: { bind: "127.0.0.1:${other}", backend: [${lines}] }`] });
  await my.configure(config(''));
  await my.serve('alpha', 'other');
  const myelin = my.place.run();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  await my.configure(config('no-such-keyword'));
  await myelin.until('it is quarantined', ({ services }) => services.some(({ quarantined }) => quarantined !== null));
  await killed(t, my, 'alpha');
  assert.equal(await ask(other), 'alpha');
});

test('a second Myelin on the same state is refused, and names the first', async () => {
  await using my = await site();
  const first = await my.start();
  const before = await my.place.status();

  const same = await my.place.command('run');
  assert.equal(same.exitCode, 1);
  assert.match(same.stderr, /\[MYELIN_LOCKED\]\nwhat to do: /);

  const text = await my.place.read('myelin.yaml');
  await my.place.write('second.yaml', `${text}admin: { socket: run/second.sock }\n`);
  const second = await my.place.command('run', '-c', 'second.yaml');
  assert.equal(second.exitCode, 1);
  assert.match(
    second.stderr,
    new RegExp(
      `^error: the state folder ${my.place.path('run/state')} is in use by another Myelin \\(pid ${first.pid}\\) \\[MYELIN_LOCKED\\]\nwhat to do: `,
    ),
  );
  assert.deepEqual((await my.place.status()).haproxy, before.haproxy);
});

test('while a foreign HAProxy holds the port nothing is started; once it is gone, service begins', async () => {
  await using my = await site();
  await using foreign = await startForeign(my.port);
  await my.serve('alpha');
  const myelin = my.place.run();
  const words = `port ${my.port} is held by ${await programOf(foreign.pid)} (pid ${foreign.pid})`;
  const { state } = await myelin.until('it is told', ({ lastApply }) => lastApply?.error?.includes(words) === true);
  assert.equal(state, 'starting');
  assert.ok(myelin.output.includes(words), myelin.output);
  assert.deepEqual(await my.place.haproxies(), []);
  assert.equal(await ask(my.port), 'foreign');
  await foreign[Symbol.asyncDispose]();
  await myelin.until('service begins', ({ stateReasons }) => isApplied(stateReasons), 40_000);
  assert.equal(await ask(my.port), 'alpha');
});

test('a replaced executable is brought into service by a reload without loss', async () => {
  await using my = await site({ haproxy: ['binary: bin/haproxy'] });
  const binary = my.place.path('bin/haproxy');
  await mkdir(my.place.path('bin'));
  await copyFile(await haproxy(), binary);
  const myelin = await my.start();
  const load = my.load();
  const before = (await my.place.status()).haproxy?.pid;
  await copyFile(await haproxy(), `${binary}.new`);
  await rename(`${binary}.new`, binary);
  const { lastApply, haproxy: now } = await myelin.until(
    'it is reloaded',
    // The new process is in the status a moment before the apply is.
    (status) => status.haproxy?.pid !== before && status.lastApply?.reasons[0]?.code !== 'first_start',
  );
  assert.deepEqual(lastApply?.reasons, [{ code: 'binary_changed' }]);
  assert.ok((await readFile(`/proc/${now?.pid}/cmdline`, 'utf8')).split('\0').includes(binary));
  // An unpacked one is a script, of which the process keeps no trace but its name.
  const isScript = (await readFile(binary, 'latin1')).startsWith('#!');
  if (!isScript) assert.equal((await stat(`/proc/${now?.pid}/exe`)).ino, (await stat(binary)).ino);
  await myelin.until('the one before is gone', ({ haproxy: its }) => its?.oldWorkers.length === 0);
  await load.endsWithoutFailure();
});

test('an executable of another version is brought into service under load, and what it can do more is done', async () => {
  await using my = await site({ haproxy: ['binary: bin/haproxy'] });
  const binary = my.place.path('bin/haproxy');
  const use = async (branch: '2.2' | '2.6' | '3.0'): Promise<void> => {
    await symlink(await haproxy(branch), `${binary}.new`);
    await rename(`${binary}.new`, binary);
  };
  await mkdir(my.place.path('bin'));
  await use('2.2');
  const myelin = await my.start();
  const load = my.load();
  await my.serve('beta');
  await load.answeredBy('beta');
  const { lastApply } = await myelin.until(
    'it is told',
    (status) => status.lastApply?.reasons[0]?.code !== 'first_start',
  );
  assert.deepEqual([lastApply?.result, lastApply?.reasons[0]?.code], ['reload', 'capability_missing']);
  for (const [branch, name] of [
    ['2.6', 'gamma'],
    ['3.0', 'alpha'],
  ] as const) {
    await use(branch);
    await myelin.until('it serves', ({ haproxy: now }) => now?.version?.startsWith(`${branch}.`) === true);
    const { haproxy: before } = await myelin.until(
      'it is settled',
      (status) => status.lastApply?.reasons.some(({ code }) => code === 'binary_changed') === true,
    );
    await my.serve(name);
    await load.answeredBy(name);
    const after = await myelin.until('it is told', (status) => status.lastApply?.result === 'runtime');
    assert.equal(after.haproxy?.pid, before?.pid);
  }
  await load.endsWithoutFailure();
});

test('with onExit: stop, Myelin ends HAProxy when it is told to end, by SIGTERM as by the command', async () => {
  await using my = await site({ haproxy: ['onExit: stop', 'stopGrace: 5s'] });
  for (const how of ['SIGTERM', 'SIGINT', 'stop'] as const) {
    const myelin = await my.start();
    const { haproxy: running } = await my.place.status();
    assert.ok(running !== null);
    if (how === 'stop') assert.equal((await my.place.command('stop')).exitCode, 0);
    else myelin.kill(how);
    assert.equal(await myelin.ended, 0);
    await gone(running.pid);
    assert.deepEqual(await my.place.haproxies(), []);
    assert.equal(await accepts(my.port), false);
    assert.ok(!isRunning(myelin.pid));
  }
});

/** Servers and structure by turns, faster than HAProxy is reloaded, until it is disposed. */
function changing(my: Site): AsyncDisposable {
  const ended = new AbortController();
  const change = async (): Promise<void> => {
    for (let round = 0; !ended.signal.aborted; round++) {
      await my.serve(round % 2 === 0 ? 'beta' : 'alpha');
      if (round % 3 === 0) await my.restructure();
      await timers.setTimeout(30);
    }
  };
  const changed = change();
  return {
    async [Symbol.asyncDispose]() {
      ended.abort();
      await changed;
    },
  };
}

async function generations(my: Site): Promise<readonly number[]> {
  const names = await readdir(my.place.path('run/state'));
  return names.flatMap((name) => (/^g\d+$/.test(name) ? [Number(name.slice(1))] : []));
}

async function newestGeneration(my: Site): Promise<number> {
  return Math.max(0, ...(await generations(my)));
}

/** Kills HAProxy; the next answer must be `expected`, come soon, and be counted. Gives back the PID of the one that serves then. */
async function killed(t: TestContext, my: Site, expected: string): Promise<number> {
  const before = (await my.place.status()).haproxy?.pid;
  assert.ok(before !== undefined);
  const counted = async (): Promise<number> => {
    const text = await my.place.metrics();
    return Number(/^myelin_reloads_total\{reason="haproxy_exited",result="ok"\} (\d+)$/m.exec(text)?.[1] ?? 0);
  };
  const countedBefore = await counted();
  process.kill(before, 'SIGKILL');
  const killedAt = performance.now();
  await until('it is gone', () => !isRunning(before), { everyMs: 1 });
  const first = await until('it serves', () => ask(my.port), { everyMs: 5 });
  const tookMs = performance.now() - killedAt;
  assert.equal(first, expected);
  t.diagnostic(`it served again after ${Math.round(tookMs)} ms`);
  assert.ok(tookMs < 3000, `it served again after ${tookMs} ms`);
  const pid = await until('the status tells', async () => {
    const { haproxy: now } = await my.place.status();
    return now === null || now.pid === before ? null : now.pid;
  });
  await until('it is counted', async () => (await counted()) > countedBefore);
  assert.equal(await counted(), countedBefore + 1);
  return pid;
}

/** One that would share the port with any other that allows it. */
async function startForeign(port: number): Promise<AsyncDisposable & { readonly pid: number }> {
  await using started = new AsyncDisposableStack();
  const folder = started.use(await tempFolder());
  const config = join(folder.path, 'haproxy.cfg');
  const answer = 'http-request return status 200 content-type text/plain string foreign';
  await writeFile(
    config,
    `defaults\n mode http\n timeout client 9s\nfrontend f\n bind 127.0.0.1:${port}\n ${answer}\n`,
  );
  const child = spawn(await haproxy(), ['-db', '-f', config], { stdio: ['ignore', 'ignore', 'inherit'] });
  started.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await until('the foreign HAProxy answers', () => accepts(port));
  const kept = started.move();
  return { pid: child.pid ?? 0, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
