/** What a cluster of 2,000 Services with 20,000 endpoints costs: the start, memory, one change, and 500 a second. */
import { get } from 'node:http';
import timers from 'node:timers/promises';
import { ask } from '../src/haproxy/cli/socket.ts';
import { startFrontends } from '../test/servers/backend.ts';
import { type Cluster, startKubernetes } from '../test/servers/kubernetes.ts';
import { freePort, until } from '../test/support/index.ts';
import { kubeconfigText } from '../test/support/kubernetes/kubeconfig.ts';
import { slicesPath } from '../test/support/kubernetes/services.ts';
import { quantile } from '../test/support/load/figures.ts';
import { built, cli } from '../test/support/sites/cli.ts';
import { type Workplace, workplace } from '../test/support/sites/myelin.ts';
import { type Asking, startAsking } from './asking.ts';
import { now } from './clock.ts';
import { cpuSeconds, memoryMiB } from './process.ts';
import { table } from './report.ts';

const namespace = 'shop';
const endpointsEach = 10;
/** `singleChanges` one after the other, then `changesASecond` at once. */
const sizes = {
  full: { serviceCount: 2000, singleChanges: 50, changesASecond: 500, churnSeconds: 10 },
  short: { serviceCount: 200, singleChanges: 2, changesASecond: 20, churnSeconds: 1 },
} as const;
type Size = (typeof sizes)['full' | 'short'];
/** Of the changes while there are so many, those whose first answer is waited for. */
const watchedEveryMs = 500;

/** A Service of one slice; no two have an endpoint in common. */
type Service = { readonly name: string; readonly port: number; readonly pods: readonly Pod[] };
type Pod = { readonly name: string; readonly address: string };

/** 20 groups of 100 Services: a group shares its ten addresses, and each of its Services has a port of its own. */
const servicesAGroup = 100;
const firstPort = 30_000;
/** From here on addresses are spare: pods that come are there. */
const firstSpare = 1 + (sizes.full.serviceCount / servicesAGroup) * endpointsEach;
const spares = 47;

