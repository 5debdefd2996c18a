/** What operators see and order: servers taken out by name, what happens as it happens, and a status that follows it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { delimiter } from 'node:path/posix';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { followEvents } from '../../../src/http/client.ts';
import type { Event } from '../../../src/report/events.ts';
import type { Status } from '../../../src/report/status.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { until } from '../../support/index.ts';
import { onTerminal } from '../../support/machine/terminal.ts';
import { cli } from '../../support/sites/cli.ts';
import { ask as askSocket } from '../../support/sites/myelin.ts';
import { type Site, site } from '../../support/sites/site.ts';

test('an order answers what it means, for people and as JSON, and says what to do where it cannot be', async () => {
  await using my = await site();
  const { place, backends } = my;
  const name = 'rack-1:alpha.example';
  const endpoints = [
    `{ id: "${name}", address: 127.0.0.1, port: ${backends.alpha.port} }`,
    `{ id: beta, address: 127.0.0.1, port: ${backends.beta.port} }`,
  ];
  await place.write('services.yaml', `services: { web: [${endpoints.join(', ')}] }\n`);
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const server = (...args: readonly string[]) => place.command('server', ...args);

  const drained = await server('drain', `web/${name}`, '--for', '30m');
  assert.equal(drained.exitCode, 0, drained.stderr);
  assert.equal(
    drained.stdout,
    `web/${name} finishes what it has and gets nothing new for another 30m; \`myelin server ready web/${name}\` gives it back\n`,
  );
  for (let requests = 0; requests < 4; requests++) assert.equal(await ask(my.port), 'beta');
  const before = Date.now();
  const asJson = JSON.parse((await server('maint', `web/${name}`, '--for', '90s', '--json')).stdout) as {
    until: number;
  };
  assert.deepEqual(asJson, { service: 'web', server: name, state: 'maint', until: asJson.until });
  assert.ok(asJson.until >= before + 90_000 && asJson.until <= Date.now() + 90_000);
  assert.equal((await place.status()).orders.length, 1, 'a newer order replaces the older one');
  assert.match((await server('ready', `web/${name}`)).stdout, /^web\/rack-1:alpha\.example serves again/);
  await until('it serves again', async () => (await ask(my.port)) === 'alpha');
  assert.deepEqual((await place.status()).orders, []);

  for (const [args, words] of [
    [['maint', 'shop/beta'], /^error: there is no service shop \[MYELIN_USAGE\]\nwhat to do: the services are web\n$/],
    [['maint', 'web/gamma'], /web has no server gamma.*\nwhat to do: its servers are /],
    [['maint', 'web/a%20b/c'], /web has no server a%20b\/c/],
    [['maint', 'web'], /web is not SERVICE\/NAME/],
    [['maint', 'web/beta', '--for', 'long'], /--for: expected a duration such as 250ms/],
    [['maint', 'web/beta', '--for', '0s'], /--for: expected more than 0ms/],
    [['ready', 'web/beta', '--for', '1m'], /given back for good/],
    [['stopped', 'web/beta'], /Allowed choices are maint, drain, ready/],
  ] as const) {
    const { exitCode, stdout, stderr } = await server(...args);
    assert.deepEqual([exitCode, stdout], [2, ''], stderr);
    assert.match(stderr, words);
  }
});

test('a reload that is asked for before there is anything to reload names what is waited for', async () => {
  await using my = await site();
  const myelin = my.place.run();
  await myelin.until('the source is missing', ({ waitingFor }) => waitingFor.length === 1);
  const { exitCode, stderr } = await my.place.command('reload');
  assert.equal(exitCode, 6);
  assert.match(stderr, /^error: there is nothing to reload yet: file has not answered \[MYELIN_SOURCE_TIMEOUT\]/);
});

test('orders given at once are all obeyed, and one about a server that has gone costs no reload', async () => {
  await using my = await site();
  const { place, backends } = my;
  const all = Object.entries(backends).map(([id, { port }]) => `{ id: ${id}, address: 127.0.0.1, port: ${port} }`);
  await place.write('services.yaml', `services: { web: [${all.join(', ')}] }\n`);
  const myelin = place.run();
  const { haproxy: first } = await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const order = (name: string): Promise<string> =>
    askSocket(place.path('run/myelin.sock'), 'POST', `/api/v1/servers/web/${name}/maint`);
  await Promise.all(['alpha', 'beta'].map(order));
  assert.equal((await place.status()).orders.length, 2);
  const isThere = async (): Promise<boolean> => (await place.read('run/haproxy.cfg')).includes('server gamma ');
  const remove = async (): Promise<void> => {
    await place.write('services.yaml', `services: { web: [${all[0]}, ${all[1]}] }\n`);
    await until('it is gone', async () => !(await isThere()));
  };
  assert.equal((await place.command('server', 'drain', 'web/gamma', '--for', '3s')).exitCode, 0);
  await remove();
  await until('its order is over', () => myelin.output.includes('time of a server override is over'));
  await place.write('services.yaml', `services: { web: [${all.join(', ')}] }\n`);
  await until('it is back', isThere);
  assert.equal((await place.command('server', 'maint', 'web/gamma')).exitCode, 0);
  await remove();
  const back = await place.command('server', 'ready', 'web/gamma');
  assert.equal(back.exitCode, 0, back.stderr);
  assert.equal((await place.command('server', 'ready', 'web/gamma')).exitCode, 2, 'there is nothing to give back');
  assert.equal((await place.command('server', 'ready', 'web/alpha')).exitCode, 0);
  await until('alpha serves', async () => (await ask(my.port)) === 'alpha');
  assert.deepEqual((await place.status()).haproxy?.pid, first?.pid, 'no reload');
});

test('the events tell what changed, what became of it and why, in this order', async () => {
  await using my = await site();
  await my.start();
  const stop = new AbortController();
  const events: Event[] = [];
  const following = (async () => {
    const { signal } = stop;
    for await (const event of followEvents(my.place.path('run/myelin.sock'), { lastId: null, signal }))
      events.push(event);
  })();
  const told = (what: string, satisfies: (event: Event) => boolean): Promise<Event> =>
    until(what, () => events.find(satisfies));
  await told('the start', ({ kind }) => kind === 'reload');
  assert.deepEqual(
    events.map(({ kind }) => kind).filter((kind) => kind !== 'trouble'),
    ['started', 'answered', 'synced', 'reload_started', 'reload'],
  );
  const started = events.at(-1);
  assert.ok(started?.kind === 'reload' && started.tookMs > 0);
  assert.deepEqual(started.reasons, [{ code: 'first_start' }]);

  events.length = 0;
  await my.serve('beta');
  const changed = await told('the change', ({ kind }) => kind === 'runtime');
  assert.ok(changed.kind === 'runtime' && changed.sinceChangeMs !== null && changed.commands > 0);
  assert.deepEqual(changed.backends, ['web']);
  assert.equal(events[0]?.kind, 'answered');

  await my.place.command('reload');
  await told('a reload', (event) => event.kind === 'reload' && event.reasons[0]?.code === 'operator_request');
  await told('the old one is gone', ({ kind }) => kind === 'old_worker_gone');
  const [server = ''] = /^ +server (\S+) /m.exec(await my.place.read('run/haproxy.cfg'))?.slice(1) ?? [];
  await my.place.command('server', 'drain', `web/${server}`, '--for', '1s');
  await told(
    'an order',
    (event) => event.kind === 'override_set' && event.server === server && event.state === 'drain',
  );
  await told('its end', (event) => event.kind === 'override_ended' && event.server === server);
  const good = await my.place.read('myelin.yaml');
  await my.place.write('myelin.yaml', good.replace('log: none', 'logg: none'));
  await told('a config that is refused', (event) => event.kind === 'config_refused' && event.reason.includes('logg'));
  await my.place.write('myelin.yaml', good.replace('bind:', 'backend: ["balance nonsense"]\n    bind:'));
  await told('a service quarantined', (event) => event.kind === 'quarantined' && event.services.includes('web'));
  await my.place.write('myelin.yaml', good);
  await told('the end of it', (event) => event.kind === 'quarantine_ended' && event.services.includes('web'));
  assert.deepEqual(
    [...events].sort((a, b) => a.at - b.at),
    events,
  );
  assert.ok(!events.some(({ kind }) => String(kind) === 'noop'));
  await my.place.command('stop');
  await following;
});

test('status --watch prints each new status to who is no terminal, one a line as JSON, and ends with 8 when Myelin goes', async () => {
  await using my = await site();
  const myelin = await my.start();
  await using people = await watching(my, 'status', '--watch');
  await using machine = await watching(my, 'status', '--watch', '--json');
  const lines = (): readonly Status[] =>
    machine.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Status);
  await until('both have begun', () => people.stdout.includes('services\n') && lines().length > 0);
  assert.equal(lines()[0]?.state, 'ready');
  await my.serve('beta');
  await until('people see it', () =>
    /^events\n[\s\S]*^ {2}\d+s ago +servers changed at runtime: in \d+ ms/m.test(people.stdout),
  );
  await until('machines see it, and what HAProxy says of it', () => {
    const { lastApply, services } = lines().at(-1) ?? {};
    return lastApply?.result === 'runtime' && services?.[0]?.health?.servers.up === 1;
  });
  await until('people see that too', () =>
    people.stdout.slice(people.stdout.lastIndexOf('services\n')).includes('HAProxy: 1 up\n'),
  );
  assert.doesNotMatch(people.stdout, /\x1b/);
  const [texts, count] = [people.stdout, lines().length];
  const seen = performance.now();
  await until('nothing has happened for a while', () => performance.now() - seen > 2500);
  assert.deepEqual([people.stdout, lines().length], [texts, count], 'what is the same is not printed again');
  myelin.kill('SIGTERM');
  assert.deepEqual(await Promise.all([people.ended, machine.ended]), [8, 8]);
  assert.match(people.stderr, /^error: no Myelin is running .*\[MYELIN_NOT_RUNNING\]\nwhat to do: /);
  assert.match(machine.stderr, /^\{"error":\{"code":"MYELIN_NOT_RUNNING",/);
  assert.equal((await my.place.command('status', '--watch')).exitCode, 8);
});

test('status --watch ends well when it is interrupted, when its reader has had enough, and notices a kill of Myelin', async () => {
  await using my = await site();
  const myelin = await my.start();
  await using interrupted = await watching(my, 'status', '--watch');
  await using unread = await watching(my, 'status', '--watch', '--json');
  await using left = await watching(my, 'status', '--watch');
  await until('all have begun', () => [interrupted, unread, left].every(({ stdout }) => stdout !== ''));
  interrupted.child.kill('SIGINT');
  assert.equal(await interrupted.ended, 0);
  unread.child.stdout?.destroy();
  await my.serve('beta');
  assert.equal(await unread.ended, 0);
  assert.equal(interrupted.stderr + unread.stderr, '');
  myelin.kill('SIGKILL');
  assert.equal(await left.ended, 8);
});

test('on a terminal status --watch draws on a page of its own, and leaves the terminal as it was', async () => {
  await using my = await site();
  await my.start();
  await using watch = await watchingOnTerminal(my);
  const [open, close] = ['\x1b[?1049h\x1b[?25l\x1b[?7l', '\x1b[?7h\x1b[?25h\x1b[?1049l'];
  await until('it is drawn', () => watch.stdout.includes('services'));
  assert.ok(watch.stdout.startsWith(open), JSON.stringify(watch.stdout));
  await my.serve('beta');
  await until('the change is drawn', () =>
    /servers changed at runtime: in/.test(stripVTControlCharacters(watch.stdout)),
  );
  const drawn = (): number => watch.stdout.split('\x1b[H').length;
  const before = drawn();
  await until('the ages are drawn anew', () => drawn() > before + 1);
  assert.ok(!watch.stdout.includes(close));
  // As Ctrl-C comes from a terminal.
  watch.child.stdin?.write('\x03');
  await watch.ended;
  assert.ok(watch.stdout.trimEnd().endsWith(close), JSON.stringify(watch.stdout.slice(-200)));
});

type Watching = AsyncDisposable & {
  readonly child: ChildProcess;
  stdout: string;
  stderr: string;
  readonly ended: Promise<number | null>;
};

/** A command that goes on until it ends by itself, or the test does. */
async function watching(my: Site, ...args: readonly string[]): Promise<Watching> {
  return started(my, process.execPath, [cli, ...args]);
}

async function watchingOnTerminal(my: Site): Promise<Watching> {
  return started(my, ...onTerminal([process.execPath, cli, 'status', '--watch']));
}

async function started({ place }: Site, program: string, args: readonly string[]): Promise<Watching> {
  const PATH = [dirname(await haproxy()), process.env.PATH].join(delimiter);
  const child = spawn(program, args, { cwd: place.folder, env: { ...process.env, PATH } });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const watch: Watching = {
    child,
    stdout: '',
    stderr: '',
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    watch.stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    watch.stderr += chunk;
  });
  return watch;
}
