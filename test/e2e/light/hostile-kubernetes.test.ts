/**
 * Whoever may write Services, slices or files says what an API server or a disk can hold: Myelin lives within a bounded memory,
 * its status stays short, and all other services are served and follow their sources.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ApiStub, startApiStub } from '../../servers/api-stub.ts';
import { startBackends } from '../../servers/backend.ts';
import { isApplied } from '../../support/applied.ts';
import { forFile } from '../../support/for-file.ts';
import { freePort } from '../../support/index.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { assertValid, servedBy } from '../../support/load/traffic.ts';
import { type MyelinProcess, type Workplace, workplace } from '../../support/sites/myelin.ts';

const backends = await forFile(startBackends(['alpha', 'beta']));

const mib = 2 ** 20;
/** What is written about in some MB each would fill this many times over. */
const heapMiB = 200;
const memoryMiB = 600;

type Metadata = { readonly labels?: object; readonly annotations?: object };

function putService(stub: ApiStub, name: string, metadata: Metadata = {}, spec: object = {}): void {
  stub.put('services', {
    metadata: { name, namespace: 'shop', ...metadata },
    spec: { ports: [{ port: 80 }], ...spec },
  });
}

function putSlice(stub: ApiStub, service: string, name: string, rest: object): void {
  const labels = { 'kubernetes.io/service-name': service };
  stub.put('endpointslices', { metadata: { name, namespace: 'shop', labels }, addressType: 'IPv4', ...rest });
}

/** Served is `good`, at this backend. */
function serve(stub: ApiStub, backend: 'alpha' | 'beta'): void {
  const endpoints = [{ addresses: ['127.0.0.1'], targetRef: { kind: 'Pod', name: backend } }];
  putSlice(stub, 'good', 'good-1', { endpoints, ports: [{ port: backends[backend].port }] });
}

async function memoryOf(pid: number): Promise<number> {
  const [, peak] = /^VmHWM:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(peak) / 1024;
}

async function isBounded(place: Workplace, myelin: MyelinProcess): Promise<void> {
  const status = JSON.stringify(await place.status());
  assert.ok(status.length < 300_000, `a status of ${status.length} characters`);
  const peak = await memoryOf(myelin.pid);
  assert.ok(peak < memoryMiB, `${Math.round(peak)} MiB`);
  assert.ok(myelin.output.length < mib, `${myelin.output.length} characters of log`);
}

/** Shared, so that they fill no memory here: of all Services of a kind. */
const ranges = Array.from({ length: 60_000 }, (_, at) => `10.${at >> 8}.${at & 255}.0/24`);
const annotation = 'x'.repeat(250_000);

async function hostileSite() {
  const stub = await startApiStub();
  const [port, filed] = [await freePort(), await freePort()];
  putService(stub, 'good');
  serve(stub, 'alpha');
  const place = await workplace(
    [
      'watchers: { cluster: { type: kubernetes, kubeconfig: ./kubeconfig, maxServers: 20 }, file: { path: services.d } }',
      'services:',
      `  good: { bind: "127.0.0.1:${port}", from: { cluster: {} } }`,
      `  filed: { bind: "127.0.0.1:${filed}", from: { file: {} } }`,
      'discover: { cluster: { labels: { expose: "true" }, maxPerNamespace: 10, ports: "1024-65535" } }',
      'allowAddresses: [127.0.0.0/8]',
      'haproxy: { log: none }',
      'reload: { minInterval: 100ms }',
      'probes: { listen: "off" }',
      '',
    ].join('\n'),
  );
  await place.write('kubeconfig', kubeconfigText(stub.address, {}, { namespace: 'shop' }));
  await place.write('services.d/10-filed.yaml', `services: { filed: ["127.0.0.1:${backends.alpha.port}"] }\n`);
  place.env = { NODE_OPTIONS: `--max-old-space-size=${heapMiB}` };
  return {
    stub,
    place,
    port,
    filed,
    async [Symbol.asyncDispose]() {
      await place[Symbol.asyncDispose]();
      await stub[Symbol.asyncDispose]();
    },
  };
}

