/**
 * One Myelin replaces another on the same ports of the same machine, as pods in the network of a node do, and no
 * connection is refused, reset or lost. Each has PIDs of its own, as in containers.
 */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import timers from 'node:timers/promises';
import { startBackends, startNodeBackend } from '../../servers/backend.ts';
import { startEcho } from '../../servers/echo.ts';
import type { HaproxyBranch } from '../../servers/haproxy.ts';
import { ab, type Load, wrk } from '../../servers/load.ts';
import { echoSession } from '../../servers/sessions.ts';
import { ask, steadyLoad } from '../../servers/steady.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { listenersOf } from '../../support/machine/listeners.ts';
import {
  handedOver,
  type Succession,
  type Successor,
  succession,
  withoutHandover,
} from '../../support/sites/successors.ts';

test('three times in a row the next Myelin takes over under load while servers change, and not one request is lost', (t) =>
  threeTimes(t, []));

test('HAProxy 2.6 and 3.2 take over from each other under load, and not one request is lost', (t) =>
  threeTimes(t, ['2.6', '3.2', '3.2', '2.6']));

async function threeTimes(t: TestContext, branches: readonly HaproxyBranch[]): Promise<void> {
  await using my = await machine();
  let serving = await my.all.next({ branch: branches[0] });
  assert.equal((await listenersOf(my.port)).length, 1);
  await using steady = steadyLoad(my.port);
  const url = `http://127.0.0.1:${my.port}/`;
  const isOver = new AbortController();
  const loads = loadUntil(isOver.signal, [
    () => ab({ url, concurrency: 200, requests: 10_000, keepAlive: false }),
    () => wrk({ url, concurrency: 200, seconds: 2 }),
  ]);
  const changes = keepChanging(my, isOver.signal);
  const answeredByBeta = (): number => steady.answers.get('beta') ?? 0;
  try {
    for (let handover = 1; handover <= 3; handover++) {
      const next = await my.all.next({ branch: branches[handover] });
      await next.tookOver();
      assert.equal(await next.statsSocket(), join(my.all.shared, `pod-${handover + 1}/g1/s`));
      assert.deepEqual(await listenersOf(my.port), await haproxiesOf(serving, next));
      const before = answeredByBeta();
      // Both answer for a while.
      await steady.goesOn(100);
      await until('a server that came has answered', () => answeredByBeta() > before);
      assert.equal(await serving.end(), 0);
      assert.deepEqual(await haproxiesOf(serving), []);
      assert.deepEqual(await listenersOf(my.port), await haproxiesOf(next));
      const beforeAlone = answeredByBeta();
      await until('a server that came has answered by the next one', () => answeredByBeta() > beforeAlone);
      serving = next;
    }
  } finally {
    isOver.abort();
  }
  const done = await loads;
  for (const { failed, output } of done) assert.equal(failed, 0, output);
  t.diagnostic(
    `${done.reduce((sum, { complete }) => sum + complete, 0)} requests, ${await changes} changes of servers`,
  );
  assert.ok((await changes) >= 3);
  await steady.endsWithoutFailure();
  assert.deepEqual(await readdir(my.all.shared), ['pod-4']);
}

test('without a folder to hand over in, the next Myelin is refused the port; and what ends first leaves a gap', async () => {
  await using my = await machine();
  const first = await my.all.next({ edit: withoutHandover });
  const second = await my.all.start({ edit: withoutHandover });
  const { lastApply } = await second.myelin.until('it is refused', (status) => status.lastApply?.result === 'rejected');
  assert.match(lastApply?.error ?? '', new RegExp(`port ${my.port} is held by`));
  assert.deepEqual(await haproxiesOf(second), []);
  assert.deepEqual(await listenersOf(my.port), await haproxiesOf(first));
  await using steady = steadyLoad(my.port);
  assert.equal(await first.end(), 0);
  await second.ready();
  assert.ok(steady.failures.length > 0, 'requests were lost');
});

test('a server that is down is still known to be down after a handover', async () => {
  const spread = 'global: [max-spread-checks 50]';
  let isSick = false;
  // In the order of names it comes first, and so does its first check: the sick one is not found out at once.
  await using fit = await startNodeBackend('fit');
  await using ill = await startNodeBackend('ill', {
    answer: async () => {
      if (isSick) throw new Error('ill');
      return 'ill';
    },
  });
  await using my = await machine({
    web: ['check: { type: http, path: /health, interval: 500ms, timeout: 5s, fall: 2, rise: 2 }'],
    haproxy: [spread],
  });
  await my.serve([fit, ill]);
  const first = await my.all.next();
  await until('both answer', async () => {
    await ask(my.port);
    return fit.requests.length > 0 && ill.requests.length > 0;
  });
  isSick = true;
  await ill.setHealthy(false);
  const settled = async (): Promise<boolean> => {
    const before = ill.requests.length;
    for (let request = 0; request < 20; request++) await ask(my.port).catch(() => null);
    return ill.requests.length === before;
  };
  await until('it is down', settled);
  const before = ill.requests.length;
  await using steady = steadyLoad(my.port);
  // What it knows it was told: by its own checks it would know long after this is over.
  await my.all.next({ edit: (config) => config.replace('interval: 500ms', 'interval: 20s').replace(spread, '') });
  // Both answer for a while.
  await steady.goesOn(100);
  assert.equal(await first.end(), 0);
  await steady.goesOn(100);
  assert.equal(ill.requests.length, before);
  await steady.endsWithoutFailure();
});

