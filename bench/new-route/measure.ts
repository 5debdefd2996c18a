/** From the registration of a service to its first 200 through a shared frontend, and from its end to the first 404. */
import timers from 'node:timers/promises';
import { followEvents } from '../../src/http/client.ts';
import type { Ms } from '../../src/model.ts';
import type { Event } from '../../src/report/events.ts';
import { startBackends } from '../../test/servers/backend.ts';
import { haproxy } from '../../test/servers/haproxy.ts';
import { isApplied } from '../../test/support/applied.ts';
import { freePort, until } from '../../test/support/index.ts';
import { quantile } from '../../test/support/load/figures.ts';
import { type Workplace, workplace } from '../../test/support/sites/myelin.ts';
import { startAsking } from '../asking.ts';
import { now } from '../clock.ts';
import { cpuSeconds } from '../process.ts';
import { table } from '../report.ts';
import type { StartRegistry } from './registry.ts';

type Size = {
  readonly sizes: readonly number[];
  readonly changes: number;
  /** Which Myelin. */
  readonly cli: string;
  readonly isShort: boolean;
};

/** Of each change in milliseconds; `heldMs`: from the moment at which Myelin was told until the commands were answered. */
type Figures = {
  readonly cameMs: Ms[];
  readonly toldMs: Ms[];
  readonly heldMs: Ms[];
  readonly wentMs: Ms[];
  /** Answers that were neither 404 before it was there nor its own. */
  errors: number;
};

const warmUps = 3;
const owner = 'owner' as const;

export async function measureNewRoutes(name: string, start: StartRegistry, size: Size): Promise<string> {
  const rows: string[][] = [];
  for (const services of size.sizes) rows.push(await measureBeside(services, name, start, size));
  const titles = ['new service, first 200', 'changes', 'p50', 'p99', 'source tells, p50', 'Myelin from then on, p50'];
  return table([[...titles, 'gone, first 404, p50', 'p99', 'CPU a change', 'reloads', 'other answers'], ...rows]);
}

async function measureBeside(
  services: number,
  name: string,
  start: StartRegistry,
  { changes, cli, isShort }: Size,
): Promise<string[]> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await start());
  const { owner: backend, ...backends } = await startBackends([owner], registry.backendAddress);
  stack.use(backends);
  const names = Array.from({ length: services }, (_, at) => `service-${at}`);
  await registry.fill(names, backend);
  const port = await freePort();
  const config = [
    `watchers: { ${registry.watcher} }`,
    `frontends: { public: { bind: "127.0.0.1:${port}" } }`,
    // To check thousands of servers would be the whole work of the machine.
    `discover: { ${registry.discover}hosts: ["*"], maxPerNamespace: 10000, service: { check: { type: none }, onEmpty: accept } } }`,
    'allowAddresses: [127.0.0.0/8]',
    `haproxy: { log: none, binary: "${await haproxy('3.4')}" }`,
    'probes: { listen: "off" }',
    '',
  ];
  const place = stack.use(await workplace(config.join('\n'), cli));
  await registry.prepare(place);
  const myelin = place.run();
  await myelin.until(
    'all services are live',
    (status) => isApplied(status.stateReasons) && status.services.length === services && status.pending === null,
    180_000,
  );
  const before = await place.haproxies();
  const generation = await generationOf(place);
  const updates = stack.use(follow(place));
  const asking = stack.use(await startAsking());
  const figures: Figures = { cameMs: [], toldMs: [], heldMs: [], wentMs: [], errors: 0 };
  let cpuBefore = Number.NaN;
  for (let change = -warmUps; change < changes; change++) {
    if (change === 0) cpuBefore = await cpuSeconds(myelin.pid);
    await measureOne(`new-${change + warmUps}`, change < 0 ? null : figures);
  }
  const cpuMs = ((await cpuSeconds(myelin.pid)) - cpuBefore) * 1000;
  const reloads = (await generationOf(place)) - generation;
  const isSame = String(await place.haproxies()) === String(before);
  const ms = (values: readonly Ms[], share: number): string => `${quantile(values, share).toFixed(1)} ms`;
  return [
    `${name}, beside ${services}`,
    `${figures.cameMs.length}`,
    ...[ms(figures.cameMs, 0.5), ms(figures.cameMs, 0.99), ms(figures.toldMs, 0.5), ms(figures.heldMs, 0.5)],
    ...[ms(figures.wentMs, 0.5), ms(figures.wentMs, 0.99)],
    `${(cpuMs / changes / 2).toFixed(1)} ms`,
    isSame ? `${reloads}` : `${reloads}, another process`,
    `${figures.errors}`,
  ];

  async function measureOne(one: string, found: Figures | null): Promise<void> {
    const asked = { port, host: 'any.example.com', path: `/${one}` };
    await pause();
    const listener = await registry.told(one);
    updates.forget();
    const coming = asking.first({ ...asked, answer: owner });
    // It asks already.
    await timers.setTimeout(20 + 20 * Math.random());
    const addedAt = now();
    await registry.add(one, backend);
    const came = await coming;
    const toldAt = await listener.at;
    const heldMs = await updates.sinceChange();
    await pause();
    const going = asking.first({ ...asked, answer: '404' });
    await timers.setTimeout(20 + 20 * Math.random());
    const removedAt = now();
    await registry.remove(one);
    const went = await going;
    await registry.clear(one);
    if (found === null) return;
    found.cameMs.push(came.at - addedAt);
    found.toldMs.push(toldAt - addedAt);
    found.heldMs.push(heldMs);
    found.wentMs.push(went.at - removedAt);
    found.errors += othersIn(came.before, '404') + othersIn(went.before, owner);
  }

  /** Not in step with any timer, and slower than anything that limits the rate of changes. */
  async function pause(): Promise<void> {
    await timers.setTimeout(isShort ? 50 : 1000 + 500 * Math.random());
  }
}

function othersIn(answers: Readonly<Record<string, number>>, expected: string): number {
  return Object.entries(answers).reduce((all, [answer, count]) => all + (answer === expected ? 0 : count), 0);
}

async function generationOf(place: Workplace): Promise<number> {
  return (await place.status()).haproxy?.generation ?? Number.NaN;
}

/** What Myelin says of its updates by commands. */
function follow(place: Workplace): Disposable & { forget(): void; sinceChange(): Promise<Ms> } {
  const end = new AbortController();
  let last: Ms | null = null;
  const hear = (event: Event): void => {
    if (event.kind === 'runtime' && event.sinceChangeMs !== null) last = event.sinceChangeMs;
  };
  const following = (async () => {
    for await (const event of followEvents(place.path('run/myelin.sock'), { lastId: null, signal: end.signal }))
      hear(event);
  })();
  following.catch(() => {});
  return {
    forget: () => {
      last = null;
    },
    sinceChange: () => until('the update is told', () => last),
    [Symbol.dispose]: () => end.abort(),
  };
}
