/** Endpoints come, go and come back in one HAProxy process: what leaves finishes, what stays notices nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { readInfo, readServersState } from '../../../src/haproxy/cli/info.ts';
import { ask as askHaproxy } from '../../../src/haproxy/cli/socket.ts';
import { noMaxconn } from '../../../src/haproxy/resources/servers/commands.ts';
import { type Backend, startNodeBackend } from '../../servers/backend.ts';
import { startEcho, startWebSocketEcho } from '../../servers/echo.ts';
import { cannotAddServers } from '../../servers/haproxy.ts';
import { ask, steadyLoad } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { openTcp, openWebSocket, type Session } from '../../support/load/session.ts';
import { ask as askSocket, type MyelinProcess, type Workplace, workplace } from '../../support/sites/myelin.ts';
import { site } from '../../support/sites/site.ts';

const only = { skip: cannotAddServers };
const inOneProcess = cannotAddServers ? 'with reloads' : 'in one process';

test(`a service scaled 1, 2, 5, 3, 1, 0, 1 has exactly the wanted servers at each step, ${inOneProcess}, and answers 503 only at 0`, async () => {
  await using world = await start();
  await using stack = new AsyncDisposableStack();
  const backends: Backend[] = [];
  for (let at = 0; at < 5; at++) backends.push(stack.use(await startNodeBackend(`b${at}`)));
  const pids = new Set<number | undefined>();
  for (const count of [1, 2, 5, 3, 1, 0, 1]) {
    const there = backends.slice(0, count);
    await world.serve(...there);
    const wanted = there.map(({ port }) => `127.0.0.1 ${port} 1`).sort();
    await until(`${count} servers`, async () => String(await world.servers()) === String(wanted));
    // Where it took a reload, the old process answers until it is gone.
    await until('one HAProxy is left', async () => (await world.place.status()).haproxy?.oldWorkers.length === 0);
    pids.add((await world.place.status()).haproxy?.pid);
    if (count === 0) await assert.rejects(ask(world.port), /status 503/);
    const answers = new Map<string, number>();
    for (let requests = 0; requests < 2 * count; requests++) {
      const name = await ask(world.port);
      answers.set(name, (answers.get(name) ?? 0) + 1);
    }
    assert.deepEqual(
      [...answers.keys()].sort(),
      there.map(({ name }) => name),
    );
    // In a process that has just begun the turns need not be even yet.
    if (!cannotAddServers)
      assert.ok(
        [...answers.values()].every((times) => times === 2),
        `${[...answers]}`,
      );
  }
  assert.equal(pids.size === 1, !cannotAddServers, `${pids.size} processes`);
  const { lastApply } = await world.place.status();
  assert.equal(lastApply?.result, 'runtime');
});

test('how many connections a server gets at once changes while HAProxy runs, without a reload', only, async () => {
  await using my = await site({ web: ['server: { maxconn: 50 }'] });
  await my.start();
  const { haproxy: before } = await my.place.status();
  const takes = async (): Promise<string | undefined> => {
    const [header = '', row = ''] = (await askHaproxy(my.place.path('run/admin.sock'), ['show stat web 4 -1'])).split(
      '\n',
    );
    return row.split(',')[header.split(',').indexOf('slim')];
  };
  assert.equal(await takes(), '50');
  await using load = my.load();
  for (const [server, slim] of [
    ['server: { maxconn: 60 }', '60'],
    ['', `${noMaxconn}`],
    ['server: { maxconn: 7 }', '7'],
  ] as const) {
    await my.configure({ web: server === '' ? [] : [server] });
    await until(`${slim} at once`, async () => (await takes()) === slim);
    await until('the file has it too', async () => {
      const file = await my.place.read(`run/state/g${before?.generation}/haproxy.cfg`);
      return slim === `${noMaxconn}` ? !/^ *server .*maxconn/m.test(file) : file.includes(` maxconn ${slim}\n`);
    });
  }
  const { haproxy, lastApply } = await my.place.status();
  assert.deepEqual([haproxy?.pid, haproxy?.drift, lastApply?.result], [before?.pid, [], 'runtime']);
  await load.endsWithoutFailure();
});

test(
  'a request under way at a server that is removed is answered; the server is deleted once it is idle',
  only,
  async () => {
    await using world = await start();
    const held = Promise.withResolvers<string>();
    await using slow = await startNodeBackend('slow', { answer: () => held.promise });
    await using other = await startNodeBackend('other');
    await world.serve(slow);
    await until('it is there', async () => (await world.servers()).length === 1);
    const asked = ask(world.port);
    await until('it has the request', () => slow.requests.length === 1);
    await world.serve(other);
    await until('the other serves', async () => String(await world.servers()) === `127.0.0.1 ${other.port} 1`);
    const { haproxy: before } = await world.place.status();
    assert.deepEqual(await world.leaving(), [`127.0.0.1 ${slow.port}`]);
    for (let requests = 0; requests < 10; requests++) assert.equal(await ask(world.port), 'other');
    assert.equal(slow.requests.length, 1, 'it gets no new ones');
    held.resolve('done');
    assert.equal(await asked, 'done');
    await until('it is deleted', async () => (await world.leaving()).length === 0);
    assert.deepEqual((await world.place.status()).haproxy, before);
  },
);

test('what a removed server still has after drainTimeout is closed, and counted', only, async () => {
  await using world = await start('drainTimeout: 2s');
  await using echo = await startEcho();
  await using other = await startEcho();
  await world.serveTcp(echo.port);
  await using session = await world.openTcp();
  const removedAfter = performance.now();
  await world.serveTcp(other.port);
  assert.equal(await session.echo('still here'), 'still here');
  let closedAfterMs = 0;
  void session.closed.then(() => {
    closedAfterMs = performance.now() - removedAfter;
  });
  await until('it is closed', () => closedAfterMs > 0, { withinMs: 6000 });
  assert.ok(closedAfterMs >= 2000 && closedAfterMs < 6000, `closed after ${closedAfterMs} ms`);
  await until(
    'it is counted',
    async () => (await world.metric('myelin_connections_closed_total{limit="drain_timeout"}')) === 1,
  );
  await until('it is deleted', async () => (await world.leaving()).length === 0);
});

test('where programs check the servers, a new one comes by a reload: HAProxy dies of `add server` there', async () => {
  await using my = await site({
    haproxy: ['global: [external-check, insecure-fork-wanted]'],
    web: [
      'check: { type: none }',
      'backend: [option external-check, external-check command /bin/true, external-check path /bin]',
      'server: { options: "check inter 100ms" }',
    ],
  });
  const myelin = await my.start();
  const { haproxy: first } = await my.place.status();
  const addresses = Object.values(my.backends).map(({ port }) => `"127.0.0.1:${port}"`);
  await my.place.write('services.yaml', `services: { web: [${addresses.join(', ')}] }\n`);
  const { lastApply, haproxy: second } = await myelin.until(
    'another serves',
    ({ haproxy }) => haproxy?.pid !== first?.pid && haproxy?.pid !== undefined,
  );
  assert.equal(lastApply?.result, 'reload');
  assert.equal(second?.generation, (first?.generation ?? 0) + 1);
  assert.doesNotMatch(myelin.output, /HAProxy exited|told to stop/);
  const answers = new Set<string>();
  await until('all of them answer', async () => answers.add(await ask(my.port)).size === 3);
});

test('a server whose name comes back while it leaves serves again, and keeps its connections', only, async () => {
  await using world = await start();
  await using echo = await startEcho();
  await using other = await startEcho();
  await world.serveTcp(echo.port);
  await using session = await world.openTcp();
  const { haproxy: before } = await world.place.status();
  for (let round = 0; round < 5; round++) {
    await world.serveTcp(other.port);
    await until('it leaves', async () => String(await world.leaving()) === `127.0.0.1 ${echo.port}`);
    await world.serveTcp(echo.port);
    await until('it is back', async () => String(await world.servers('tcp')) === `127.0.0.1 ${echo.port} 1`);
    assert.equal(await session.echo(`${round}`), `${round}`);
  }
  await using another = await world.openTcp();
  assert.equal(await another.echo('new'), 'new');
  assert.deepEqual((await world.place.status()).haproxy, before);
});

for (const end of ['SIGTERM', 'SIGKILL'] as const)
  test(
    `a server that still leaves comes back without a reload after a restart of Myelin as well (${end})`,
    only,
    async () => {
      await using world = await start('file: { maxLag: 100ms }');
      await using echo = await startEcho();
      await using other = await startEcho();
      await world.serveTcp(echo.port);
      await using session = await world.openTcp();
      const { haproxy: before } = await world.place.status();
      await world.serveTcp(other.port);
      await until('it leaves', async () => String(await world.leaving()) === `127.0.0.1 ${echo.port}`);
      const record = `run/state/g${before?.generation}/leaving`;
      await until('that is on disk', async () =>
        /"backend":"tcp"/.test(await world.place.read(record).catch(() => '')),
      );
      world.myelin.kill(end);
      await world.myelin.ended;
      const again = world.place.run();
      await again.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
      await world.serveTcp(echo.port);
      assert.equal(await session.echo('kept'), 'kept');
      const { haproxy: after } = await world.place.status();
      assert.deepEqual([after?.pid, after?.generation], [before?.pid, before?.generation]);
    },
  );

test(
  'a WebSocket, a TCP session and a half-sent request opened before each of 30 changes are not closed, and one process serves all',
  only,
  async () => {
    await using world = await start();
    await using stack = new AsyncDisposableStack();
    const echoes = [stack.use(await startEcho()), stack.use(await startEcho())];
    const sockets = [stack.use(await startWebSocketEcho()), stack.use(await startWebSocketEcho())];
    await using kept = await startNodeBackend('kept');
    await world.serveAll({ web: [kept.port], tcp: [echoes[0]?.port ?? 0], ws: [sockets[0]?.port ?? 0] });
    await until('all serve', async () => (await world.servers('ws')).length === 1);
    const { haproxy: before } = await world.place.status();
    const sessions: Session[] = [];
    const halves: HalfSent[] = [];
    for (let change = 1; change <= 30; change++) {
      sessions.push(stack.use(await world.openTcp()), stack.use(await openWebSocket(world.wsPort)));
      halves.push(stack.use(await halfSent(world.port)));
      const [tcp, ws] = [echoes[change % 2]?.port ?? 0, sockets[change % 2]?.port ?? 0];
      await world.serveAll({ web: [kept.port], tcp: [tcp], ws: [ws] });
      await until('the change is live', async () => {
        const now = await world.servers('tcp');
        return String(now) === `127.0.0.1 ${tcp} 1` && String(await world.servers('ws')) === `127.0.0.1 ${ws} 1`;
      });
    }
    for (const [at, session] of sessions.entries()) assert.equal(await session.echo(`${at}`), `${at}`);
    for (const half of halves) assert.equal(await half.finish(), 'kept');
    const { haproxy: after } = await world.place.status();
    assert.deepEqual(after, before);
    assert.deepEqual(await world.place.haproxies(), [before?.pid]);
  },
);

test('a kept connection to a process that leaves is not sent to an endpoint that was removed since', only, async () => {
  await using world = await start();
  await using first = await startNodeBackend('first');
  await using second = await startNodeBackend('second');
  await using echo = await startEcho();
  await world.serveAll({ web: [first.port], tcp: [echo.port], ws: [] });
  await until('it serves', async () => (await ask(world.port)) === 'first');
  const { haproxy: before } = await world.place.status();
  // Keeps the old process alive; the half-sent request belongs to it too.
  await using session = await world.openTcp();
  await using half = await halfSent(world.port);
  await until('it has both', async () => (await connections(before?.socket ?? '')) >= 2);
  await world.place.reload();
  await world.myelin.until('the old one leaves', ({ haproxy }) => haproxy?.oldWorkers.length === 1);
  await world.serveAll({ web: [second.port], tcp: [echo.port], ws: [] });
  await until('the change is live', async () => (await ask(world.port)) === 'second');
  // The one that serves is told first.
  await until('it is in the old process', async () => {
    const { rows } = await readServersState(before?.socket ?? '');
    return rows.some((row) => row.srv_port === `${first.port}` && row.srv_admin_state === '1');
  });
  const asked = first.requests.length;
  assert.equal(await half.finish(), 'second');
  assert.equal(first.requests.length, asked);
  assert.equal(await session.echo('here'), 'here');
});

test('a server that an operator took out stays out through changes, a reload and a restart, until it is given back', async () => {
  await using world = await start();
  await using first = await startNodeBackend('first');
  await using second = await startNodeBackend('second');
  await world.serve(first, second);
  await until('both serve', async () => (await world.servers()).length === 2);
  const name = `127.0.0.1:${first.port}`;
  const isOut = async (): Promise<void> => {
    for (let requests = 0; requests < 6; requests++) assert.equal(await ask(world.port), 'second');
  };
  const ordered = await world.place.command('server', 'maint', `web/${name}`);
  assert.equal(ordered.exitCode, 0, ordered.stderr);
  await isOut();
  // Not for a moment either, while what serves and what is there changes.
  const askedBefore = first.requests.length;
  await using load = steadyLoad(world.port);
  await world.place.reload();
  await isOut();
  const isInFile = async (): Promise<boolean> => (await world.place.read('run/haproxy.cfg')).includes(name);
  await world.serve(second);
  await until('it has gone', async () => !(await isInFile()));
  await world.serve(first, second);
  await until('it has come back', isInFile);
  await isOut();
  world.myelin.kill('SIGTERM');
  await world.myelin.ended;
  const again = world.place.run();
  const { orders } = await again.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  assert.deepEqual(
    orders.map(({ backend, server, state, until }) => ({ backend, server, state, until })),
    [{ backend: 'web', server: name, state: 'maint', until: null }],
  );
  await isOut();
  await load.endsWithoutFailure();
  assert.equal(first.requests.length, askedBefore);
  assert.match((await world.place.command('status')).stdout, new RegExp(`override +web/${name} maint`));
  assert.equal((await world.place.command('server', 'ready', `web/${name}`)).exitCode, 0);
  await until('it serves again', async () => (await ask(world.port)) === 'first');

  const { exitCode, stderr } = await world.place.command('server', 'drain', 'web/nobody');
  assert.equal(exitCode, 2);
  assert.match(stderr, /web has no server nobody/);
  assert.equal((await world.place.command('server', 'drain', `web/${name}`, '--for', '3s')).exitCode, 0);
  await isOut();
  await until('its time is over', async () => (await ask(world.port)) === 'first');
});

type HalfSent = AsyncDisposable & {
  /** Sends the rest; the body of the answer. */
  finish(): Promise<string>;
};

