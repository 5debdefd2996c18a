/** TCP sessions and WebSockets outlive reloads: until `hardStopAfter`, not sooner, or until there are more than `maxOldWorkers`. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { startEcho, startWebSocketEcho } from '../../servers/echo.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { openTcp, openWebSocket, type Session } from '../../support/load/session.ts';
import { type MyelinProcess, type Workplace, workplace } from '../../support/sites/myelin.ts';

/** As many as you like: `CHANGES=30 MAX_DELAY=2s`. */
const structuralChanges = Number(process.env.CHANGES ?? 12);
const maxDelay = process.env.MAX_DELAY ?? '300ms';

test('a TCP session and a WebSocket stay open over 10 reloads, until hardStopAfter', async () => {
  await using world = await start(['hardStopAfter: 8s']);
  const { place } = world;
  await using tcp = await openTcp(world.tcpPort);
  await using webSocket = await openWebSocket(world.webPort);
  const sessions = [tcp, webSocket];
  const openedAt = (await place.status()).haproxy?.pid;
  const dismissedAfter = performance.now();
  await place.reload();
  const dismissedBefore = performance.now();
  for (let reload = 2; reload <= 10; reload++) {
    await place.reload();
    for (const session of sessions) assert.equal(await session.echo(`reload ${reload}`), `reload ${reload}`);
  }
  await world.myelin.until('only the process that they go through is left of the old ones', ({ haproxy }) => {
    const [old, ...others] = haproxy?.oldWorkers ?? [];
    return others.length === 0 && old?.pid === openedAt && old?.connections === 2;
  });
  assert.ok(performance.now() - dismissedBefore < 8000, `ten reloads took ${performance.now() - dismissedBefore} ms`);

  let echoes = 0;
  let closedAt = 0;
  void Promise.race(sessions.map(({ closed }) => closed)).then(() => {
    closedAt = performance.now();
  });
  await until(
    'they are closed',
    async () => {
      if (closedAt > 0) return true;
      await Promise.all(sessions.map((session) => Promise.race([session.echo(`${++echoes}`), session.closed])));
      return false;
    },
    { withinMs: 20_000, everyMs: 50 },
  );
  assert.ok(closedAt - dismissedAfter >= 7900, `closed after ${closedAt - dismissedAfter} ms`);
  assert.ok(closedAt - dismissedBefore < 12_000, `closed after ${closedAt - dismissedBefore} ms`);
  await Promise.all(sessions.map(closes));
  await until('they are counted', async () => (await world.closed('hard_stop_after')) === 2);
  assert.deepEqual([await world.closed('max_old_workers'), await world.closed('stop_grace')], [0, 0]);
});

test('there are never more old processes than maxOldWorkers: a reload waits, then the oldest one’s sessions are closed and counted', async () => {
  await using world = await start(['maxOldWorkers: 2', 'maxDelay: 1s']);
  const { place } = world;
  await using first = await openTcp(world.tcpPort);
  await place.reload();
  await using second = await openTcp(world.tcpPort);
  await place.reload();
  await using third = await openTcp(world.tcpPort);
  assert.equal(await oldWorkers(place), 2);
  const askedAt = performance.now();
  const reloading = place.reload();
  await world.myelin.until('the reload waits', ({ pending }) => pending !== null);
  assert.equal(await first.echo('still here'), 'still here');
  await reloading;
  assert.ok(performance.now() - askedAt >= 1000, 'it waited for maxDelay');
  await closes(first);
  for (const session of [second, third]) assert.equal(await session.echo('here'), 'here');
  assert.equal(await oldWorkers(place), 2);
  assert.equal(await world.closed('max_old_workers'), 1);

  // One that goes by itself makes room at once.
  await second[Symbol.asyncDispose]();
  await until('its process is gone', async () => (await oldWorkers(place)) === 1);
  await place.reload();
  assert.equal(await third.echo('here'), 'here');
  assert.equal(await world.closed('max_old_workers'), 1);
});

test('with a session opened before each of many changes of structure, no more processes run than maxOldWorkers, the one that serves and the one that starts, and each session that a limit closed is counted', async (t) => {
  await using world = await start(['hardStopAfter: 20s', `maxDelay: ${maxDelay}`]);
  await using sessions = new AsyncDisposableStack();
  let open = 0;
  let most = 0;
  const ended = new AbortController();
  const counting = (async (): Promise<void> => {
    while (!ended.signal.aborted) most = Math.max(most, await processes(world.place));
  })();
  for (let change = 0; change < structuralChanges; change++) {
    for (const opened of [await openTcp(world.tcpPort), await openWebSocket(world.webPort)]) {
      sessions.use(opened);
      open += 1;
      void opened.closed.then(() => (open -= 1));
    }
    await world.place.reload();
  }
  ended.abort();
  await counting;
  assert.ok(most <= 4 + 2, `${most} processes`);
  const closed = async (): Promise<number> =>
    (await world.closed('max_old_workers')) + (await world.closed('hard_stop_after'));
  await until('what is not open any more was counted', async () => (await closed()) === 2 * structuralChanges - open);
  assert.ok((await closed()) >= 2 * (structuralChanges - 4));
  t.diagnostic(
    `at most ${most} processes; ${await closed()} of ${2 * structuralChanges} sessions were closed by a limit`,
  );
});

type World = AsyncDisposable & {
  readonly place: Workplace;
  readonly myelin: MyelinProcess;
  readonly tcpPort: number;
  readonly webPort: number;
  /** `myelin_connections_closed_total` of that limit. */
  closed(limit: string): Promise<number>;
};

async function start(reload: readonly string[]): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const [tcp, web] = [stack.use(await startEcho()), stack.use(await startWebSocketEcho())];
  const [tcpPort, webPort, probes] = [await freePort(), await freePort(), await freePort()];
  const place = stack.use(
    await workplace(
      [
        'watchers: { file: { path: services.yaml } }',
        'services:',
        `  tcp: { bind: "127.0.0.1:${tcpPort}", mode: tcp }`,
        `  web: { bind: "127.0.0.1:${webPort}" }`,
        'haproxy: { log: none }',
        `probes: { listen: "127.0.0.1:${probes}" }`,
        'reload:',
        '  minInterval: 0ms',
        ...reload.map((line) => `  ${line}`),
        '',
      ].join('\n'),
    ),
  );
  const services = { tcp: [`127.0.0.1:${tcp.port}`], web: [`127.0.0.1:${web.port}`] };
  await place.write('services.yaml', JSON.stringify({ services }));
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const kept = stack.move();
  return {
    place,
    myelin,
    tcpPort,
    webPort,
    async closed(limit) {
      const text = await (await fetch(`http://127.0.0.1:${probes}/metrics`)).text();
      return Number(new RegExp(`^myelin_connections_closed_total\\{limit="${limit}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** HAProxies of this place that were started to serve, those that leave among them. */
async function processes(place: Workplace): Promise<number> {
  const lines = await Promise.all(
    (await place.haproxies()).map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes('\0-db\0')).length;
}

async function oldWorkers(place: Workplace): Promise<number | undefined> {
  return (await place.status()).haproxy?.oldWorkers.length;
}

/** By itself it would be waited for without end. */
async function closes(session: Session): Promise<void> {
  let isClosed = false;
  void session.closed.then(() => {
    isClosed = true;
  });
  await until('the session is closed', () => isClosed, { withinMs: 5000 });
}
