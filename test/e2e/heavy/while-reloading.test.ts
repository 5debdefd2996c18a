/** What servers do does not wait for the structure: not while a reload waits for its turn, and not while it is under way. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { access, chmod, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { test } from 'node:test';
import { readServersState } from '../../../src/haproxy/cli/info.ts';
import type { Ms } from '../../../src/model.ts';
import { cannotAddServers, haproxy } from '../../servers/haproxy.ts';
import { ask, steadyLoad } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { builtInTemplate } from '../../support/load/controls.ts';
import { quantile } from '../../support/load/figures.ts';
import { ask as askSocket, type MyelinProcess } from '../../support/sites/myelin.ts';
import { type Site, site } from '../../support/sites/site.ts';

const only = { skip: cannotAddServers };

/** More with, say, `ROUNDS=200`. */
const rounds = Number(process.env.ROUNDS ?? 20);
/** Of what is to follow a reload at once. */
const soon = { withinMs: 1500 };

test(`a change that comes while a reload is under way is live in the new process, ${rounds} times in a row`, async () => {
  await using my = await site();
  const myelin = await my.start();
  const load = my.load();
  const names = ['beta', 'alpha'] as const;
  for (let round = 0; round < rounds; round++) {
    const name = names[round % 2] ?? 'alpha';
    const before = await my.place.status();
    // The end of the old process would have Myelin look again, whatever it has forgotten: it stays for the round.
    await using _ = await halfSent(my.port);
    // Until the new process has proved itself, in steps.
    await intoReload(my, myelin, (round % 40) * 4);
    await my.serve(name);
    await my.restructured();
    await until(`${name} answers`, async () => (await ask(my.port)) === name, soon);
    const after = await myelin.until(
      'it is done',
      ({ pending, stateReasons }) => pending === null && isApplied(stateReasons),
    );
    assert.notEqual(after.haproxy?.pid, before.haproxy?.pid);
    const port = my.backends[name].port;
    await until(`the new process has ${name} alone`, async () => String(await serving(my)) === `${port}`, soon);
    const { haproxy: now } = await my.place.status();
    assert.ok(
      now?.oldWorkers.some(({ pid }) => pid === before.haproxy?.pid),
      'the old process is still there',
    );
  }
  await load.endsWithoutFailure();
});

