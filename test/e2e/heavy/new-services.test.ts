/**
 * Services that are registered in a real Consul come, change and go through a shared frontend while each of them is asked: 404
 * before, then its own answer, then 404 again, and nothing else. On HAProxy 3.4 in one process; before, by reloads as seldom as the config says.
 */
import assert from 'node:assert/strict';
import { Agent, get } from 'node:http';
import { type TestContext, test } from 'node:test';
import timers from 'node:timers/promises';
import { startBackends } from '../../servers/backend.ts';
import { startConsul } from '../../servers/consul.ts';
import { branches, type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { freePort, until } from '../../support/index.ts';
import { quantile } from '../../support/load/figures.ts';
import { workplace } from '../../support/sites/myelin.ts';

/** Each is asked so often: a client that only asks would take the machine from what is tested. */
const askEveryMs = 20;

/** `together`: so many at once. */
type Size = {
  readonly count: number;
  readonly together: number;
  readonly minIntervalMs: number;
  readonly isOneProcess: boolean;
};

test('1,000 services that are registered in Consul come, change and go under load in one process of HAProxy 3.4, each answer as it should be', (t) =>
  comeChangeAndGo(t, '3.4', { count: 1000, together: 20, minIntervalMs: 2000, isOneProcess: true }));

for (const branch of branches.filter((one) => one !== '3.4')) {
  const size = branch === '2.6' ? { count: 1000, together: 100 } : { count: 10, together: 5 };
  test(`${size.count} services that are registered in Consul come and go by reloads of HAProxy ${branch}, no more often than minInterval, each answer as it should be`, (t) =>
    comeChangeAndGo(t, branch, { ...size, minIntervalMs: 1000, isOneProcess: false }));
}

async function comeChangeAndGo(t: TestContext, branch: HaproxyBranch, size: Size): Promise<void> {
  const { count, together, minIntervalMs, isOneProcess } = size;
  await using stack = new AsyncDisposableStack();
  const [consul, backends] = await Promise.all([startConsul(), startBackends(['alpha', 'beta'])]);
  stack.use(consul);
  stack.use(backends);
  const register = (name: string, to: 'alpha' | 'beta'): Promise<void> =>
    consul.register({
      ...{ name, id: name, port: backends[to].port, address: '127.0.0.1' },
      ...{ tags: ['expose'], meta: { 'myelin-routes': `/${name}` } },
    });
  await register('first', 'alpha');
  const port = await freePort();
  const place = stack.use(
    await workplace(`
watchers: { consul: { address: "${consul.address}", maxShrink: { share: 1 } } }
frontends: { public: { bind: "127.0.0.1:${port}" } }
discover: { consul: { tag: expose, hosts: ["*"], maxPerNamespace: 2000, service: { check: { type: none }, onEmpty: accept } } }
allowAddresses: [127.0.0.0/8]
haproxy: { log: none, binary: "${await haproxy(branch)}" }
reload: { minInterval: ${minIntervalMs}ms }
probes: { listen: "off" }
`),
  );
  const myelin = place.run();
  const agent = new Agent({ keepAlive: true });
  stack.defer(() => agent.destroy());
  const answer = (name: string): Promise<string> => ask(agent, port, `/${name}`);
  await until('the first one is served', async () => (await answer('first')) === 'alpha', { withinMs: 30_000 });
  await myelin.until('what serves is known', (status) => status.haproxy !== null && status.pending === null);
  const before = await place.haproxies();
  const startedAt = performance.now();
  const generation = (await place.status()).haproxy?.generation ?? Number.NaN;

  /** Asked until it answers this; each answer before has to be `meanwhile`. */
  const follow = async (name: string, meanwhile: string, wanted: string): Promise<number> => {
    const at = performance.now();
    for (let is = ''; is !== wanted; ) {
      is = await answer(name);
      assert.ok(is === meanwhile || is === wanted, `${name}: ${is}, and not ${meanwhile} or ${wanted}`);
      assert.ok(performance.now() - at < 30_000, `${name}: still ${is}`);
      if (is !== wanted) await timers.setTimeout(askEveryMs);
    }
    return performance.now() - at;
  };
  const names = Array.from({ length: count }, (_, at) => `service-${at}`);
  const inTurns = async (work: (name: string) => Promise<unknown>): Promise<void> => {
    for (let at = 0; at < count; at += together) await Promise.all(names.slice(at, at + together).map(work));
  };
  // One that stays is asked all the time.
  const over = new AbortController();
  const staying = (async () => {
    for (; !over.signal.aborted; await timers.setTimeout(askEveryMs)) assert.equal(await answer('first'), 'alpha');
  })();
  staying.catch(() => {});

  const cameMs: number[] = [];
  await inTurns(async (name) => {
    const coming = follow(name, '404', 'alpha');
    await register(name, 'alpha');
    cameMs.push(await coming);
  });
  // Older versions use connections to the former address again that were in use when the server moved.
  if (isOneProcess)
    await inTurns(async (name) => {
      const changing = follow(name, 'alpha', 'beta');
      await register(name, 'beta');
      await changing;
    });
  await inTurns(async (name) => {
    const going = follow(name, isOneProcess ? 'beta' : 'alpha', '404');
    await consul.deregister(name);
    await going;
  });
  over.abort();
  await staying;
  const reloads = ((await place.status()).haproxy?.generation ?? Number.NaN) - generation;
  if (isOneProcess) assert.deepEqual(await place.haproxies(), before, 'the same process');
  else assert.ok(reloads <= 1 + (performance.now() - startedAt) / minIntervalMs, `${reloads} reloads`);
  const ms = (share: number): string => `${quantile(cameMs, share).toFixed(1)} ms`;
  t.diagnostic(
    `${count} in ${Math.round((performance.now() - startedAt) / 1000)} s; registered → 200: p50 ${ms(0.5)}, p99 ${ms(0.99)}; ${reloads} reloads`,
  );
}

/** The body of a 200, else the status; what breaks off is an answer of its own. */
function ask(agent: Agent, port: number, path: string): Promise<string> {
  return new Promise((resolve) => {
    get({ agent, port, path, host: '127.0.0.1' }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('error', (error) => resolve(error.message));
      response.on('end', () => resolve(response.statusCode === 200 ? body.trim() : String(response.statusCode)));
    }).on('error', (error) => resolve(error.message));
  });
}
