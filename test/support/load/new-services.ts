/**
 * Services of a real registry that come, change and go through a shared frontend while each of them is asked, from before its
 * registration on: 404 before, then its own answer, then 404 again, and nothing else.
 */
import assert from 'node:assert/strict';
import { Agent, get } from 'node:http';
import type { TestContext } from 'node:test';
import timers from 'node:timers/promises';
import type { Ms } from '../../../src/model.ts';
import { startBackends } from '../../servers/backend.ts';
import { type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { freePort, until } from '../index.ts';
import { type Workplace, workplace } from '../sites/myelin.ts';
import { quantile } from './figures.ts';

type Backend = { readonly address: string; readonly port: number };

/** Where services are registered; each has the route `/NAME`. */
export type NewServices = AsyncDisposable & {
  /** Where its backends may be. */
  readonly backendAddress: string;
  /** The settings of its watcher, and how it discovers: `NAME: { …`, each without its end. */
  readonly watcher: string;
  readonly discover: string;
  /** What the config refers to. */
  prepare(place: Workplace): Promise<void>;
  /** It is there, or somewhere else than before. */
  put(name: string, backend: Backend): Promise<void>;
  remove(name: string): Promise<void>;
};

/** `inFlight`: so many are on their way at any time. */
export type Size = {
  readonly count: number;
  readonly inFlight: number;
  readonly minIntervalMs: Ms;
  readonly isOneProcess: boolean;
};

/** Of all that are in flight together: clients that only ask would take the machine from what is tested. */
const requestsPerSecond = 1000;
/** The one that stays is asked so often. */
const askEveryMs: Ms = 20;

export async function comeChangeAndGo(
  t: TestContext,
  branch: HaproxyBranch,
  start: () => Promise<NewServices>,
  { count, inFlight, minIntervalMs, isOneProcess }: Size,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await start());
  const backends = stack.use(await startBackends<'alpha' | 'beta'>(['alpha', 'beta'], registry.backendAddress));
  await registry.put('first', backends.alpha);
  const port = await freePort();
  const place = stack.use(
    await workplace(`
watchers: { ${registry.watcher}, maxShrink: { share: 1 } } }
frontends: { public: { bind: "127.0.0.1:${port}" } }
discover: { ${registry.discover}, hosts: ["*"], maxPerNamespace: 2000, service: { check: { type: none }, onEmpty: accept } } }
allowAddresses: [127.0.0.0/8]
haproxy: { log: none, binary: "${await haproxy(branch)}" }
reload: { minInterval: ${minIntervalMs}ms }
probes: { listen: "off" }
`),
  );
  await registry.prepare(place);
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
  const follow = async (name: string, meanwhile: string, wanted: string): Promise<Ms> => {
    const at = performance.now();
    for (let is = ''; is !== wanted; ) {
      is = await answer(name);
      assert.ok(is === meanwhile || is === wanted, `${name}: ${is}, and not ${meanwhile} or ${wanted}`);
      assert.ok(performance.now() - at < 30_000, `${name}: still ${is}`);
      if (is !== wanted) await timers.setTimeout((inFlight / requestsPerSecond) * 1000);
    }
    return performance.now() - at;
  };
  const names = Array.from({ length: count }, (_, at) => `service-${at}`);
  const phase = async (meanwhile: string, wanted: string, work: (name: string) => Promise<void>): Promise<Ms[]> => {
    const tookMs: Ms[] = [];
    const left = names.values();
    const worker = async (): Promise<void> => {
      for (const name of left) {
        const following = follow(name, meanwhile, wanted);
        // Its failure is told below, unless the registry fails before.
        following.catch(() => {});
        await work(name);
        tookMs.push(await following);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, worker));
    return tookMs;
  };
  // One that stays is asked all the time.
  const over = new AbortController();
  const staying = (async () => {
    for (; !over.signal.aborted; await timers.setTimeout(askEveryMs)) assert.equal(await answer('first'), 'alpha');
  })();
  staying.catch(() => {});

  const cameMs = await phase('404', 'alpha', (name) => registry.put(name, backends.alpha));
  // Older versions use connections to the former address again that were in use when the server moved.
  if (isOneProcess) await phase('alpha', 'beta', (name) => registry.put(name, backends.beta));
  const wentMs = await phase(isOneProcess ? 'beta' : 'alpha', '404', (name) => registry.remove(name));
  over.abort();
  await staying;
  const reloads = ((await place.status()).haproxy?.generation ?? Number.NaN) - generation;
  if (isOneProcess)
    assert.deepEqual([await place.haproxies(), reloads], [before, 0], 'the same process, and no reload');
  else assert.ok(reloads <= 1 + (performance.now() - startedAt) / minIntervalMs, `${reloads} reloads`);
  const ms = (values: readonly Ms[]): string =>
    `p50 ${quantile(values, 0.5).toFixed(1)} ms, p99 ${quantile(values, 0.99).toFixed(1)} ms`;
  t.diagnostic(
    `${count} in ${Math.round((performance.now() - startedAt) / 1000)} s; registered → 200: ${ms(cameMs)}; gone → 404: ${ms(wentMs)}; ${reloads} reloads`,
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
