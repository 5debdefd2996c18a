/** What the chart makes, judged by a real API server. */
import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { z } from 'zod';
import { type Cluster, startKubernetes } from '../servers/kubernetes.ts';
import { operatorDefinitions } from '../servers/prometheus-operator.ts';
import { until } from '../support/index.ts';
import {
  dig,
  handingOver,
  handover,
  type KubernetesObject,
  only,
  pathIn,
  type Shape,
  shaped,
  shapes,
  type Values,
  workloadIn,
} from '../support/kubernetes/chart.ts';
import { followServices, putService, putSlice } from '../support/kubernetes/services.ts';

const cluster: Cluster = await startKubernetes();
after(() => cluster[Symbol.asyncDispose]());

for (const name of ['edge', 'shop']) await cluster.api('POST', '/api/v1/namespaces', { metadata: { name } });
const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
await cluster.api('POST', '/api/v1/namespaces', { metadata: { name: 'strict', labels: restricted } });

/** Everything that the chart can make, in one release. */
const everything: Values = {
  config: { haproxy: { prometheus: { bind: '*:8404' } } },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
  prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
  dashboard: { enabled: true, annotations: { grafana_folder: 'HAProxy' } },
  templates: { 'server.hbs': 'server {{name}}\n' },
  service: { annotations: { note: 'x' }, spec: { sessionAffinity: 'ClientIP' } },
  networkPolicy: { from: [{ podSelector: {} }], egress: [{ ports: [{ port: 53, protocol: 'UDP' }] }] },
  serviceAccount: { annotations: { note: 'x' } },
  lowPorts: 'sysctl',
  imagePullSecrets: [{ name: 'registry' }],
  extraEnv: [{ name: 'CONSUL_HTTP_TOKEN', valueFrom: { secretKeyRef: { name: 'consul', key: 'token' } } }],
  extraVolumes: [{ name: 'tls', secret: { secretName: 'web' } }],
  extraVolumeMounts: [{ name: 'tls', mountPath: '/etc/haproxy/tls', readOnly: true }],
  extraContainers: [{ name: 'app', image: 'app' }],
  podAnnotations: { note: 'x' },
  podLabels: { note: 'x' },
  priorityClassName: 'system-node-critical',
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ operator: 'Exists' }],
  affinity: { nodeAffinity: {} },
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'kubernetes.io/arch', whenUnsatisfiable: 'ScheduleAnyway' }],
};

/** As `kubectl apply --dry-run=server --validate=strict`: a field that is unknown or written twice is an error. */
async function judge(object: KubernetesObject): Promise<unknown> {
  return await cluster.api('POST', `${pathIn(object)}?dryRun=All&fieldValidation=Strict`, object);
}

async function define(): Promise<void> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  for (const definition of await operatorDefinitions()) await cluster.api('POST', path, definition);
  for (const plural of ['servicemonitors', 'prometheusrules'])
    await until(`${plural} are served`, () =>
      cluster.api('GET', `/apis/monitoring.coreos.com/v1/${plural}`).then(
        () => true,
        () => false,
      ),
    );
}

test('a real API server accepts every object of every shape, each field of it', { timeout: 120_000 }, async () => {
  await define();
  const kinds = new Set<string>();
  for (const shape of shapes)
    for (const values of [{}, everything])
      for (const object of await shaped(shape, values)) {
        await judge(object);
        kinds.add(object.kind);
      }
  assert.deepEqual([...kinds].sort(), [
    'ConfigMap',
    'DaemonSet',
    'Deployment',
    'NetworkPolicy',
    'PodDisruptionBudget',
    'PrometheusRule',
    'Role',
    'RoleBinding',
    'Service',
    'ServiceAccount',
    'ServiceMonitor',
  ]);
  const wide = { config: { watchers: { cluster: { namespaces: 'all' } } } };
  for (const object of await shaped('deployment', wide)) await judge(object);
  const scraped = { ...everything, ...handingOver, lowPorts: 'none', handover: { ...handover, metricsAddress: '*' } };
  for (const values of [handingOver, scraped])
    for (const object of await shaped('daemonset', values)) await judge(object);
  const [first] = await shaped('deployment');
  assert.ok(first !== undefined);
  await assert.rejects(judge({ ...first, sepc: {} }), /unknown field \\"sepc\\"/);
});

