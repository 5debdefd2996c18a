/** The Helm chart as Helm itself renders it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { ConfigError } from '../../src/config/problems.ts';
import {
  chart,
  configIn,
  containersOf,
  dig,
  exampleValues,
  handingOver,
  handover,
  type KubernetesObject,
  objects,
  only,
  runHelm,
  shaped,
  shapes,
  type Values,
  workloadIn,
} from '../support/kubernetes/chart.ts';
import { type Config, refusals, shownConfigs, substituted } from '../support/kubernetes/chart-configs.ts';
import { watcherRules } from '../support/kubernetes/kubeconfig.ts';
import { load } from '../support/values/config.ts';

const env = { NODE_NAME: 'node-1', POD_UID: '6b1f7a0e-2b0c-4f0e-9d0a-1c5f0d9e7a11' };

const binding = (...bind: readonly string[]): Values => ({ services: { web: { bind } } });

/** Where the rights hold: the namespaces of Roles, `*` for a ClusterRole. */
function rightsIn(all: readonly KubernetesObject[]): readonly string[] {
  const roles = all.filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole');
  return roles.map(({ metadata }) => metadata.namespace ?? '*').sort();
}

test('Helm finds nothing to complain about, neither by default nor in the example of any shape', async () => {
  const examples = shapes.map((shape) => [exampleValues(shape)]);
  for (const values of [[], ...examples, [exampleValues('daemonset'), handingOver]]) {
    const { status, stdout, stderr } = await runHelm('lint', ...values);
    assert.equal(status, 0, stdout + stderr);
  }
});

test('bad values are refused, by words that say where and what is allowed', async () => {
  const port = { name: 'http', port: 8080 };
  const cases: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ shape: 'pod' }, /'\/shape': value must be one of 'daemonset', 'sidecar', 'deployment'/],
    [{ shapes: 'daemonset' }, /additional properties 'shapes' not allowed/],
    [{ ports: [{ name: 'http' }] }, /'\/ports\/0': missing property 'port'/],
    [{ ports: [{ ...port, hostPort: 70_000 }] }, /'\/ports\/0\/hostPort': maximum: got 70,000, want 65,535/],
    [{ ports: [{ ...port, name: 'HTTP' }] }, /'\/ports\/0\/name': 'HTTP' does not match pattern/],
    [{ image: { tagg: '1' } }, /'\/image': additional properties 'tagg' not allowed/],
    [{ image: { digest: 'latest' } }, /'\/image\/digest': 'latest' does not match pattern/],
    [{ runAsUser: 0 }, /'\/runAsUser': minimum: got 0, want 1/],
    [{ drain: { delaySeconds: '10s' } }, /'\/drain\/delaySeconds': got string, want integer/],
    [{ rbac: { namespaces: 'shop' } }, /'\/rbac\/namespaces'/],
    [{ lowPorts: true }, /'\/lowPorts': value must be one of 'none', 'sysctl', 'netBindService'/],
    [{ ports: [port] }, /ports: http is port 8080 \(TCP\), at which nothing in config listens: it binds nothing/],
    [
      { ports: [port], config: binding('*:8081') },
      /http is port 8080 \(TCP\), at which nothing in config listens: it binds \*:8081/,
    ],
    [
      { ports: [{ ...port, protocol: 'UDP' }], config: binding('*:8080') },
      /http is port 8080 \(UDP\), at which nothing in config listens: it binds \*:8080/,
    ],
    [
      { ports: [port], config: binding('127.0.0.1:8080') },
      /http is port 8080, and 127\.0\.0\.1:8080 is reached from within the pod alone: bind "\*:8080"/,
    ],
    [
      { serviceMonitor: { enabled: true }, config: { haproxy: { prometheus: { bind: '127.0.0.1:8404' } } } },
      /Prometheus cannot reach HAProxy's metrics at 127\.0\.0\.1:8404/,
    ],
    [{ config: { haproxy: { control: 'none' } } }, /config\.haproxy\.control follows from `shape`.*leave it out/],
    [{ config: { state: '/tmp' } }, /config\.state is set by the chart; leave it out/],
    [{ shape: 'deployment', ports: [{ ...port, hostPort: 80 }] }, /hostPort \[80\] is for the shape daemonset/],
    [{ shape: 'sidecar', handover }, /handover is for the shape daemonset/],
    [{ handover, ports: [{ ...port, hostPort: 80 }] }, /with handover http has neither hostPort nor hostIP/],
    [{ handover, ports: [{ ...port, protocol: 'UDP' }] }, /with handover http cannot be UDP/],
    [{ handover, lowPorts: 'sysctl' }, /Kubernetes sets no sysctl for a pod in the network of its node/],
    [
      { handover, serviceMonitor: { enabled: true } },
      /Prometheus cannot reach 127\.0\.0\.1: set handover\.metricsAddress/,
    ],
    [{ handover: { ...handover, hostPath: 'run' } }, /'\/handover\/hostPath': 'run' does not match pattern/],
    [
      { handover: { ...handover, metricsAddress: 'here' } },
      /'\/handover\/metricsAddress': 'here' does not match pattern/,
    ],
    [{ handover, config: { haproxy: { handover: '/x' } } }, /config\.haproxy\.handover follows from `shape`/],
    [
      { config: { services: { web: { from: { kubernetes: { namespace: '${NS}' } } } } } },
      /the namespace \$\{NS\} is known in the pod alone: list those that are read in rbac\.namespaces/,
    ],
  ];
  for (const [values, words] of cases) {
    const { status, stderr } = await runHelm('template', values);
    assert.notEqual(status, 0, JSON.stringify(values));
    assert.match(stderr, words);
  }
});