test('a session of the Myelin that leaves goes on until its end, and new sessions go to the next', async () => {
  await using echo = await startEcho();
  const port = await freePort();
  await using my = await machine({ services: [`tcp: { mode: tcp, bind: "127.0.0.1:${port}" }`] });
  await my.serve([my.backends.alpha], [{ name: 'echo', address: '127.0.0.1', port: echo.port }]);
  const first = await my.all.next();
  let isOver = false;
  let echoes = 0;
  const session = echoSession({
    port,
    isOver: () => isOver,
    turn: () => timers.setTimeout(20),
    onEcho: () => {
      echoes += 1;
    },
  });
  await until('it has begun', () => echoes > 5);
  const next = await my.all.next();
  const ended = first.end();
  await until('the first one listens no more', async () => {
    return String(await listenersOf(port)) === String(await haproxiesOf(next));
  });
  const before = echoes;
  await until('the session goes on', () => echoes > before + 20);
  assert.equal((await haproxiesOf(first)).length, 1);
  const fresh = connect(port, '127.0.0.1').on('error', () => {});
  await until('a new one is taken', () => fresh.readyState === 'open');
  fresh.destroy();
  isOver = true;
  assert.equal(await session, null);
  assert.equal(await ended, 0);
});

test('a Myelin may reload while it hands over, and after that, and the third takes over from the second', async () => {
  await using my = await machine();
  const first = await my.all.next();
  await using steady = steadyLoad(my.port);
  const second = await my.all.start();
  let isSettled = false;
  const ready = second.ready().finally(() => {
    isSettled = true;
  });
  while (!isSettled) await first.place.reload();
  await ready;
  await second.tookOver();
  await first.place.reload();
  assert.equal(await first.end(), 0);
  await second.place.reload();
  const third = await my.all.next();
  await third.tookOver();
  assert.equal(await second.end(), 0);
  assert.deepEqual(await listenersOf(my.port), await haproxiesOf(third));
  await steady.endsWithoutFailure();
});

test('after a Myelin that was killed with its HAProxy the next one starts as if there had been none', async () => {
  await using my = await machine();
  const first = await my.all.next();
  await first.end('SIGKILL');
  await until('its HAProxy is gone', async () => (await haproxiesOf(first)).length === 0);
  assert.deepEqual(await readdir(join(my.all.shared, 'pod-1')), ['g1']);
  const second = await my.all.next();
  assert.equal(await ask(my.port), 'alpha');
  // By then it would have said so.
  await second.place.reload();
  assert.doesNotMatch(second.myelin.output, handedOver);
});

test('where the Myelin before holds an address in another form, the next one waits and takes nothing away from it', async () => {
  await using my = await machine();
  const first = await my.all.next();
  await using steady = steadyLoad(my.port);
  const second = await my.all.start({ edit: (config) => config.replace('127.0.0.1:', '*:') });
  const { lastApply } = await second.myelin.until('it fails', (status) => status.lastApply?.result === 'failed');
  assert.match(lastApply?.error ?? '', /holds addresses of web:in in another form/);
  assert.deepEqual(await listenersOf(my.port), await haproxiesOf(first));
  await steady.endsWithoutFailure();
  assert.equal(await first.end(), 0);
  await second.ready();
  assert.equal(await ask(my.port), 'alpha');
});

test('a Myelin that its source never answers takes nothing over, is not ready, and serves once it is answered', async () => {
  await using my = await machine();
  const first = await my.all.next();
  const missing = join(my.folder, 'missing.yaml');
  const second = await my.all.start({
    edit: (config) => `${config.replace(/path: .* }/, `path: ${missing} } }`)}\nstartTimeout: 300ms\n`,
  });
  const { lastApply, state } = await second.myelin.until('startTimeout is over', (status) => status.lastApply !== null);
  assert.match(lastApply?.error ?? '', /is not taken over.*no answer of file yet/);
  assert.equal(state, 'starting');
  assert.equal((await second.place.command('probe', 'ready')).exitCode, 1);
  assert.deepEqual(await haproxiesOf(second), []);
  assert.equal(await ask(my.port), 'alpha');
  await my.serve([my.backends.beta], [], missing);
  await second.ready();
  assert.equal(await first.end(), 0);
  assert.equal(await ask(my.port), 'beta');
});