/** The pod that a controller would make of the shape; the namespace `strict` enforces the standard `restricted`. */
async function podOf(shape: Shape, values: Values = {}, namespace = 'strict'): Promise<KubernetesObject> {
  const template = dig(workloadIn(await shaped(shape, values)), 'spec', 'template');
  const spec = z.looseObject({}).parse(dig(template, 'spec'));
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', namespace }, spec };
}

test('pods that hand over claim no port, so that a node takes two; any that they named would be claimed', async () => {
  const pod = await podOf('daemonset', handingOver, 'edge');
  const claimed = async (): Promise<readonly unknown[]> => {
    const containers = z.array(z.unknown()).parse(dig(await judge(pod), 'spec', 'containers'));
    return containers.map((each) => dig(each, 'ports', 0, 'hostPort'));
  };
  assert.deepEqual(await claimed(), [undefined]);
  const container = dig(pod, 'spec', 'containers', 0);
  assert.ok(typeof container === 'object' && container !== null);
  Object.assign(container, { ports: [{ containerPort: 8080 }] });
  assert.deepEqual(await claimed(), [8080]);
});

test('pods keep the Pod Security Standard `restricted`, but for what is asked for: ports or the network of the node, the capability', async () => {
  const withoutHostPort = { ports: [{ name: 'http', port: 8080 }] };
  await judge(await podOf('sidecar', { lowPorts: 'sysctl' }));
  await judge(await podOf('deployment'));
  await judge(await podOf('daemonset', withoutHostPort));
  await assert.rejects(judge(await podOf('daemonset')), /violates PodSecurity.*hostPort/);
  await assert.rejects(judge(await podOf('daemonset', handingOver)), /violates PodSecurity.*host namespaces/);
  await assert.rejects(judge(await podOf('deployment', { lowPorts: 'netBindService' })), /allowPrivilegeEscalation/);
});

test('the chart’s rights are all that the watcher needs, and reach nowhere else', { timeout: 60_000 }, async () => {
  const all = await shaped('sidecar');
  const rights = all.filter(({ kind }) => ['ServiceAccount', 'Role', 'RoleBinding'].includes(kind));
  assert.equal(rights.length, 3);
  for (const object of rights) await cluster.api('POST', pathIn(object), object);

  const account = only(all, 'ServiceAccount').metadata.name;
  const path = `/api/v1/namespaces/edge/serviceaccounts/${account}/token`;
  const token = z
    .string()
    .parse(dig(await cluster.api('POST', path, { spec: { expirationSeconds: 600 } }), 'status', 'token'));

  await putService(cluster, 'shop', 'web', { ports: [{ port: 80 }] });
  await putSlice(cluster, 'shop', 'web', 'web-1', { endpoints: [{ addresses: ['192.0.2.1'] }], ports: [{ port: 80 }] });
  await using heard = await followServices(cluster, 'shop', { web: {} }, { credentials: { token } });
  await until('the service is served', () => heard.served('web')?.length === 1);
  await putSlice(cluster, 'shop', 'web', 'web-2', { endpoints: [{ addresses: ['192.0.2.2'] }], ports: [{ port: 80 }] });
  await until('the change has come', () => heard.served('web')?.length === 2);
  assert.deepEqual(heard.served('web'), ['192.0.2.1:80', '192.0.2.2:80']);

  const services = (namespace: string): string => `/api/v1/namespaces/${namespace}/services`;
  await cluster.api('GET', services('shop'), undefined, token);
  for (const forbidden of [services('edge'), '/api/v1/namespaces/shop/secrets', '/api/v1/namespaces/shop/pods'])
    await assert.rejects(cluster.api('GET', forbidden, undefined, token), /HTTP 403/, forbidden);
  await assert.rejects(cluster.api('DELETE', `${services('shop')}/web`, undefined, token), /HTTP 403/);
});
