/**
 * Counts what gets lost while endpoints change ten times a second and the structure every two seconds: requests over
 * new connections, over kept ones and over HTTP/2, and TCP sessions, all at once and each with a service of its own.
 */
import { chmod } from 'node:fs/promises';
import timers from 'node:timers/promises';
import { selfSignedPem } from '../../../src/certificates/self-signed.ts';
import type { Ms } from '../../../src/model.ts';
import { startBackends } from '../../servers/backend.ts';
import { startEcho } from '../../servers/echo.ts';
import { h2 } from '../../servers/h2.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { ab, type Load, wrk } from '../../servers/load.ts';
import { echoSession } from '../../servers/sessions.ts';
import { askSlowly } from '../../servers/steady.ts';
import { isApplied } from '../applied.ts';
import { endsWithin, freePort, until } from '../index.ts';
import { type Workplace, workplace } from '../sites/myelin.ts';
import { Churn } from './churn.ts';
import { builtInTemplate, withReuseport } from './controls.ts';
import { quantile } from './figures.ts';
import { serversOf } from './traffic.ts';

/** What is taken away so that something must get lost: the listening sockets, or the time that connections have to finish. */
export const controls = ['no-x', 'hard-stop'] as const;
type Driver = (typeof controls)[number];

export type DropsOptions = {
  /** Of all kinds together, at least; about the same of each. */
  readonly requests: number;
  readonly atLeastMs?: Ms;
  readonly control?: Driver | undefined;
  /** Of the test that wants to know. */
  readonly signal?: AbortSignal;
  /** Told about once a second. */
  readonly onProgress?: (complete: number, failed: number) => void;
};

export type Drops = {
  readonly lanes: readonly LaneFigures[];
  /** Requests that failed and sessions that others closed, of all kinds, and connections that Myelin says it closed. */
  readonly failed: number;
  /** Of endpoints, by kind; and what they and the changes of structure came to. */
  readonly changes: ReadonlyMap<string, number>;
  readonly commands: number;
  readonly structures: number;
  readonly reloads: number;
  readonly mostOldProcesses: number;
  /** Requests that each server answered. */
  readonly answered: ReadonlyMap<string, number>;
  readonly tookMs: Ms;
  /** Myelin's own log. */
  readonly output: string;
};

type LaneFigures = {
  readonly name: Service | 'slow';
  readonly complete: number;
  readonly failed: number;
  /** Of the bursts that the load consists of, the one in the middle. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** What the load generators said where something failed. */
  readonly troubles: readonly string[];
};

const services = ['fresh', 'kept', 'h2', 'tcp'] as const;
type Service = (typeof services)[number];
type Ports = Readonly<Record<Service, number>>;

const changeEveryMs: Ms = 100;
const restructureEveryMs: Ms = 2000;
const backendNames = ['one', 'two', 'three', 'four', 'five', 'six'] as const;
/** Fewer hide losses: see the controls. */
const concurrency = 200;
const sessions = 40;
const longestSessionMs: Ms = 4000;
/** In the middle of a request at any moment: the others are answered sooner than an end could cut them. */
const slowClients = 20;
/** Longer than it takes until an old process is looked at. */
const slowRequestMs: Ms = 500;
/** So slow is no machine that does any work. */
const slowestPerSecond = 300;