test('a mistake in `config` is refused by Myelin’s own schema, in one line that says where and what', async () => {
  const cases: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ service: {} }, "': additional properties 'service' not allowed"],
    [{ services: { web: { bnd: ':80' } } }, "/services/web': additional properties 'bnd' not allowed"],
    [{ services: { web: { mode: 'htp' } } }, "/services/web/mode': value must be one of 'http', 'tcp'"],
    [{ services: { web: { bind: 80 } } }, "/services/web/bind': got number, want string"],
    [{ services: { web: { routes: [{ hots: 'a' }] } } }, "/services/web/routes/0': additional properties 'hots'"],
    [{ watchers: { consul: { adress: 'x' } } }, "/watchers/consul': additional properties 'adress' not allowed"],
    [{ watchers: { main: { type: 'file' } } }, "/watchers/main': missing property 'path'"],
    [{ watchers: { kuberntes: {} } }, "/watchers/kuberntes': missing property 'type'"],
    [
      { services: { web: { from: [{ kubernetes: { prot: 80 } }] } } },
      "/services/web/from/0/kubernetes': additional properties 'prot' not allowed",
    ],
    [{ discover: { kubernetes: { lables: {} } } }, "/discover/kubernetes': additional properties 'lables' not allowed"],
    [{ reload: { minInterval: 5 } }, "/reload/minInterval': got number, want string"],
  ];
  const told = await refusals(cases.map(([config]) => config));
  for (const [index, [config, words]] of cases.entries()) {
    const [line, ...others] = told.get(index) ?? [];
    assert.deepEqual(others, [], JSON.stringify(config));
    assert.ok(line?.startsWith(words), `${line} is not ${words}`);
  }
  for (const command of ['template', 'lint'] as const) {
    const { status, stdout, stderr } = await runHelm(command, { config: { services: { web: { bnd: ':80' } } } });
    assert.notEqual(status, 0, command);
    assert.match(`${stdout}${stderr}`, /'\/config\/services\/web': additional properties 'bnd' not allowed/);
  }
});

test('the schema of the values accepts every config that Myelin accepts, with substitutions too', async () => {
  const shown = await shownConfigs();
  const accepted: Config[] = [];
  for (const config of [...shown, ...shown.map(substituted)]) if (await isAccepted(config)) accepted.push(config);
  assert.ok(accepted.length > 100, `${accepted.length} of ${shown.length * 2}`);
  const own = { mine: { type: './own.ts', url: 'x' } };
  const others = [
    {},
    { watchers: { consul: null }, services: { web: null }, 'x-mine': 1 },
    { watchers: own, services: { web: { from: { mine: { path: 'x' } } } }, discover: { mine: { labels: 1 } } },
  ];
  const all = [...accepted, ...others];
  assert.deepEqual(
    [...(await refusals(all))].map(([index, words]) => [all[index], words]),
    [],
  );
});