type World = AsyncDisposable & {
  readonly place: Workplace;
  readonly myelin: MyelinProcess;
  readonly port: number;
  readonly wsPort: number;
  /** Who serves `web`; `tcp` and `ws` have nobody then. */
  serve(...backends: readonly Backend[]): Promise<void>;
  serveTcp(port: number): Promise<void>;
  serveAll(ports: Readonly<Record<'web' | 'tcp' | 'ws', readonly number[]>>): Promise<void>;
  openTcp(): Promise<Session>;
  /** `address port weight` of each server of the backend that serves; of those on their way out `address port`. */
  servers(backend?: string): Promise<readonly string[]>;
  leaving(): Promise<readonly string[]>;
  metric(name: string): Promise<number>;
};

async function start(...rest: readonly string[]): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const [port, tcpPort, wsPort] = [await freePort(), await freePort(), await freePort()];
  const config = [
    'watchers: { file: { path: services.yaml, maxShrink: { share: 1 } } }',
    'services:',
    // A half-sent request may take as long as the test does.
    `  web: { bind: "127.0.0.1:${port}", check: { type: none }, onEmpty: accept, timeouts: { httpRequest: 5m } }`,
    `  tcp: { bind: "127.0.0.1:${tcpPort}", mode: tcp, check: { type: none } }`,
    `  ws: { bind: "127.0.0.1:${wsPort}", check: { type: none } }`,
    'haproxy: { log: none }',
    'reload: { minInterval: 0ms }',
    'probes: { listen: "off" }',
    ...rest,
  ];
  const place = stack.use(await workplace(`${config.join('\n')}\n`));
  const serveAll: World['serveAll'] = (ports) => {
    const services = Object.entries(ports).map(([name, list]) => [name, list.map((each) => `127.0.0.1:${each}`)]);
    return place.write('services.yaml', JSON.stringify({ services: Object.fromEntries(services) }));
  };
  await serveAll({ web: [], tcp: [], ws: [] });
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const rows = async (backend: string) => {
    const state = await readServersState(place.path('run/admin.sock'));
    return state.rows.filter((row) => row.be_name === backend);
  };
  const servers: World['servers'] = async (backend = 'web') =>
    (await rows(backend))
      .filter((row) => row.srv_admin_state === '0')
      .map((row) => `${row.srv_addr} ${row.srv_port} ${row.srv_uweight}`)
      .sort();
  const kept = stack.move();
  return {
    place,
    myelin,
    port,
    wsPort,
    serve: (...backends) => serveAll({ web: backends.map((each) => each.port), tcp: [], ws: [] }),
    async serveTcp(tcp) {
      await serveAll({ web: [], tcp: [tcp], ws: [] });
      const wanted = `127.0.0.1 ${tcp} 1`;
      await until('it is live', async () => String(await servers('tcp')) === wanted);
    },
    serveAll,
    openTcp: () => openTcp(tcpPort),
    servers,
    async leaving() {
      const all = (await Promise.all(['web', 'tcp', 'ws'].map(rows))).flat();
      return all.filter((row) => row.srv_admin_state === '1').map((row) => `${row.srv_addr} ${row.srv_port}`);
    },
    async metric(name) {
      const text = await askSocket(place.path('run/myelin.sock'), 'GET', '/metrics');
      return Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')[1],
      );
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A request whose last line is not there yet: no server has it. */
async function halfSent(port: number): Promise<HalfSent> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8');
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n');
  let answer = '';
  socket.on('data', (chunk: string) => {
    answer += chunk;
  });
  const ended = once(socket, 'close');
  return {
    async finish() {
      socket.write('\r\n');
      await ended;
      return answer.split('\r\n\r\n')[1] ?? '';
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await ended;
    },
  };
}

async function connections(socket: string): Promise<number> {
  return (await readInfo(socket)).currConns;
}