export async function measureDrops(options: DropsOptions): Promise<Drops> {
  const { requests, atLeastMs = 0, control, signal, onProgress } = options;
  await using stack = new AsyncDisposableStack();
  const backends = stack.use(await startBackends(backendNames));
  const echoes = await Promise.all(backendNames.map(async () => stack.use(await startEcho())));
  const webPorts = backendNames.map((name) => backends[name].port);
  const echoPorts = echoes.map(({ port }) => port);
  const churn = new Churn(new Map(services.map((name) => [name, name === 'tcp' ? echoPorts : webPorts])));
  const ports: Ports = { fresh: await freePort(), kept: await freePort(), h2: await freePort(), tcp: await freePort() };
  const place = stack.use(await workplace(''));
  await place.write('cert.pem', selfSignedPem(new Date()));
  if (control === 'no-x') await withoutSockets(place);
  await place.write('myelin.yaml', configOf(ports, control, 0));
  await place.write('services.yaml', churn.text);
  const myelin = place.run();
  await myelin.until('the first config is applied', ({ stateReasons }) => isApplied(stateReasons));

  const startedAt = performance.now();
  const lanes = services.map((name) => new Lane(name, requests / services.length));
  const isDone = (lane: Lane<Service>): boolean => lane.progress >= 1 && performance.now() - startedAt >= atLeastMs;
  const slowest = (): number => Math.min(...lanes.map(({ progress }) => progress));
  const longestMs = atLeastMs + 60_000 + (requests / slowestPerSecond) * 1000;
  const unfinished = (): string =>
    lanes.flatMap((lane) => (isDone(lane) ? [] : `${lane.name} ${Math.floor(lane.progress * 100)} %`)).join(', ');
  /** Nobody runs ahead: each kind of traffic is there all the time. */
  const inStep = async (lane: Lane<Service>, over: AbortSignal): Promise<void> => {
    while (lane.progress > slowest() + lane.lead && !isDone(lane) && !over.aborted) await timers.setTimeout(5);
    over.throwIfAborted();
  };
  let structures = 0;
  let mostOldProcesses = 0;
  const slow = new Lane('slow', 1);
  /** Ends with the loads, or with the first that breaks off; then so do the others, and what is changed meanwhile. */
  const runAll = async (given: AbortSignal): Promise<void> => {
    const over = new AbortController();
    const abort = (): void => over.abort(given.reason);
    given.addEventListener('abort', abort, { once: true });
    const background = [
      every(changeEveryMs, over.signal, async () => {
        churn.change();
        await place.write('services.yaml', churn.text);
      }),
      every(restructureEveryMs, over.signal, async () => {
        structures += 1;
        await place.write('myelin.yaml', configOf(ports, control, structures));
      }),
      every(250, over.signal, async () => {
        const { haproxy: running } = await place.status();
        mostOldProcesses = Math.max(mostOldProcesses, running?.oldWorkers.length ?? 0);
      }),
      every(1000, over.signal, async () => {
        onProgress?.(sum(lanes.map(({ complete }) => complete)), sum(lanes.map(({ failed }) => failed)));
      }),
      ...Array.from({ length: slowClients }, () => runSlowly(slow, ports.kept, over.signal)),
    ];
    const loads = lanes.map((lane) =>
      runLane(lane, ports[lane.name], { isDone, inStep, over: over.signal, longestMs }),
    );
    try {
      // What breaks off in the background must not go unseen for as long as the loads last.
      await Promise.race([Promise.all(loads), Promise.all(background)]);
    } finally {
      over.abort();
      await Promise.allSettled([...loads, ...background]);
    }
    await Promise.all(background);
  };
  await endsWithin(() => `the load, of which there is left: ${unfinished()}`, longestMs, runAll, signal);
  const tookMs = performance.now() - startedAt;
  await until('the last change is live', () => isLive(place, churn), { withinMs: 30_000 });
  const metrics = await place.metrics();
  const closed = sumOf(metrics, 'myelin_connections_closed_total');
  return {
    lanes: [...lanes, slow].map((lane) => lane.figures),
    failed: sum([...lanes, slow].map(({ failed }) => failed)) + closed,
    changes: churn.made,
    commands: commandsOf(myelin.output),
    structures,
    reloads: sumOf(metrics, 'myelin_reload_duration_seconds_count'),
    mostOldProcesses,
    answered: new Map(
      await Promise.all(backendNames.map(async (name) => [name, await backends[name].answered()] as const)),
    ),
    tookMs,
    output: myelin.output,
  };
}