test('probes and metrics are at the same address, of the Myelin before until it ends; `myelin probe` tells them apart', async () => {
  const probes = await freePort();
  await using my = await machine({ rest: [`probes: { listen: "127.0.0.1:${probes}" }`] });
  const uptime = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${probes}/metrics`)).text();
    return Number(/^process_start_time_seconds (\S+)$/m.exec(text)?.[1]);
  };
  const first = await my.all.next();
  const begun = await uptime();
  const missing = join(my.folder, 'missing.yaml');
  const second = await my.all.start({ edit: (config) => config.replace(/path: .* }/, `path: ${missing} } }`) });
  await second.myelin.until('it runs', () => true);
  const asked = await second.place.command('probe', 'ready');
  assert.deepEqual([asked.exitCode, asked.stdout], [1, 'not ready: waiting for the first answer of file\n']);
  const socket = second.place.path('run/myelin.sock');
  assert.equal((await second.place.command('probe', 'live', '--socket', socket)).exitCode, 0);
  await my.serve([my.backends.beta], [], missing);
  await second.ready();
  const ready = await second.place.command('probe', 'ready');
  assert.deepEqual([ready.exitCode, ready.stdout], [0, 'ready\n']);
  assert.equal(await uptime(), begun);
  assert.equal(await first.end(), 0);
  assert.equal((await first.place.command('probe', 'live')).exitCode, 8);
  await until('the second one answers', async () => (await uptime()) > begun);
});

type Endpoint = { readonly name: string; readonly address: string; readonly port: number };

type Machine = AsyncDisposable & {
  readonly all: Succession;
  readonly folder: string;
  /** Where `web` is served. */
  readonly port: number;
  readonly backends: Record<'alpha' | 'beta', Endpoint>;
  /** Who serves `web`, and who `tcp`. */
  serve(web: readonly Endpoint[], tcp?: readonly Endpoint[], file?: string): Promise<void>;
};

/** Lines of YAML below `web`, `services`, `haproxy` and at the top. */
type MachineOptions = {
  readonly web?: readonly string[];
  readonly services?: readonly string[];
  readonly haproxy?: readonly string[];
  readonly rest?: readonly string[];
};

/** `alpha` serves. */
async function machine({ web = [], services = [], ...options }: MachineOptions = {}): Promise<Machine> {
  await using stack = new AsyncDisposableStack();
  const backends = stack.use(await startBackends(['alpha', 'beta'] as const));
  const folder = stack.use(await tempFolder());
  const endpoints = join(folder.path, 'endpoints.yaml');
  const port = await freePort();
  const own = ['web:', `  bind: "127.0.0.1:${port}"`, ...web.map((line) => `  ${line}`)];
  const all = stack.use(await succession({ endpoints, services: [...own, ...services], ...options }));
  const serve: Machine['serve'] = async (web, tcp = [], file = endpoints) => {
    const text = { services: { web: web.map(toEndpoint), ...(tcp.length > 0 && { tcp: tcp.map(toEndpoint) }) } };
    await writeFile(file, JSON.stringify(text));
  };
  await serve([backends.alpha]);
  const atEnd = stack.move();
  return {
    all,
    folder: folder.path,
    port,
    backends,
    serve,
    [Symbol.asyncDispose]: () => atEnd.disposeAsync().then(() => undefined),
  };
}

function toEndpoint({ name, address, port }: Endpoint): object {
  return { id: name, address, port };
}

/** PIDs of their HAProxies, in ascending order. */
async function haproxiesOf(...successors: readonly Successor[]): Promise<readonly number[]> {
  const lists = await Promise.all(successors.map(({ place }) => place.haproxies()));
  return lists.flat().sort((a, b) => a - b);
}

/** Takes a server away and gives it back, over and over. How often. */
async function keepChanging({ backends, serve }: Machine, signal: AbortSignal): Promise<number> {
  let count = 0;
  for (; !signal.aborted; count++) {
    await serve(count % 2 === 0 ? [backends.alpha, backends.beta] : [backends.alpha]);
    await timers.setTimeout(200, undefined, { signal }).catch(() => {});
  }
  return count;
}

async function loadUntil(signal: AbortSignal, loads: readonly (() => Promise<Load>)[]): Promise<readonly Load[]> {
  const done = await Promise.all(
    loads.map(async (load) => {
      const own: Load[] = [];
      while (!signal.aborted) own.push(await load());
      return own;
    }),
  );
  return done.flat();
}