function isAccepted(config: Config): Promise<boolean> {
  return load(JSON.stringify(config), env).then(
    () => true,
    (error: unknown) => {
      if (error instanceof ConfigError) return false;
      throw error;
    },
  );
}

test('the schema knows every value that values.yaml documents, and no other', async () => {
  const schema: unknown = JSON.parse(await readFile(join(chart, 'values.schema.json'), 'utf8'));
  const values: unknown = parse(await readFile(join(chart, 'values.yaml'), 'utf8'));
  const compare = (place: string, part: unknown, value: unknown): void => {
    const properties = dig(part, 'properties');
    if (dig(part, 'additionalProperties') !== false) return;
    const known = Object.keys(z.record(z.string(), z.unknown()).parse(properties));
    const given = Object.keys(z.record(z.string(), z.unknown()).parse(value));
    // Helm's own, for charts above this one.
    assert.deepEqual(given.sort(), known.filter((key) => key !== 'global').sort(), place);
    for (const key of given)
      if (`${place}.${key}` !== '.config') compare(`${place}.${key}`, dig(properties, key), dig(value, key));
  };
  assert.equal(dig(schema, 'additionalProperties'), false);
  compare('', schema, values);
});

test('Myelin accepts the myelin.yaml of every shape, with what the values say and where the shape puts things', async () => {
  for (const shape of shapes) {
    const { config } = await load(configIn(await shaped(shape)), env);
    assert.deepEqual([...config.services.keys()], ['web']);
    assert.equal(config.haproxy.control, shape === 'sidecar' ? 'master' : 'process');
    assert.equal(config.haproxy.onExit, shape === 'sidecar' ? 'keep' : 'stop');
    assert.equal(config.haproxy.version, shape === 'sidecar' ? '3.0' : undefined);
    assert.equal(config.probes.listen, '*:8406');
  }
  const { config } = await load(configIn(await objects()));
  assert.deepEqual(Object.keys(config.watchers), ['kubernetes']);
});

test('values reach myelin.yaml as they were meant: texts, large numbers and what Myelin itself fills in', async () => {
  const services = {
    web: {
      bind: '*:8080',
      mode: 'tcp',
      server: { maxconn: 2_000_000 },
      check: { type: 'http', host: 'yes', path: '/on' },
      backend: ['# ${NODE_NAME}', '# $${HOME}'],
    },
  };
  const text = configIn(
    await objects({ config: { watchers: { consul: { address: 'http://${NODE_NAME}:8500' } }, services } }),
  );
  const { config } = await load(text, env);
  const web = config.services.get('web');
  assert.equal(dig(config.watchers.consul, 'address'), 'http://node-1:8500');
  assert.equal(web?.server.maxconn, 2_000_000);
  assert.equal(web?.check.host, 'yes');
  assert.deepEqual(web?.backend, ['# node-1', '# ${HOME}']);
});

test('rights are those that the watcher needs, in the namespaces that the config names', async () => {
  const all = await shaped('daemonset');
  assert.deepEqual(dig(only(all, 'Role'), 'rules'), watcherRules);
  assert.deepEqual(rightsIn(all), ['shop']);

  const services = {
    own: { from: { near: {} } },
    far: { from: [{ near: { service: 'x', namespace: 'data' } }, { other: { service: 'y' } }] },
  };
  const watchers = {
    near: { type: 'kubernetes' },
    other: { type: 'kubernetes', namespace: 'logs', namespaces: ['wide'] },
  };
  assert.deepEqual(rightsIn(await objects({ config: { watchers, services } })), ['data', 'edge', 'logs', 'wide']);

  const discover = { near: { labels: { a: 'b' } }, other: { labels: { a: 'b' } }, wide: { labels: { a: 'b' } } };
  const found = { ...watchers, wide: { type: 'kubernetes', namespaces: ['only'] } };
  assert.deepEqual(rightsIn(await objects({ config: { watchers: found, discover } })), [
    'edge',
    'logs',
    'only',
    'wide',
  ]);

  const everywhere = await objects({ config: { watchers: { kubernetes: { namespaces: 'all' } } } });
  assert.deepEqual(rightsIn(everywhere), ['*']);
  assert.deepEqual(dig(only(everywhere, 'ClusterRole'), 'rules'), watcherRules);

  const told = await objects({ config: { services: { web: {} } }, rbac: { namespaces: ['a', 'b'] } });
  assert.deepEqual(rightsIn(told), ['a', 'b']);
  assert.deepEqual(rightsIn(await objects({ config: { services: { web: {} } }, rbac: { create: false } })), []);
});