test(
  'while the structure changes ten times a second, reloads keep their distance and servers do not wait',
  only,
  async (t) => {
    const minIntervalMs = 2000;
    const port = await freePort();
    await using my = await site({
      services: [`other: { bind: "127.0.0.1:${port}" }`],
      reload: [`minInterval: ${minIntervalMs}ms`],
      rest: ['templates: templates'],
    });
    const { place, backends } = my;
    const versioned = '{{#each servers}}    http-response set-header x-version {{logFormat meta.version}}\n{{/each}}';
    await place.write('templates/frontend.hbs', `${builtInTemplate('frontend').trimEnd()}\n${versioned}\n`);
    // Through the source, which is noticed at once: the config is looked at once a second.
    const publish = (version: number, name: 'alpha' | 'beta'): Promise<void> => {
      const server = (by: 'alpha' | 'beta' | 'gamma', its: string): object => {
        return { id: by, address: '127.0.0.1', port: backends[by].port, meta: { version: its } };
      };
      const services = { web: [server(name, 'always')], other: [server('gamma', `${version}`)] };
      return place.write('services.yaml', JSON.stringify({ services }));
    };
    let version = 0;
    await publish(version, 'alpha');
    const myelin = place.run();
    await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
    const load = my.load();
    const names = ['beta', 'alpha'] as const;
    /** 100 steps in ten seconds, with a change of servers at every fifth: how long each took until its first answer. */
    const serverChanges = async (structure: 'kept' | 'changed'): Promise<readonly number[]> => {
      const waits: number[] = [];
      for (let step = 0; step < 100; step++) {
        const startedAt = performance.now();
        const name = names[Math.floor(step / 5) % 2] ?? 'alpha';
        if (structure === 'changed') version += 1;
        await publish(version, name);
        if (step % 5 === 0) {
          await until(`${name} answers`, async () => (await ask(my.port)) === name, { everyMs: 1 });
          waits.push(performance.now() - startedAt);
        }
        await until('a tenth of a second has passed', () => performance.now() - startedAt >= 100, { everyMs: 5 });
      }
      return waits;
    };
    const reloads = async (): Promise<number> => (await place.status()).haproxy?.generation ?? 0;
    const looks = async (): Promise<number> => {
      const text = await place.metrics();
      return Number(/^myelin_render_seconds_count (\d+)$/m.exec(text)?.[1]);
    };

    const alone = await serverChanges('kept');
    const before = await reloads();
    assert.equal(before, 1, 'servers change without a reload');
    const looksBefore = await looks();
    const startedAt = performance.now();
    const meanwhile = await serverChanges('changed');
    const count = (await reloads()) - before;
    const tookMs = performance.now() - startedAt;
    const told = (waits: readonly number[]): string =>
      `p50 ${quantile(waits, 0.5).toFixed()} ms, p90 ${quantile(waits, 0.9).toFixed()} ms, at most ${Math.max(...waits).toFixed()} ms`;
    const seen = (await looks()) - looksBefore;
    t.diagnostic(`${count} reloads and ${seen} looks at ${version} versions in ${(tookMs / 1000).toFixed(1)} s`);
    t.diagnostic(`servers changed within ${told(meanwhile)}; without changes of structure ${told(alone)}`);
    assert.ok(version >= 90, `${version} versions`);
    assert.ok(seen >= version / 2, `${seen} looks at ${version} versions`);
    // The first may come at once; that is six in the ten seconds that it takes where the machine keeps up.
    assert.ok(count >= 2 && count <= 1 + Math.floor(tookMs / minIntervalMs), `${count} reloads in ${tookMs} ms`);
    const delayMs = quantile(meanwhile, 0.5) - quantile(alone, 0.5);
    assert.ok(delayMs <= 50, `servers changed ${delayMs} ms later than without changes of structure`);
    // Far below the distance of reloads, which is what one that waits would take.
    assert.ok(quantile(meanwhile, 0.9) <= 500, told(meanwhile));
    await until(
      'the last version is live',
      async () => (await fetch(`http://127.0.0.1:${port}`)).headers.get('x-version') === `${version}`,
    );
    await myelin.until('nothing is left to do', ({ pending }) => pending === null);
    await load.endsWithoutFailure();
  },
);

test('servers change in the process that serves while HAProxy still checks the file of a reload', only, async () => {
  await using my = await site({ haproxy: ['binary: ./slow'] });
  const { place } = my;
  const [isChecking, isHeld] = [place.path('checking'), place.path('held')];
  const script = [
    '#!/bin/sh',
    'for each; do',
    `  if [ "$each" = -c ] && [ -e '${isHeld}' ]; then`,
    `    : > '${isChecking}'`,
    `    while [ -e '${isHeld}' ]; do sleep 0.05; done`,
    '  fi',
    'done',
    `exec '${await haproxy()}' "$@"`,
  ];
  await place.write('slow', `${script.join('\n')}\n`);
  await chmod(place.path('slow'), 0o755);
  const myelin = await my.start();
  const load = my.load();
  const { haproxy: before } = await place.status();
  await place.write('held', '');
  await my.restructure();
  await until('the check is under way', () => access(isChecking).then(() => true));
  await my.serve('beta');
  await until('the change is live', async () => (await ask(my.port)) === 'beta', { withinMs: 1000 });
  assert.deepEqual((await place.status()).haproxy, before);
  assert.deepEqual(await serving(my), [`${my.backends.beta.port}`]);
  await rm(isHeld);
  await my.restructured();
  const after = await myelin.until(
    'it is done',
    ({ pending, stateReasons }) => pending === null && isApplied(stateReasons),
  );
  assert.notEqual(after.haproxy?.pid, before?.pid);
  await until(
    'it is live in the new process',
    async () => String(await serving(my)) === `${my.backends.beta.port}`,
    soon,
  );
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
    await myelin.until('it is done', ({ pending, stateReasons }) => pending === null && isApplied(stateReasons));
    const port = `${backends.beta.port}`;
    await until(`beta is ${state}`, async () => (await serving(my)).includes(port) === (state === 'ready'), {
      withinMs: 2000,
    });
  }
});

