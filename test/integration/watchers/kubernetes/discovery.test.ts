/** Discovery with a real control plane: what is offered, and that all replicas come to the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { view } from '../../../../src/catalog/catalog.ts';
import { type Collection, collect, createCollection, nothingKnown } from '../../../../src/catalog/collection.ts';
import { loadConfig } from '../../../../src/config/load.ts';
import type { Config } from '../../../../src/config/schema.ts';
import { textOf } from '../../../../src/haproxy/text/layout/layout.ts';
import { Sources } from '../../../../src/sources/sources.ts';
import { startKubernetes } from '../../../servers/kubernetes.ts';
import { forFile } from '../../../support/for-file.ts';
import { tempFolder, until } from '../../../support/index.ts';
import { kubeconfigText, watcherRules } from '../../../support/kubernetes/kubeconfig.ts';
import { deleteService, putService, putSlice, replaceFile } from '../../../support/kubernetes/services.ts';
import { rendererWith, version } from '../../../support/values/render.ts';

const cluster = await forFile(startKubernetes());

/** As Myelin collects it, with no more rights than documented. */
async function collecting(namespace: string, discover = '{ labels: { expose: "true" }, ports: "10000-19999" }') {
  const folder = await tempFolder();
  const token = await cluster.token(namespace);
  const { address, caFile } = cluster;
  await replaceFile(`${folder.path}/kubeconfig`, kubeconfigText(address, { token }, { caFile, namespace }));
  const text = `watchers: { cluster: { type: kubernetes, kubeconfig: ./kubeconfig } }\ndiscover: { cluster: ${discover} }\n`;
  await replaceFile(`${folder.path}/myelin.yaml`, text);
  const { config } = await loadConfig(`${folder.path}/myelin.yaml`, {});
  const state = { now: createCollection(config, nothingKnown, Date.now()) };
  const sources = new Sources({
    env: {},
    onEvent(event) {
      state.now = collect(state.now, event, Date.now());
    },
    onFault(error) {
      throw error;
    },
  });
  await sources.use(config);
  return {
    state,
    async [Symbol.asyncDispose]() {
      await sources[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function service(
  namespace: string,
  name: string,
  annotations: object,
  addresses: readonly string[],
): Promise<void> {
  await putService(cluster, namespace, name, { ports: [{ port: 80 }] }, { labels: { expose: 'true' }, annotations });
  await putSlice(cluster, namespace, name, name, {
    endpoints: addresses.map((address) => ({ addresses: [address] })),
    ports: [{ port: 80 }],
  });
}

/** What is made from now on is younger than all there is: the API server tells ages in whole seconds. */
async function nextSecond(): Promise<void> {
  const now = second();
  await until('the next second begins', () => second() > now);
}

const second = (): number => Math.floor(Date.now() / 1000);

const listen = (port: number): object => ({ 'myelin.dev/listen': `${port}` });

function served({ config, catalog }: Collection): string {
  const { endpoints } = view(catalog);
  return [...config.services.keys()]
    .map((name) => `${name}=${(endpoints.get(name) ?? []).map(({ address }) => address).join('+')}`)
    .join(' ');
}

async function rendered({ config, catalog }: Collection): Promise<string> {
  const renderer = await rendererWith();
  const host = { version: version('2.6.12'), hostname: 'here' };
  return textOf(
    renderer.render({ config: withSamePaths(config), endpoints: view(catalog).endpoints, ...host }).sections,
  );
}

/** Each replica has a folder of its own. */
function withSamePaths(config: Config): Config {
  return { ...config, state: '/state', haproxy: { ...config.haproxy, statsSocket: '/admin.sock' } };
}

test('two replicas that heard the same in another order write the same bytes', async () => {
  await cluster.namespace('replicas');
  // The oldest is the last by name, and so in the lists of the API server.
  await service('replicas', 'z', listen(10001), ['192.0.2.122']);
  await nextSecond();
  for (const name of ['a', 'b']) await service('replicas', name, listen(10001), [`192.0.2.${name.charCodeAt(0)}`]);
  await using first = await collecting('replicas');
  await until(
    'the oldest serves, and the others are told to be too late',
    () => served(first.state.now) === 'replicas:z=192.0.2.122' && first.state.now.rejected.length === 2,
  );
  await service('replicas', 'd', listen(10002), ['192.0.2.2', '192.0.2.1']);
  await service('replicas', 'b', listen(10003), ['192.0.2.98']);
  await service('replicas', 'e', { 'myelin.dev/mode': 'x' }, ['192.0.2.5']);
  const goal = 'replicas:b=192.0.2.98 replicas:d=192.0.2.1+192.0.2.2 replicas:z=192.0.2.122';
  await until(
    'the first has followed',
    () => served(first.state.now) === goal && first.state.now.rejected.length === 2,
  );
  // It never knew another state than this one.
  await using second = await collecting('replicas');
  await until(
    'the second has the same',
    () => served(second.state.now) === goal && second.state.now.rejected.length === 2,
  );
  assert.deepEqual(second.state.now.rejected, first.state.now.rejected);
  assert.equal(await rendered(second.state.now), await rendered(first.state.now));
});

test('a Service that is deleted goes, one that is made anew with other choices is served by them', async () => {
  await cluster.namespace('anew');
  await service('anew', 'web', listen(10001), ['192.0.2.1']);
  await using heard = await collecting(
    'anew',
    '{ labels: { expose: "true" }, ports: "10000-19999", service: { onEmpty: accept } }',
  );
  await until('it is served', () => served(heard.state.now) === 'anew:web=192.0.2.1');
  await deleteService(cluster, 'anew', 'web');
  await until('it is gone', () => served(heard.state.now) === '');
  await service('anew', 'web', listen(10002), ['192.0.2.2']);
  await until('it is back', () => served(heard.state.now) === 'anew:web=192.0.2.2');
  assert.deepEqual(heard.state.now.config.services.get('anew:web')?.bind, ['127.0.0.1:10002']);
});

test('rights that are withdrawn take away nobody who was offered', async () => {
  await cluster.namespace('rights');
  await service('rights', 'web', listen(10001), ['192.0.2.1']);
  await using heard = await collecting('rights');
  await until('it is served', () => served(heard.state.now) === 'rights:web=192.0.2.1');
  await cluster.setRules('rights', []);
  await cluster.stopApiserver();
  await cluster.startApiserver();
  await until(
    'the missing right is told',
    () => /HTTP 403/.test(heard.state.now.catalog.sources.get('cluster')?.down?.reason ?? ''),
    { withinMs: 30_000 },
  );
  assert.equal(served(heard.state.now), 'rights:web=192.0.2.1');
  await cluster.setRules('rights', watcherRules);
  await service('rights', 'web', listen(10001), ['192.0.2.3']);
  await until('all goes on', () => served(heard.state.now) === 'rights:web=192.0.2.3', { withinMs: 30_000 });
});

test('two hundred offered Services are all there, and one more is no more work than itself', async (t) => {
  await cluster.namespace('many');
  const names = Array.from({ length: 200 }, (_, at) => `s${at}`);
  for (let at = 0; at < names.length; at += 20)
    await Promise.all(
      names.slice(at, at + 20).map((name, index) => service('many', name, listen(10_000 + at + index), ['192.0.2.1'])),
    );
  const startedAt = performance.now();
  await using heard = await collecting('many');
  await until(
    'all are served',
    () => view(heard.state.now.catalog).open && heard.state.now.config.services.size === names.length,
  );
  t.diagnostic(`${names.length} offers after ${Math.round(performance.now() - startedAt)} ms`);
  const before = heard.state.now.config.services.get('many:s7');
  await service('many', 'more', listen(19_000), ['192.0.2.1']);
  await until('one more is served', () => heard.state.now.config.services.has('many:more'));
  assert.equal(heard.state.now.config.services.get('many:s7'), before);
});