test('only Myelin’s container gets a token of the cluster, and none where the cluster is not asked', async () => {
  const holders = (all: readonly KubernetesObject[]): readonly string[] =>
    containersOf(workloadIn(all)).flatMap(({ name, volumeMounts }) =>
      volumeMounts.some(({ mountPath }) => mountPath.startsWith('/var/run/secrets')) ? name : [],
    );
  const sidecar = await shaped('sidecar');
  assert.deepEqual(holders(sidecar), ['first-config', 'myelin']);
  assert.equal(dig(workloadIn(sidecar), 'spec', 'template', 'spec', 'automountServiceAccountToken'), false);
  for (const watchers of [{ consul: {} }, { cluster: { type: 'kubernetes', kubeconfig: '/etc/kube/config' } }]) {
    const all = await objects({ config: { watchers, services: { web: {} } } });
    assert.deepEqual(holders(all), []);
    assert.deepEqual(rightsIn(all), []);
  }
});

test('the next pod comes before the old one leaves, but for ports of the node, which only one can have', async () => {
  const update = (all: readonly KubernetesObject[]): unknown => {
    const { spec } = workloadIn(all);
    return dig(spec, 'updateStrategy', 'rollingUpdate') ?? dig(spec, 'strategy', 'rollingUpdate');
  };
  const overlapping = { maxUnavailable: 0, maxSurge: 1 };
  assert.deepEqual(update(await shaped('daemonset')), { maxUnavailable: 1, maxSurge: 0 });
  assert.deepEqual(update(await shaped('daemonset', { ports: [{ name: 'http', port: 8080 }] })), overlapping);
  assert.deepEqual(update(await shaped('sidecar')), overlapping);
  assert.deepEqual(update(await shaped('deployment')), overlapping);
  assert.equal(dig(only(await shaped('daemonset'), 'Service'), 'spec', 'internalTrafficPolicy'), 'Local');
});

test('pods that hand over are in the network of their node, claim no port of it, and find each other in a folder of it', async () => {
  const all = await shaped('daemonset', handingOver);
  const workload = workloadIn(all);
  assert.deepEqual(dig(workload, 'spec', 'updateStrategy', 'rollingUpdate'), { maxUnavailable: 0, maxSurge: 1 });
  const spec = dig(workload, 'spec', 'template', 'spec');
  assert.equal(dig(spec, 'hostNetwork'), true);
  assert.equal(dig(spec, 'dnsPolicy'), 'ClusterFirstWithHostNet');
  const [first, myelin, ...others] = containersOf(workload);
  assert.deepEqual(others, []);
  for (const each of [first, myelin]) assert.equal(each?.ports, undefined);
  const volumes = z.array(z.looseObject({ name: z.string() })).parse(dig(spec, 'volumes'));
  assert.deepEqual(
    volumes.find(({ name }) => name === 'handover'),
    { name: 'handover', hostPath: { path: '/run/myelin/edge.myelin', type: 'DirectoryOrCreate' } },
  );
  assert.deepEqual(first?.command, ['chown', '10001:10001', '/run/handover']);
  assert.deepEqual(first?.securityContext, {
    runAsNonRoot: false,
    runAsUser: 0,
    runAsGroup: 0,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'], add: ['CHOWN'] },
  });
  assert.deepEqual(
    first?.volumeMounts.map(({ mountPath }) => mountPath),
    ['/run/handover'],
  );

  const { config } = await load(configIn(all), env);
  // Two pods cannot both have an address for probes: they are asked over the control socket.
  const probe = (what: string): readonly string[] => ['myelin', 'probe', what, '--socket', config.admin.socket];
  assert.deepEqual(dig(myelin, 'startupProbe', 'exec', 'command'), probe('ready'));
  assert.deepEqual(dig(myelin, 'livenessProbe', 'exec', 'command'), probe('live'));
  assert.equal(dig(myelin, 'readinessProbe'), undefined);
  assert.ok(all.every(({ kind }) => kind !== 'NetworkPolicy'));
  assert.equal(config.haproxy.handover, `/run/handover/${env.POD_UID}`);
  assert.equal(config.probes.listen, '127.0.0.1:8406');
  assert.deepEqual(dig(only(all, 'Service'), 'spec', 'ports', 0, 'targetPort'), 8080);

  const scraped = { handover: { ...handover, metricsAddress: '*' }, serviceMonitor: { enabled: true } };
  const { config: open } = await load(configIn(await shaped('daemonset', { ...handingOver, ...scraped })), env);
  assert.equal(open.probes.listen, '*:8406');
});