test(
  'servers of a service whose new structure HAProxy refuses change all the same, and those of the others',
  only,
  async () => {
    const other = await freePort();
    const config = (lines: string) => ({ services: [`other: { bind: "127.0.0.1:${other}", backend: [${lines}] }`] });
    await using my = await site(config(''));
    await my.serve('alpha', 'other');
    const myelin = my.place.run();
    await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
    const { haproxy: before } = await my.place.status();
    await using load = steadyLoad(other);
    await my.configure(config('"no-such-keyword"'));
    await myelin.until('it is quarantined', ({ services }) => services.some(({ quarantined }) => quarantined !== null));
    await my.serve('beta', 'other');
    await until('the others change', async () => (await ask(my.port)) === 'beta', soon);
    await until('it changes too', async () => (await ask(other)) === 'beta', soon);
    // The one at once, and one after a while: neither may bring back the servers that have gone.
    const attempts = async (): Promise<number> => {
      const text = await my.place.metrics();
      return Number(/^myelin_updates_total\{result="noop"\} (\d+)$/m.exec(text)?.[1]);
    };
    const attemptsBefore = await attempts();
    const answers = new Set<string>();
    await until('its structure was refused twice more', async () => {
      answers.add(await ask(other));
      return (await attempts()) >= attemptsBefore + 2;
    });
    assert.deepEqual([...answers, await ask(other)], ['beta', 'beta']);
    const { haproxy: now, services } = await my.place.status();
    assert.equal(now?.pid, before?.pid);
    assert.ok(services.some(({ quarantined }) => quarantined !== null));
    await my.configure(config(''));
    await myelin.until('it is released', (status) => status.services.every(({ quarantined }) => quarantined === null));
    assert.equal(await ask(other), 'beta');
    await load.endsWithoutFailure();
  },
);

/** Changes the structure; `ms` after the config was seen the reload that this takes is under way, if it has not ended. */
async function intoReload(my: Site, myelin: MyelinProcess, ms: Ms): Promise<void> {
  const timesSeen = (): number => myelin.output.split('config and templates read again').length;
  const before = timesSeen();
  await my.restructure();
  await until('the config is seen', () => timesSeen() > before, { everyMs: 1 });
  const seenAt = performance.now();
  await until('some of the reload has passed', () => performance.now() - seenAt >= ms, { everyMs: 1 });
}

/** The ports of the servers that serve `web`. */
async function serving(my: Site): Promise<readonly string[]> {
  // One bit says that a server is out; others may say that its line did so when HAProxy was started.
  const isOut = (state: string | undefined): boolean => (Number(state) & 1) === 1;
  const { haproxy } = await my.place.status();
  const { rows } = await readServersState(haproxy?.socket ?? '');
  return rows
    .filter((row) => row.be_name === 'web' && !isOut(row.srv_admin_state))
    .map((row) => row.srv_port ?? '')
    .sort();
}

/** Held by the process that serves now until it is disposed: a request whose last line is not there yet. */
async function halfSent(port: number): Promise<AsyncDisposable> {
  const socket = connect(port, '127.0.0.1');
  const ended = once(socket, 'close');
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nhost: here\r\n');
  // What is taken after it was answered: so it was taken.
  await ask(port);
  return {
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await ended;
    },
  };
}
