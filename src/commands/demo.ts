/** `myelin demo`: the main job on this machine alone, with backends, source, HAProxy, churn and load of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import timers from 'node:timers/promises';
import { selfSignedPem } from '../certificates/self-signed.ts';
import { Churn } from '../demo/churn.ts';
import { type LoadReport, startLoad } from '../demo/load.ts';
import { type Arrival, Newcomer, newcomerHost, tellsProcess } from '../demo/newcomer.ts';
import { freePorts } from '../demo/ports.ts';
import { consulSource, fileSource, type Source } from '../demo/source.ts';
import { createView } from '../demo/view.ts';
import { AppError, exitCodes } from '../errors.ts';
import { findBinary } from '../haproxy/binary/binary.ts';
import { askMyelin } from '../http/client.ts';
import { ownCommand } from '../lib/own-package.ts';
import { now, wallClock } from '../lib/time/clock.ts';
import type { Status } from '../report/status.ts';
import { table } from '../report/text/format.ts';

export type DemoOptions = { readonly consul?: true; readonly seconds: number; readonly portBase: number };

/** The first three serve from the start, the others come and go. */
const backendNames = ['alpha', 'beta', 'gamma', 'delta', 'epsilon'];
const changeEveryMs = 700;

export async function demo(options: DemoOptions): Promise<number> {
  const stopping = new AbortController();
  const interrupt = (): void => stopping.abort();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, interrupt);
  await using cleanup = new AsyncDisposableStack();
  try {
    return await play(options, cleanup, stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    process.stdout.write('\nstopped; nothing is left behind\n');
    return exitCodes.ok;
  }
}

async function play(options: DemoOptions, cleanup: AsyncDisposableStack, signal: AbortSignal): Promise<number> {
  const { path: haproxy, version } = await findBinary('haproxy', process.env.PATH);
  const folder = await mkdtemp(join(tmpdir(), 'myelin-demo-'));
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));

  const backendPorts = await freePorts(options.portBase, backendNames.length + 1);
  const [httpPort = 0, tlsPort = 0, extraPort = 0, routesPort = 0, probesPort = 0, adminPort = 0] = await freePorts(
    8080,
    6,
  );
  const source = options.consul ? await consulSource(await freePorts(8500, 3), signal) : await fileSource(folder);
  cleanup.defer(() => source.stop());

  const servicesFolder = join(folder, 'services.d');
  await mkdir(servicesFolder);
  await writeFile(join(folder, 'front.pem'), selfSignedPem(new Date()), { mode: 0o600 });
  await writeFile(
    join(folder, 'myelin.yaml'),
    configText({ source, haproxy, folder, httpPort, tlsPort, routesPort, probesPort, adminPort }),
  );

  const instance = new DemoInstance(folder, probesPort);
  const forgotten = (ending: AbortSignal): Promise<void> => instance.forgotten(AbortSignal.any([signal, ending]));
  const newcomer = new Newcomer({
    source,
    port: backendPorts.at(-1) ?? 0,
    frontendPort: routesPort,
    forgotten,
    signal,
  });
  const churn = new Churn({ source, servicesFolder, extraPort, newcomer, forgotten }, backendNames, backendPorts);
  cleanup.defer(() => churn.stop());
  await churn.begin(3);

  await instance.start();
  cleanup.defer(() => instance.stop());
  await instance.until('the first config is applied', ({ state }) => state === 'ready' || state === 'degraded', signal);

  process.stdout.write(
    table([
      ['source', source.hint],
      ['backends', `127.0.0.1:${backendPorts.join(', ')}`],
      ['HAProxy', `${version.text}, http://127.0.0.1:${httpPort} and https://127.0.0.1:${tlsPort}`],
      ['page', `http://127.0.0.1:${adminPort}/ shows all of this to people`],
      ['routes', `http://127.0.0.1:${routesPort}, such as http://${newcomerHost}:${routesPort}`],
    ]),
  );
  const targets = { http: `http://127.0.0.1:${httpPort}/`, https: `https://127.0.0.1:${tlsPort}/`, clientsEach: 8 };
  const clients = startLoad(targets);
  cleanup.defer(async () => void (await clients.stop()));

  const view = createView(process.stdout);
  const startedAt = performance.now();
  let news = 'load runs';
  for (let changeAt = startedAt + 500; ; ) {
    const now = performance.now();
    const elapsedSeconds = (now - startedAt) / 1000;
    if (elapsedSeconds >= options.seconds) break;
    if (now >= changeAt) {
      news = await churn.next();
      changeAt = now + changeEveryMs;
    }
    const status = await instance.status();
    const { serving: backends, changes } = churn;
    view.show({
      elapsedSeconds,
      seconds: options.seconds,
      load: clients.report,
      backends,
      changes,
      ...countsOf(status),
      news,
    });
    await timers.setTimeout(200, undefined, { signal });
  }

  const total = await clients.stop();
  process.stdout.write(`\n${summary(total, churn.changes, await instance.reloads(), newcomer.arrivals)}`);
  return total.failed === 0 ? exitCodes.ok : exitCodes.unexpected;
}

/** Myelin as a user would run it: the command line in a process of its own. */
class DemoInstance {
  readonly #folder: string;
  readonly #probesPort: number;
  #ended: Promise<unknown> = Promise.resolve();
  #terminate: () => void = () => {};

  constructor(folder: string, probesPort: number) {
    this.#folder = folder;
    this.#probesPort = probesPort;
  }