test('a port is accepted wherever something listens there, and where only the pod knows', async () => {
  const config = {
    services: {
      list: { bind: ['*:80,*:8001 ssl crt x', '${NODE_IP}:8002'] },
      range: { bind: ':8003-8010 name x' },
      own: { frontend: ['bind :8011'] },
      quic: { bind: 'quic4@*:8012 ssl crt x' },
      socket: { bind: 'unix@/run/x.sock' },
    },
    frontends: { public: { bind: ['*:81', '[::]:8013'] } },
    discover: { kubernetes: { labels: { a: 'b' }, bindAddress: '*', ports: '9000-9100' } },
    haproxy: { sections: ['frontend own\n  bind *:8014\n'] },
  };
  const served = [8001, 8002, 8004, 8011, 8013, 9099, 8014, 3000].map((port) => ({ name: `p${port}`, port }));
  const ports = [...served, { name: 'quic', port: 8012, protocol: 'UDP' }];
  const extraContainers = [{ name: 'app', image: 'app', ports: [{ containerPort: 3000 }] }];
  await objects({ config, ports, extraContainers });
  const unknown: readonly Values[] = [
    { config: binding('*:${PORT}') },
    { config: { include: ['services.d/*.yaml'] } },
    { templates: { 'frontend.hbs': 'frontend {{name}}\n    bind *:8080\n' } },
  ];
  for (const values of unknown) await objects({ ports, ...values });
});

test('HAProxy’s own metrics are read beside those of Myelin, by those who may read these', async () => {
  const haproxy = { prometheus: { bind: '*:8404', path: '/stats' } };
  const all = await shaped('sidecar', { config: { haproxy }, serviceMonitor: { enabled: true } });
  assert.deepEqual(dig(only(all, 'NetworkPolicy'), 'spec', 'ingress', 1, 'ports'), [{ port: 8406 }, { port: 8404 }]);
  const metrics = all.find(({ metadata }) => metadata.name === 'myelin-metrics');
  assert.deepEqual(dig(metrics, 'spec', 'ports', 1), { name: 'haproxy', port: 8404, targetPort: 8404 });
  assert.deepEqual(dig(only(all, 'ServiceMonitor'), 'spec', 'endpoints'), [
    { port: 'probes', path: '/metrics', interval: '15s' },
    { port: 'haproxy', path: '/stats', interval: '15s', params: { scope: ['global', 'frontend', 'backend'] } },
  ]);
});