test('a namespace full of fat Services is read in a heap that does not hold them, and the others are served', async () => {
  await using my = await hostileSite();
  const { stub, place } = my;
  for (let at = 0; at < 400; at++) putService(stub, `fat-${at}`, {}, { loadBalancerSourceRanges: ranges });
  for (let at = 0; at < 200; at++)
    putService(stub, `noted-${at}`, { labels: { expose: 'true' }, annotations: { 'myelin.dev/balance': annotation } });
  const myelin = place.run();
  await myelin.until('it serves', ({ state }) => state !== 'starting', 120_000);
  await servedBy(my.port, 'alpha');
  await servedBy(my.filed, 'alpha');
  serve(stub, 'beta');
  await servedBy(my.port, 'beta');
  assert.ok(stub.largestAnswer < 9 * mib);
  await isBounded(place, myelin);
  await assertValid(place);
});

/** Something on one line or more, of a length that hardly anybody expects. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('\n    server evil 192.0.2.1:80', '${HOME}', '%[src]', '{{x}}', annotation, '0'.repeat(5000)),
);
const often = (length: number) => fc.constantFrom(1, 10, length);

const writes: fc.Arbitrary<(stub: ApiStub) => void> = fc.oneof(
  fc
    .record({ name: fc.nat(20), annotations: fc.dictionary(text, text, { maxKeys: 20 }), ports: often(20_000) })
    .map(({ name, annotations, ports }) => (stub: ApiStub) => {
      const own = Object.fromEntries(Object.entries(annotations).map(([key, value]) => [`myelin.dev/${key}`, value]));
      const spec = { ports: Array.from({ length: ports }, (_, at) => ({ name: `p${at}`, port: (at % 65_535) + 1 })) };
      putService(stub, `evil-${name}`, { labels: { expose: 'true' }, annotations: own }, spec);
    }),
  fc.nat(1000).map((first) => (stub: ApiStub) => {
    for (let at = first; at < first + 50; at++)
      putService(stub, `many-${at}`, {
        labels: { expose: 'true' },
        annotations: { 'myelin.dev/listen': `${2000 + at}` },
      });
  }),
  fc
    .record({
      service: fc.constantFrom('evil-0', 'evil-1', 'many-0'),
      slices: often(10),
      id: text,
      address: fc.oneof(text, fc.ipV4(), fc.ipV6(), fc.constant('169.254.169.254')),
    })
    .map(({ service, slices, id, address }) => (stub: ApiStub) => {
      for (let slice = 0; slice < slices; slice++)
        putSlice(stub, service, `${service}-${slice}`, {
          endpoints: Array.from({ length: 1000 }, (_, at) => ({
            addresses: [at === 0 ? address : `10.${slice}.${at >> 8}.${at & 255}`],
            targetRef: { kind: 'Pod', name: at === 0 ? id : `pod-${slice}-${at}` },
            zone: at === 0 ? id : 'za',
          })),
          ports: [{ port: 80 }, ...Array.from({ length: 99 }, (_, at) => ({ name: `p${at}`, port: at + 1 }))],
        });
    }),
);

/** By name: a counterexample is to be short. */
const files: Readonly<Record<string, string>> = {
  words: JSON.stringify({ services: { filed: ['x', '\n', annotation], evil: [annotation] } }),
  'wrong entries': `services:\n  filed:\n${'    - { address: x, port: 0, weight: 257 }\n'.repeat(50_000)}`,
  'one service again and again': `services:\n${'  filed: ["192.0.2.1:80"]\n'.repeat(20_000)}`,
  aliases: `a: &a [${'x,'.repeat(100)}]\nb: &b [${'*a,'.repeat(100)}]\nservices: { filed: [${'*b,'.repeat(100)}] }`,
  'too long': `services: { filed: ["${'x'.repeat(9 * mib)}"] }`,
  'many services': `services:\n${Array.from({ length: 30_000 }, (_, at) => `  s${at}: ["192.0.2.1:80"]\n`).join('')}`,
  nothing: '',
};

test('whatever is written while it runs, it lives in bounds, and the services of others follow theirs', async () => {
  await using my = await hostileSite();
  const { stub, place } = my;
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  let backend: 'alpha' | 'beta' = 'alpha';
  await fc.assert(
    fc.asyncProperty(fc.array(writes, { maxLength: 8 }), fc.constantFrom(...Object.keys(files)), async (all, file) => {
      for (const write of all) write(stub);
      await place.write('services.d/20-evil.yaml', files[file] ?? '');
      backend = backend === 'alpha' ? 'beta' : 'alpha';
      serve(stub, backend);
      await place.write('services.d/10-filed.yaml', `services: { filed: ["127.0.0.1:${backends[backend].port}"] }\n`);
      await servedBy(my.port, backend);
      await servedBy(my.filed, backend);
      await isBounded(place, myelin);
    }),
    { numRuns: 12, endOnFailure: true },
  );
  await assertValid(place);
});