export async function measureScale(isShort: boolean): Promise<string> {
  const size = sizes[isShort ? 'short' : 'full'];
  const { serviceCount, singleChanges } = size;
  await using stack = new AsyncDisposableStack();
  stack.use(await startFrontends([everywhere]));
  const cluster = stack.use(await startKubernetes({ controllers: false }));
  await cluster.namespace(namespace);
  const services = Array.from({ length: serviceCount }, (_, at) => serviceAt(at));
  await inParallel(services, (service) => create(cluster, service));

  const port = await freePort();
  const place = stack.use(await workplace(configOf(port, services), isShort ? cli : built));
  const { address, caFile } = cluster;
  const credentials = { token: await cluster.token(namespace) };
  await place.write('kubeconfig', kubeconfigText(address, credentials, { caFile, namespace }));
  const startedAt = performance.now();
  const myelin = place.run();
  await until('it serves', () => answers(port, services.at(-1)), { withinMs: 120_000, everyMs: 10 });
  const startMs = performance.now() - startedAt;
  const startCpu = await cpuSeconds(myelin.pid);
  await until('all are there', () => assertAll(place, services), { withinMs: 30_000 });
  const memoryAtStart = await memoryMiB(myelin.pid, 'VmRSS');
  // It serves a moment before Myelin has seen it prove itself.
  const first = await myelin.until('what serves is known', ({ haproxy }) => haproxy !== null);

  const asking = stack.use(await startAsking());
  const single: number[] = [];
  for (let change = 0; change < singleChanges; change++) {
    await timers.setTimeout(250 + 100 * Math.random());
    single.push(await changeOne(cluster, asking, port, services, change));
  }

  const isOver = new AbortController();
  const cpuBefore = await cpuSeconds(myelin.pid);
  const churning = churn(cluster, services, size);
  void churning.finally(() => isOver.abort());
  const during: number[] = [];
  // These are at the other end of the list: who changes twice at once is nobody's to wait for.
  for (let change = 0; !isOver.signal.aborted; change++) {
    during.push(await changeOne(cluster, asking, port, services, serviceCount - 1 - change));
    await timers.setTimeout(watchedEveryMs);
  }
  const { writes, tookMs } = await churning;
  const endedAt = performance.now();
  await until('what was written last is there', () => assertAll(place, services), {
    withinMs: 60_000,
    everyMs: 10,
  });
  const behindMs = performance.now() - endedAt;
  const cpu = (await cpuSeconds(myelin.pid)) - cpuBefore;
  const last = await place.status();
  const ms = (value: number): string => `${value.toFixed(value < 100 ? 1 : 0)} ms`;
  const rate = (writes / tookMs) * 1000;
  return table([
    [`${serviceCount} Services, ${serviceCount * endpointsEach} endpoints`, ''],
    ['from the start of Myelin to the first answer', `${(startMs / 1000).toFixed(2)} s`],
    ['CPU time of Myelin until then', `${startCpu.toFixed(2)} s`],
    ['memory (RSS) then', `${memoryAtStart.toFixed(0)} MiB`],
    [
      `one of ten endpoints replaced: first answer of the new one, ${single.length} changes`,
      `p50 ${ms(quantile(single, 0.5))}, p99 ${ms(quantile(single, 0.99))}`,
    ],
    [
      `${rate.toFixed(0)} such changes a second, for ${(tookMs / 1000).toFixed(1)} s: the same, ${during.length} of them`,
      `p50 ${ms(quantile(during, 0.5))}, max ${ms(quantile(during, 1))}`,
    ],
    ['all that was written is live, after the last write', ms(behindMs)],
    ['CPU time of Myelin meanwhile', `${cpu.toFixed(2)} s`],
    [
      'memory (RSS) then, and its peak',
      `${(await memoryMiB(myelin.pid, 'VmRSS')).toFixed(0)} MiB, ${(await memoryMiB(myelin.pid, 'VmHWM')).toFixed(0)} MiB`,
    ],
    ['reloads', `${(last.haproxy?.generation ?? Number.NaN) - (first.haproxy?.generation ?? Number.NaN)}`],
  ]);
}

/** Whoever is asked answers with where it was reached. */
const everywhere = [
  'frontend everywhere',
  `    bind *:${firstPort}-${firstPort + servicesAGroup - 1}`,
  '    http-request return status 200 content-type text/plain lf-string "%[dst]:%[dst_port]"',
].join('\n');

function serviceAt(at: number): Service {
  const name = `s${at}`;
  const group = Math.floor(at / servicesAGroup);
  const pods = Array.from({ length: endpointsEach }, (_, each) => ({
    name: `${name}-${each}`,
    address: `192.0.2.${1 + group * endpointsEach + each}`,
  }));
  return { name, port: firstPort + (at % servicesAGroup), pods };
}

/** One frontend for all, which knows them by the Host header. Checks of 20,000 servers would be the machine's whole work. */
function configOf(port: number, services: readonly Service[]): string {
  return [
    'watchers: { kubernetes: { kubeconfig: ./kubeconfig } }',
    'services:',
    ...services.map(({ name }) => `  ${name}: { check: { type: none } }`),
    'haproxy:',
    '  log: none',
    '  sections:',
    '    - |',
    '      frontend all',
    `          bind 127.0.0.1:${port}`,
    '          use_backend %[req.hdr(host)]',
    'probes: { listen: "off" }',
    '',
  ].join('\n');
}