test('the alerts and the dashboard come with the chart as they are, the links of the alerts to where the docs are', async () => {
  const deploy = new URL('../../deploy/', import.meta.url);
  const all = await shaped('sidecar', {
    prometheusRule: { enabled: true, labels: { release: 'prometheus' }, runbooks: 'https://docs.example.com/' },
    dashboard: { enabled: true, labels: { find: 'me' } },
  });
  const rule = only(all, 'PrometheusRule');
  const rules = await readFile(new URL('prometheus/myelin.rules.yaml', deploy), 'utf8');
  const linked = rules.replaceAll('runbook_url: docs/', 'runbook_url: https://docs.example.com/docs/');
  assert.deepEqual(dig(rule, 'spec'), parse(linked));
  assert.equal(dig(rule, 'metadata', 'labels', 'release'), 'prometheus');
  const dashboard = all.find(({ metadata }) => metadata.name === 'myelin-dashboard');
  const json = await readFile(new URL('grafana/myelin.json', deploy), 'utf8');
  assert.deepEqual(JSON.parse(String(dig(dashboard, 'data', 'myelin.json'))), JSON.parse(json));
  assert.equal(dig(dashboard, 'metadata', 'labels', 'find'), 'me');
});

test('pods behind a Service are spread over nodes and zones, until values say otherwise', async () => {
  const spread = async (...given: Parameters<typeof shaped>): Promise<unknown> =>
    dig(workloadIn(await shaped(...given)), 'spec', 'template', 'spec', 'topologySpreadConstraints');
  const keys = z.array(z.looseObject({ topologyKey: z.string() })).parse(await spread('deployment'));
  assert.deepEqual(
    keys.map(({ topologyKey }) => topologyKey),
    ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'],
  );
  assert.equal(await spread('deployment', { topologySpreadConstraints: [] }), undefined);
  assert.equal(await spread('daemonset'), undefined);
});

test('the metrics are for the peers that are named, without any for nobody; the ports are for everybody until peers are named', async () => {
  const rules = async (networkPolicy: object): Promise<readonly unknown[]> => {
    const all = await shaped('sidecar', { networkPolicy });
    return z.array(z.unknown()).parse(dig(only(all, 'NetworkPolicy'), 'spec', 'ingress'));
  };
  const metrics = { ports: [{ port: 8406 }] };
  const [ports, ...rest] = await rules({});
  assert.equal(dig(ports, 'from'), undefined);
  assert.deepEqual(rest, [{ ...metrics, from: [{ podSelector: {} }] }]);
  assert.deepEqual(await rules({ metricsFrom: [] }), [ports]);
});

test('nobody who reaches a pod can have it killed: liveness is asked over the control socket', async () => {
  const probe = ['myelin', 'probe', 'live', '--socket', '/run/myelin/myelin.sock'];
  for (const shape of shapes) {
    const containers = containersOf(workloadIn(await shaped(shape)));
    const asked = containers.flatMap((each) => dig(each, 'livenessProbe', 'exec', 'command') ?? []);
    assert.deepEqual(asked, probe, shape);
    for (const each of containers) assert.equal(dig(each, 'livenessProbe', 'httpGet'), undefined);
  }
});

test('whether HAProxy’s own container is ready depends on no port: the service of any one may be quarantined, or be UDP', async () => {
  for (const protocol of ['TCP', 'UDP']) {
    const config = binding('*:8443', 'quic4@*:8443 ssl crt x');
    const all = await shaped('sidecar', { config, ports: [{ name: 'quic', port: 8443, protocol }] });
    const haproxy = containersOf(workloadIn(all)).find(({ name }) => name === 'haproxy');
    assert.equal(dig(haproxy, 'readinessProbe'), undefined);
  }
});

test('what Myelin reads is not mounted into HAProxy’s own container, nor the other way round', async () => {
  const mount = (name: string): object => ({ name, mountPath: `/mnt/${name}` });
  const all = await shaped('sidecar', {
    extraVolumes: [
      { name: 'token', emptyDir: {} },
      { name: 'tls', emptyDir: {} },
    ],
    extraVolumeMounts: [mount('token')],
    haproxy: { extraVolumeMounts: [mount('tls')] },
  });
  const extra = containersOf(workloadIn(all)).map(({ name, volumeMounts }) => [
    name,
    ...volumeMounts.flatMap(({ mountPath }) => (mountPath.startsWith('/mnt/') ? mountPath : [])),
  ]);
  assert.deepEqual(extra, [
    ['first-config', '/mnt/token'],
    ['myelin', '/mnt/token'],
    ['haproxy', '/mnt/tls'],
  ]);
});

