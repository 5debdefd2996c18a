/** What `myelin why` is told of a Service: the whole way from the question to the API to the words. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SourceAnswer } from '../../../../src/model.ts';
import { withCommon } from '../../../../watchers/kit/source.ts';
import { explainKubernetes } from '../../../../watchers/kubernetes/explain.ts';
import { kubernetesQuery, kubernetesSettings } from '../../../../watchers/kubernetes/settings.ts';
import { startApiStub } from '../../../servers/api-stub.ts';
import { forFile } from '../../../support/for-file.ts';
import { tempFolder } from '../../../support/index.ts';
import { kubeconfigText } from '../../../support/kubernetes/kubeconfig.ts';

const [stub, folder] = await Promise.all([forFile(startApiStub()), forFile(tempFolder())]);
const kubeconfig = join(folder.path, 'kubeconfig');
await writeFile(kubeconfig, kubeconfigText(stub.address, { token: 'x' }, { namespace: 'shop' }));

function putService(name: string, spec: object = {}, metadata: object = {}): void {
  const written = { selector: { app: name }, ports: [{ name: 'http', port: 80 }], ...spec };
  stub.put('services', { metadata: { name, namespace: 'shop', ...metadata }, spec: written });
}

function putSlice(service: string, endpoints: readonly object[]): void {
  const labels = { 'kubernetes.io/service-name': service };
  const ports = [{ name: 'http', port: 8080, protocol: 'TCP' }];
  const metadata = { name: `${service}-1`, namespace: 'shop', labels };
  stub.put('endpointslices', { metadata, addressType: 'IPv4', ports, endpoints });
}

/** `settings` of the watcher; `many`: the labels by which the Service was discovered. */
function explained(
  key: string,
  { query = {}, settings = {}, many }: { query?: object; settings?: object; many?: Record<string, string> } = {},
): Promise<SourceAnswer> {
  const asked = many === undefined ? kubernetesQuery.parse(query) : { labels: many, namespace: undefined };
  const { signal } = new AbortController();
  const read = withCommon(kubernetesSettings).parse({ kubeconfig, ...settings });
  return explainKubernetes(read, { key, settings: asked }, { env: {}, onSecret: () => {}, signal });
}

const whyNot = async (...args: Parameters<typeof explained>): Promise<string> => {
  const { unfit } = await explained(...args);
  return unfit === null ? 'nothing is wrong' : `${unfit.reason} | ${unfit.remedy}`;
};

test('a Service that cannot be served is told with what is in the way, and what to do', async () => {
  putService('several', {
    ports: [
      { name: 'a', port: 80 },
      { name: 'b', port: 81 },
    ],
  });
  putService('outside', { type: 'ExternalName', externalName: 'db.example' });
  assert.match(await whyNot('web'), /^there is no Service shop\/web \| create it, or name another/);
  assert.match(
    await whyNot('several'),
    /Service shop\/several has several ports: name one \(it has a: 80, b: 81\) \| name one: `port`/,
  );
  assert.match(await whyNot('several', { query: { port: 'c' } }), /has no TCP port "c" \(it has a: 80, b: 81\)/);
  assert.match(await whyNot('outside'), /stands for the host "db\.example"; to accept it, write externalName: resolve/);
  assert.match(await whyNot('Not_a_name'), /cannot be the name of a Service/);
  assert.match(
    await whyNot('x', { query: { namespace: 'other' }, settings: { namespaces: 'shop' } }),
    /the watcher's `namespaces` do not include other \| write it/,
  );
  const host = await explained('outside', { query: { port: 5432 }, settings: { externalName: 'resolve' } });
  assert.deepEqual(
    host.instances.map(({ id, port, unfit }) => [id, port, unfit]),
    [['db.example', 5432, null]],
  );
});

test('everyone in the slices is told, ready or not; where nobody is, what the selector is and what cannot be seen', async () => {
  putService('web');
  putSlice('web', [
    { addresses: ['192.0.2.1'], targetRef: { kind: 'Pod', name: 'web-a' } },
    { addresses: ['192.0.2.2'], targetRef: { kind: 'Pod', name: 'web-b' }, conditions: { ready: false } },
  ]);
  const { unfit, instances } = await explained('web');
  assert.equal(unfit, null);
  assert.deepEqual(
    instances.map((one) => `${one.id} ${one.address}:${one.port} ${one.unfit}`),
    ['web-a 192.0.2.1:8080 null', 'web-b 192.0.2.2:8080 it is not ready'],
  );
  putService('lonely');
  const { said } = await explained('lonely');
  assert.match(
    said.join('\n'),
    /^no EndpointSlice belongs to it\nwhether pods fit its selector \(app=lonely\) is not to be seen.*: list pods in namespace shop: HTTP 404/,
  );
  putService('by-hand', { selector: null });
  putSlice('by-hand', []);
  assert.deepEqual((await explained('by-hand')).said, [
    'its EndpointSlices are empty',
    'it has no selector: its EndpointSlices are not made by the cluster',
  ]);
});

test('a discovered Service is told by its own port, and that it lacks the label', async () => {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'admin', port: 81 },
  ];
  putService('found', { ports }, { labels: { expose: 'true' }, annotations: { 'myelin.dev/port': 'http' } });
  putSlice('found', [{ addresses: ['192.0.2.3'] }]);
  const { instances } = await explained('*shop/found', { many: { expose: 'true' } });
  assert.deepEqual(
    instances.map(({ id }) => id),
    ['192.0.2.3:8080'],
  );
  assert.match(
    await whyNot('*shop/found', { many: { expose: 'yes' } }),
    /lacks the label expose=yes \(`discover`\) \| kubectl label service -n shop found expose=yes$/,
  );
});

test('an API server that refuses is no answer: the rule that is missing is told', async () => {
  stub.fail(403);
  try {
    await assert.rejects(explained('web'), {
      message:
        /^list services in namespace shop: HTTP 403 .*; the rule \{ apiGroups: \[""\], resources: \["services"\].* of a Role in shop allows it$/,
    });
  } finally {
    stub.fail(null);
  }
});