function sliceOf({ name, port, pods }: Service): object {
  return {
    metadata: { name, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: pods.map((pod) => ({
      addresses: [pod.address],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'node-1',
      zone: 'za',
      targetRef: { kind: 'Pod', namespace, name: pod.name },
    })),
    ports: [{ name: 'http', port, protocol: 'TCP' }],
  };
}

async function create(cluster: Cluster, service: Service): Promise<void> {
  const { name } = service;
  // Headless: the range of virtual addresses is small.
  const spec = { clusterIP: 'None', ports: [{ name: 'http', port: 80 }] };
  await cluster.api('POST', `/api/v1/namespaces/${namespace}/services`, { metadata: { name }, spec });
  await cluster.api('POST', slicesPath(namespace), sliceOf(service));
}

/** In the place of the oldest pod there is a new one, at a spare address. */
function withNewPod(service: Service, change: number): Service {
  const [, ...rest] = service.pods;
  const taken = new Set(service.pods.map((pod) => pod.address));
  const address = Array.from({ length: spares }, (_, at) => `192.0.2.${firstSpare + ((change + at) % spares)}`).find(
    (one) => !taken.has(one),
  );
  if (address === undefined) throw new RangeError('there are too few spare addresses');
  return { ...service, pods: [...rest, { name: `${service.name}-new${change}`, address }] };
}

let changesMade = 0;

/** Settles when it is written. */
async function change(cluster: Cluster, services: Service[], at: number): Promise<void> {
  const before = services[at] as Service;
  const service = withNewPod(before, changesMade++);
  services[at] = service;
  await cluster.api('PUT', `${slicesPath(namespace)}/${service.name}`, sliceOf(service));
}

/** How long until the new endpoint answers. */
async function changeOne(
  cluster: Cluster,
  asking: Asking,
  port: number,
  services: Service[],
  at: number,
): Promise<number> {
  const expected = withNewPod(services[at] as Service, changesMade);
  const body = `${expected.pods.at(-1)?.address}:${expected.port}`;
  const answering = asking.until({ port, host: expected.name, body });
  const changedAt = now();
  await change(cluster, services, at);
  return (await answering) - changedAt;
}

/** Each Service in turn: at this rate, or as fast as the API server takes it. */
async function churn(
  cluster: Cluster,
  services: Service[],
  { changesASecond, churnSeconds }: Size,
): Promise<{ readonly writes: number; readonly tookMs: number }> {
  const startedAt = performance.now();
  const writes = changesASecond * churnSeconds;
  await inParallel([...Array(writes).keys()], async (write) => {
    const dueMs = startedAt + (write * 1000) / changesASecond - performance.now();
    if (dueMs > 0) await timers.setTimeout(dueMs);
    // The last ones are those whose answers are waited for meanwhile.
    await change(cluster, services, write % (services.length - servicesAGroup));
  });
  return { writes, tookMs: performance.now() - startedAt };
}

/** `backend address:port` of every server that HAProxy sends traffic to. */
async function serversIn(place: Workplace): Promise<ReadonlySet<string>> {
  const rows = (await ask(place.path('run/admin.sock'), ['show servers state'])).split('\n');
  return new Set(
    rows.flatMap((row) => {
      const fields = row.split(' ');
      const [, backend, , , address, , admin] = fields;
      return admin === '0' ? [`${backend} ${address}:${fields[18]}`] : [];
    }),
  );
}

/** Throws where HAProxy’s servers are not those that were written, with some of the differences. */
async function assertAll(place: Workplace, services: readonly Service[]): Promise<true> {
  const servers = await serversIn(place);
  const wanted = new Set(
    services.flatMap(({ name, port, pods }) => pods.map(({ address }) => `${name} ${address}:${port}`)),
  );
  const missing = [...wanted].filter((one) => !servers.has(one));
  const left = [...servers].filter((one) => !wanted.has(one));
  if (missing.length + left.length === 0) return true;
  throw new Error(`${missing.length} missing (${missing.slice(0, 3)}), ${left.length} left (${left.slice(0, 3)})`);
}

async function inParallel<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const waiting = all.values();
  const worker = async (): Promise<void> => {
    for (const one of waiting) await work(one);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

function answers(port: number, service: Service | undefined): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const headers = { host: service?.name ?? '', connection: 'close' };
    const request = get({ host: '127.0.0.1', port, agent: false, headers }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('error', reject);
  });
}