test('the notes say that Prometheus in another namespace is kept out until it is named', async () => {
  const notes = async (values: Values): Promise<string> =>
    (await runHelm('notes', exampleValues('sidecar'), { serviceMonitor: { enabled: true } }, values)).stdout;
  assert.match(await notes({}), /name it in `networkPolicy.metricsFrom`/);
  const named = { networkPolicy: { metricsFrom: [{ namespaceSelector: {} }] } };
  assert.doesNotMatch(await notes(named), /networkPolicy.metricsFrom/);
  assert.doesNotMatch(await notes({ networkPolicy: { enabled: false } }), /networkPolicy.metricsFrom/);
});

test('the notes say where HAProxy is reached, and which binds no Service leads to', async () => {
  const bind = ['*:8080', '*:8443', '127.0.0.1:9000', '*:10000-10999'];
  const config = { ...binding(...bind), haproxy: { prometheus: { bind: '*:8404' } } };
  const { stdout } = await runHelm('notes', exampleValues('sidecar'), { config });
  assert.match(stdout, /myelin\.edge:80 \(http, port 8080 of the pods\)/);
  assert.match(
    stdout,
    /Not in `ports`, so that no Service leads there and networkPolicy keeps everybody away: \*:8443\n/,
  );
});

test('a pod is given the time that draining takes, and is told to wait without a shell', async () => {
  for (const shape of shapes) {
    const all = await shaped(shape, { drain: { delaySeconds: 15, graceSeconds: 60 } });
    const workload = workloadIn(all);
    assert.equal(dig(workload, 'spec', 'template', 'spec', 'terminationGracePeriodSeconds'), 85);
    const waiting = containersOf(workload).filter(
      (each) => dig(each, 'lifecycle', 'preStop', 'sleep', 'seconds') === 15,
    );
    assert.deepEqual(
      waiting.map(({ name }) => name),
      [shape === 'sidecar' ? 'haproxy' : 'myelin'],
    );
    if (shape === 'sidecar') continue;
    const { config } = await load(configIn(all), env);
    assert.equal(config.haproxy.stopGrace, 60_000);
  }
});

test('no container may gain privileges or write to its image; the capability is there only when asked for', async () => {
  const strict = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } };
  const asked = {
    allowPrivilegeEscalation: true,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] },
  };
  for (const shape of shapes) {
    for (const each of containersOf(workloadIn(await shaped(shape)))) assert.deepEqual(each.securityContext, strict);
    for (const each of containersOf(workloadIn(await shaped(shape, { lowPorts: 'netBindService' })))) {
      const hasHaproxy = shape !== 'sidecar' || each.name === 'haproxy';
      assert.deepEqual(each.securityContext, hasHaproxy ? asked : strict, each.name);
    }
  }
});

test('config and templates are mounted as folders, so that changes of them arrive', async () => {
  const all = await shaped('sidecar', { templates: { 'server.hbs': 'server {{name}}\n' } });
  for (const { name, volumeMounts } of containersOf(workloadIn(all)))
    for (const mount of volumeMounts) assert.equal(mount.subPath, undefined, `${name}: ${mount.mountPath}`);
  const templates = all.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'myelin-templates');
  assert.equal(dig(templates, 'data', 'server.hbs'), 'server {{name}}\n');
  assert.equal(dig(parse(configIn(all)), 'templates'), '/etc/myelin-templates');
});

test('the values that guide and README show make a pod with a config that Myelin accepts', async () => {
  const pages = ['docs/guides/kubernetes.md', 'deploy/helm/myelin/README.md'];
  const texts = await Promise.all(pages.map((page) => readFile(new URL(`../../${page}`, import.meta.url), 'utf8')));
  const examples = texts.flatMap((text) =>
    [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, shown = '']) => shown),
  );
  assert.ok(examples.length > 3);
  for (const example of examples) {
    const values = z.record(z.string(), z.unknown()).parse(parse(example));
    const { config } = await load(configIn(await objects(exampleValues('deployment'), values)), env);
    assert.deepEqual([...config.services.keys()], ['web']);
  }
});