class Lane<Name extends LaneFigures['name'] = LaneFigures['name']> {
  readonly name: Name;
  readonly #share: number;
  readonly #p50s: number[] = [];
  readonly #p99s: number[] = [];
  readonly #troubles: string[] = [];
  #complete = 0;
  #failed = 0;

  constructor(name: Name, share: number) {
    this.name = name;
    this.#share = share;
  }

  get complete(): number {
    return this.#complete;
  }

  get failed(): number {
    return this.#failed;
  }

  /** 1: its share is done. */
  get progress(): number {
    return this.#complete / this.#share;
  }

  /** How much of its share is a burst. */
  get lead(): number {
    return 1000 / this.#share;
  }

  get figures(): LaneFigures {
    const [p50Ms, p99Ms] = [quantile(this.#p50s, 0.5), quantile(this.#p99s, 0.5)];
    return { name: this.name, complete: this.#complete, failed: this.#failed, p50Ms, p99Ms, troubles: this.#troubles };
  }

  add({ complete, failed, p50Ms, p99Ms, output }: Omit<Load, 'non2xx' | 'errors'>): void {
    this.#complete += complete;
    this.#failed += failed;
    if (p50Ms !== null) this.#p50s.push(p50Ms);
    if (p99Ms !== null) this.#p99s.push(p99Ms);
    if (failed > 0) this.#troubles.push(output);
  }
}

type LaneRun = {
  readonly isDone: (lane: Lane<Service>) => boolean;
  readonly inStep: (lane: Lane<Service>, over: AbortSignal) => Promise<void>;
  /** All of them end. */
  readonly over: AbortSignal;
  readonly longestMs: Ms;
};

async function runLane(lane: Lane<Service>, port: number, run: LaneRun): Promise<void> {
  if (lane.name === 'tcp') return runSessions(lane, port, run);
  while (!run.isDone(lane)) {
    await run.inStep(lane, run.over);
    lane.add(await burst(lane.name, port, run.over));
  }
}

/** Requests in two halves, one after the other. */
async function runSlowly(lane: Lane, port: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const startedAt = performance.now();
    const trouble = await askSlowly(port, slowRequestMs).then(() => null, String);
    const tookMs = trouble === null ? performance.now() - startedAt : null;
    lane.add({
      complete: trouble === null ? 1 : 0,
      failed: trouble === null ? 0 : 1,
      p50Ms: tookMs,
      p99Ms: tookMs,
      output: trouble ?? '',
    });
  }
}

function burst(
  service: Exclude<Service, 'tcp'>,
  port: number,
  signal: AbortSignal,
): Promise<Omit<Load, 'non2xx' | 'errors'>> {
  const url = `http://127.0.0.1:${port}/`;
  switch (service) {
    case 'fresh':
      return ab({ url, concurrency, requests: 5000, keepAlive: false, signal });
    case 'kept':
      return wrk({ url, concurrency, seconds: 3, pauses: true, signal });
    case 'h2':
      return h2({
        url: url.replace('http:', 'https:'),
        concurrency: concurrency / 4,
        requests: 5000,
        streams: 4,
        signal,
      });
  }
}

/** An echo is a request. Sessions that last a while, one after the other, and two that last as long as the load. */
async function runSessions(lane: Lane<Service>, port: number, run: LaneRun): Promise<void> {
  const { inStep, over, longestMs: withinMs } = run;
  const isDone = (): boolean => over.aborted || run.isDone(lane);
  let latenciesMs: number[] = [];
  const onEcho = (latencyMs: Ms): void => {
    latenciesMs.push(latencyMs);
    if (latenciesMs.length < 1000) return;
    lane.add({ complete: 1000, failed: 0, ...percentiles(latenciesMs), output: '' });
    latenciesMs = [];
  };
  const failed = (why: string): void => lane.add({ complete: 0, failed: 1, p50Ms: null, p99Ms: null, output: why });
  const client = async (): Promise<void> => {
    while (!isDone()) {
      const endsAt = performance.now() + longestSessionMs * Math.random();
      const isOver = (): boolean => isDone() || performance.now() >= endsAt;
      const trouble = await echoSession({ port, isOver, turn: () => inStep(lane, over), onEcho, withinMs });
      if (trouble !== null) failed(trouble);
    }
  };
  const staying = async (): Promise<void> => {
    const turn = async (): Promise<void> => void (await timers.setTimeout(100));
    const trouble = await echoSession({ port, isOver: isDone, turn, onEcho, withinMs });
    if (trouble !== null) failed(trouble);
  };
  await Promise.all([...Array.from({ length: sessions }, client), staying(), staying()]);
}

/** So often on average, also where one time is late. */
async function every(everyMs: Ms, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  for (let due = performance.now() + everyMs; !signal.aborted; due += everyMs) {
    await work();
    await timers.setTimeout(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => {});
  }
}

/** Every server of every service is in the file as it should be, nothing waits, and one HAProxy is left. */
async function isLive(place: Workplace, churn: Churn): Promise<boolean> {
  const { pending, lastApply, haproxy: running } = await place.status();
  if (pending !== null || lastApply?.error !== null || running?.oldWorkers.length !== 0) return false;
  const files = await Promise.all(services.map((service) => serversOf(place, service)));
  return services.every((service, at) => String(files[at]) === String(churn.servers(service)));
}

function configOf(ports: Ports, control: Driver | undefined, structure: number): string {
  const service = (name: Service, bind: string, mode: string): string =>
    // Nobody waits that long in a queue: a new structure, and no client can tell.
    `  ${name}: { bind: "127.0.0.1:${bind}", mode: ${mode}, timeouts: { queue: ${600 + structure}s } }`;
  return [
    'watchers: { file: { path: services.yaml, maxShrink: { share: 1 } } }',
    'services:',
    service('fresh', `${ports.fresh}`, 'http'),
    service('kept', `${ports.kept}`, 'http'),
    service('h2', `${ports.h2} ssl crt cert.pem alpn h2,http/1.1`, 'http'),
    service('tcp', `${ports.tcp}`, 'tcp'),
    ...(control === 'no-x' ? ['templates: templates'] : []),
    `haproxy: { log: none${control === 'no-x' ? ', binary: ./haproxy-no-x' : ''} }`,
    // Two sessions outlast all reloads, others a few: no limit is to close any.
    `reload: { minInterval: 0ms, maxOldWorkers: 20, hardStopAfter: ${control === 'hard-stop' ? '10ms' : '1h'} }`,
    'drainTimeout: 1h',
    'probes: { listen: "off" }',
    '',
  ].join('\n');
}

/** A HAProxy that is never given the sockets of the one before it, and so has to listen beside it. */
async function withoutSockets(place: Workplace): Promise<void> {
  await place.write('templates/global.hbs', withReuseport(builtInTemplate('global')));
  const script = [
    '#!/bin/sh',
    'before=',
    'for word do',
    '  shift',
    '  [ "$before" = -x ] || [ "$word" = -x ] || set -- "$@" "$word"',
    '  before=$word',
    'done',
    `exec '${await haproxy()}' "$@"`,
    '',
  ];
  await place.write('haproxy-no-x', script.join('\n'));
  await chmod(place.path('haproxy-no-x'), 0o755);
}

function percentiles(latenciesMs: readonly Ms[]): Pick<Load, 'p50Ms' | 'p99Ms'> {
  return { p50Ms: quantile(latenciesMs, 0.5), p99Ms: quantile(latenciesMs, 0.99) };
}

/** Of all labels together, in Prometheus' text format. */
function sumOf(metrics: string, name: string): number {
  return sum(
    [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(([, value]) => Number(value)),
  );
}

/** As Myelin's log tells them, a line each time. */
function commandsOf(output: string): number {
  return sum(
    [...output.matchAll(/"commands":(\d+),.*"servers changed at runtime"/g)].map(([, count]) => Number(count)),
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