  async start(): Promise<void> {
    await using log = await open(join(this.#folder, 'myelin.log'), 'a');
    const [program, args] = ownCommand('run');
    const child = spawn(program, args, { cwd: this.#folder, stdio: ['ignore', log.fd, log.fd] });
    // Ctrl-C reaches the whole group: the child may have ended before `stop`.
    this.#ended = once(child, 'exit');
    this.#terminate = () => child.kill('SIGTERM');
    await once(child, 'spawn');
  }

  /** Its HAProxy ends with it: `onExit: stop`. */
  async stop(): Promise<void> {
    this.#terminate();
    await this.#ended;
  }

  /** null until it answers. */
  async status(): Promise<Status | null> {
    try {
      return (await askMyelin(join(this.#folder, 'run/myelin.sock'), 'GET', '/api/v1/status')) as Status;
    } catch (error) {
      if (error instanceof AppError && error.code === 'MYELIN_NOT_RUNNING') return null;
      throw error;
    }
  }

  async until(what: string, satisfies: (status: Status) => boolean, signal: AbortSignal): Promise<void> {
    for (const deadline = now() + 30_000; now() < deadline; ) {
      const status = await this.status();
      if (status !== null && satisfies(status)) return;
      await timers.setTimeout(50, undefined, { signal });
    }
    const log = await readFile(join(this.#folder, 'myelin.log'), 'utf8');
    throw new AppError('MYELIN_HAPROXY_FAILED', `not within 30 s: ${what}. Myelin's log:\n${log.slice(-3000)}`);
  }

  /** Settles when all earlier results of the source are applied, and no process with an older config is left. */
  async forgotten(signal: AbortSignal): Promise<void> {
    const since = wallClock();
    await this.until(
      'what changed is applied and the old processes are gone',
      ({ lastApply, haproxy }) => (lastApply?.at ?? 0) > since && haproxy?.oldWorkers.length === 0,
      signal,
    );
  }

  /** How often each reason made a reload necessary, and how many reloads there were. */
  async reloads(): Promise<{ readonly count: number; readonly reasons: readonly (readonly [string, number])[] }> {
    const text = await (await fetch(`http://127.0.0.1:${this.#probesPort}/metrics`)).text();
    const reasons = [...text.matchAll(/^myelin_reloads_total\{reason="(\w+)",result="ok"\} (\d+)$/gm)];
    const [, count] = /^myelin_updates_total\{result="reload"\} (\d+)$/m.exec(text) ?? [];
    return { count: Number(count ?? 0), reasons: reasons.map(([, reason = '', times]) => [reason, Number(times)]) };
  }
}

type Places = {
  readonly source: Source;
  readonly haproxy: string;
  readonly folder: string;
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly routesPort: number;
  readonly probesPort: number;
  readonly adminPort: number;
};

function configText({ source, haproxy, folder, httpPort, tlsPort, routesPort, probesPort, adminPort }: Places): string {
  const tls = `127.0.0.1:${tlsPort} ssl crt ${join(folder, 'front.pem')} alpn h2,http/1.1`;
  return `${source.config}
include: ["services.d/*.yaml"]
services:
  web:
    bind: ["127.0.0.1:${httpPort}", "${tls}"]
    check: { interval: 500ms }
frontends: { routes: { bind: "127.0.0.1:${routesPort}", lines: ["${tellsProcess}"] } }
discover:
  ${source.name}: { ${source.discover}hosts: [${newcomerHost}], service: { check: { interval: 500ms }, onEmpty: accept } }
haproxy: { binary: ${JSON.stringify(haproxy)}, onExit: stop, log: none }
reload: { minInterval: 500ms }
admin: { listen: "127.0.0.1:${adminPort}" }
probes: { listen: "127.0.0.1:${probesPort}" }
`;
}

function countsOf(status: Status | null): { readonly generation: number; readonly processes: number } {
  const haproxy = status?.haproxy ?? null;
  return { generation: haproxy?.generation ?? 0, processes: haproxy === null ? 0 : 1 + haproxy.oldWorkers.length };
}

type Reloads = Awaited<ReturnType<DemoInstance['reloads']>>;

function summary(load: LoadReport, changes: number, { count, reasons }: Reloads, arrivals: readonly Arrival[]): string {
  const failures = Object.entries(load.failures).map(([kind, times]) => `${times} ${kind}`);
  const answers = Object.entries(load.answers).map(([backend, times]) => `${backend} ${times}`);
  return `${table([
    ['requests', String(load.requests)],
    ['failed', [String(load.failed), ...failures].join(', ')],
    ['latency', `p50 ${load.p50Ms.toFixed(1)} ms, p99 ${load.p99Ms.toFixed(1)} ms`],
    ['answers', answers.join(', ')],
    ['changes', String(changes)],
    ['route', arrivals.map(arrivalText).join('; ')],
    ['reloads', `${count}, because of ${reasons.map(([reason, times]) => `${reason} ${times}`).join(', ')}`],
  ])}
Next: \`myelin init consul\` or \`myelin init file\` writes a config to start from, then \`myelin run\`.
`;
}

function arrivalText({ before, firstAnswerMs, hasReloaded }: Arrival): string {
  const how = hasReloaded ? 'with a reload' : 'by commands, in the same process';
  return `${newcomerHost} was answered ${before}, and 200 from ${firstAnswerMs.toFixed(0)} ms after its service came, ${how}`;
}
