import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withDiscovered } from '../../../src/config/discover/discovered.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { DiscoveredService } from '../../../src/model.ts';
import { serviceOptions } from '../../../watchers/kit/service-options.ts';
import type { KubernetesDiscovery } from '../../../watchers/kubernetes/settings.ts';
import { load, refusal } from '../../support/values/config.ts';
import { discovering, service } from '../../support/values/discovered.ts';
import { endpoint, render, rendererWith } from '../../support/values/render.ts';

function served(config: Config, ...list: readonly DiscoveredService[]) {
  const [discovery] = config.discoveries;
  assert.ok(discovery);
  return withDiscovered(
    config,
    list.map((one) => ({ discovery, service: one })),
  );
}

function reasons(config: Config, ...list: readonly DiscoveredService[]): Readonly<Record<string, string>> {
  return Object.fromEntries(served(config, ...list).rejected.map(({ service, reason }) => [service, reason]));
}

test('an offered service is served as the administrator says, and within the limits as it chooses', async () => {
  const config = await discovering('service: { mode: tcp, check: { interval: 5s }, timeouts: { connect: 1s } }');
  const { config: all, rejected } = served(
    config,
    service('plain'),
    service('web', {
      listen: '10080',
      mode: 'http',
      balance: 'leastconn',
      check: 'http',
      'check-path': '/healthz',
      'check-rise': '4',
      maxconn: '200',
      'timeout-server': '30s',
    }),
  );
  assert.deepEqual(rejected, []);
  assert.deepEqual([...all.services.keys()], ['shop:plain', 'shop:web']);
  const [plain, web] = ['shop:plain', 'shop:web'].map((name) => all.services.get(name));
  assert.deepEqual([plain?.mode, plain?.bind, plain?.check.interval], ['tcp', undefined, 5000]);
  assert.deepEqual([web?.mode, web?.bind, web?.balance], ['http', ['127.0.0.1:10080'], 'leastconn']);
  assert.deepEqual(
    [web?.check.type, web?.check.path, web?.check.rise, web?.check.interval],
    ['http', '/healthz', 4, 5000],
  );
  assert.deepEqual([web?.server.maxconn, web?.timeouts.connect, web?.timeouts.server], [200, 1000, 30_000]);
  assert.deepEqual(web?.origins, [
    { watcher: 'cluster', key: '*shop/web', query: { labels: { expose: 'true' }, namespace: 'shop' } },
  ]);
});

test('an offer that is wrong is left out with every reason, and alone', async () => {
  const config = await discovering('options: [listen, port, mode, check, check-rise, check-path, balance]');
  const { config: all, rejected } = served(
    config,
    service('good', { listen: '10080' }),
    service('bad', { mode: 'udp', 'check-rise': 'x', 'check-pth': '/', maxconn: '5', balance: 'hdr(host)' }),
    service('far', { listen: '80' }),
    service('no-port', { listen: '10080x', port: 'UPPER' }),
    service('path', { 'check-path': 'no slash' }),
    service('long', { 'check-path': `/${'x'.repeat(1024)}` }),
  );
  assert.deepEqual([...all.services.keys()], ['shop:good']);
  assert.deepEqual(Object.fromEntries(rejected.map(({ service, reason }) => [service, reason])), {
    'shop:bad': [
      'balance: "hdr(host)" is not allowed; allowed: roundrobin, leastconn, first, random, source',
      'check-pth: unknown option; allowed: listen, port, mode, check, check-rise, check-path, balance; did you mean "check-path"?',
      'check-rise: "x" is not allowed; expected a number',
      'maxconn: may not be chosen here (discover.options)',
      'mode: "udp" is not allowed; allowed: http, tcp',
    ].join('; '),
    'shop:far': 'listen: 80 is not allowed; allowed: 10000 to 10999 (discover.ports)',
    'shop:long': 'check-path: expected at most 1024 characters',
    'shop:no-port':
      'listen: "10080x" is not allowed; expected a number; port: "UPPER" is not allowed; expected a name of small letters, digits and - inside, at most 63 characters',
    'shop:path': 'check-path: "no slash" is not allowed; expected a single word, without spaces',
  });
});

test('a time that a service chooses has bounds; that of the administrator has those of HAProxy alone', async () => {
  const config = await discovering('service: { check: { interval: 1ms }, timeouts: { client: 24d } }');
  const good = { 'check-interval': '500ms', 'timeout-client': '1d', 'timeout-tunnel': '24h', slowstart: '1s' };
  const { config: all, rejected } = served(
    config,
    service('bad', { 'check-interval': '499ms', 'timeout-client': '24d', 'timeout-tunnel': '25h', slowstart: '2d' }),
    service('good', good),
    service('plain'),
  );
  assert.deepEqual(
    rejected.map(({ reason }) => reason.split('; ').join('\n')),
    [
      [
        'check-interval: "499ms" is not allowed\nallowed: 500ms to 1d',
        'slowstart: "2d" is not allowed\nallowed: 1ms to 1d',
        'timeout-client: "24d" is not allowed\nallowed: 1ms to 1d',
        'timeout-tunnel: "25h" is not allowed\nallowed: 1ms to 1d',
      ].join('\n'),
    ],
  );
  const plain = all.services.get('shop:plain');
  assert.deepEqual([plain?.check.interval, plain?.timeouts.client], [1, 24 * 86_400_000]);
  assert.equal(all.services.get('shop:good')?.timeouts.tunnel, 86_400_000);
});

test('of two that claim one address the older one has it, whatever the order in which they are told', async () => {
  const config = await discovering();
  const claims = [
    // By name it would be the first.
    service('0-young', { listen: '10080' }, 2),
    service('b', { listen: '10080' }, 1),
    service('a', { listen: '10080' }, 1),
  ];
  for (const list of [claims, claims.toReversed()])
    assert.deepEqual(reasons(config, ...list), {
      'shop:0-young': '127.0.0.1:10080 is taken by the service shop:a',
      'shop:b': '127.0.0.1:10080 is taken by the service shop:a',
    });
});

test('what the config lists goes before what is offered: addresses, names, and those of other parts', async () => {
  const config = await discovering(
    'bindAddress: "*"',
    `
services: { "shop:listed": { from: { cluster: {} }, bind: ":10001" }, "shop:f:in": { from: { cluster: {} } } }
haproxy: { stats: { bind: "127.0.0.1:10002" }, sections: ["listen shop:hand\\n    bind :10003", "frontend shop:x:in\\n    bind :10004"] }
probes: { listen: "127.0.0.1:10005" }
`,
  );
  assert.deepEqual(
    reasons(
      config,
      service('listed'),
      service('f'),
      service('hand'),
      service('x'),
      ...[10001, 10002, 10003, 10005].map((port) => service(`p${port}`, { listen: `${port}` })),
    ),
    {
      'shop:f': 'the name shop:f:in is taken: a service of the config',
      'shop:hand': 'the name shop:hand is taken: a hand-written section',
      'shop:listed': 'the name shop:listed is taken: a service of the config',
      'shop:p10001': '*:10001 is taken by the service shop:listed',
      'shop:p10002': '*:10002 is taken by 127.0.0.1:10002 of haproxy.stats.bind',
      'shop:p10003': '*:10003 is taken by :10003 of haproxy.sections[0]',
      'shop:p10005': '*:10005 is taken by 127.0.0.1:10005 of probes.listen',
      'shop:x': 'the name shop:x:in is taken: a hand-written section',
    },
  );
});

test('without ports nobody may listen, and without offers the config is as it was', async () => {
  const config = await discovering();
  assert.equal(served(config).config, config);
  const [discovery] = config.discoveries;
  assert.ok(discovery);
  const { ports: _, ...limits } = discovery.limits;
  const discovered = [{ discovery: { ...discovery, limits }, service: service('web', { listen: '10080' }) }];
  assert.match(withDiscovered(config, discovered).rejected[0]?.reason ?? '', /^listen: no ports may be chosen here/);
});

test('an offer that did not change is the same service, so that nothing of it is rendered again', async () => {
  const config = await discovering();
  const web = service('web');
  const before = served(config, web).config.services.get('shop:web');
  assert.equal(served(config, web, service('more')).config.services.get('shop:web'), before);
});

test('the same offers make the same services in whatever order they come', async () => {
  const config = await discovering();
  const some = fc.array(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      listen: fc.constantFrom('10001', '10002', '99'),
      createdAt: fc.nat(2),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(some, fc.infiniteStream(fc.nat()), (list, numbers) => {
      const all = list.map(({ name, listen, createdAt }, at) => ({
        ...service(name, { listen }, createdAt),
        key: `*shop/${name}-${at}`,
      }));
      const shuffled = all
        .map((one) => ({ one, at: numbers.next().value ?? 0 }))
        .sort((a, b) => a.at - b.at)
        .map(({ one }) => one);
      const [first, second] = [served(config, ...all), served(config, ...shuffled)];
      assert.deepEqual([...second.config.services], [...first.config.services]);
      assert.deepEqual(second.rejected, first.rejected);
    }),
  );
});

test('whatever an offer says, it adds no line of its own: hostile data has no more lines than harmless data', async () => {
  const config = await discovering();
  const renderer = await rendererWith();
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.constantFrom(
      '/a\n    server evil 1.2.3.4:80',
      "/'\r\nbackend x",
      '/a b',
      '/"; x',
      '/${HOME}',
      '/#x',
      '/\\',
      '/%[src]',
    ),
  );
  const lines = (value: Config): number => {
    const endpoints = Object.fromEntries([...value.services.keys()].map((name) => [name, [endpoint('a')]]));
    return render(renderer, value, endpoints).sections.reduce(
      (sum, { text }) => sum + text.split(/[\n\r\0]/).length - 1,
      0,
    );
  };
  const harmless = new Map(
    ['check-path', 'check-host'].map((option) => [
      option,
      lines(served(config, service('web', { check: 'http', [option]: '/x' })).config),
    ]),
  );
  fc.assert(
    fc.property(fc.constantFrom(...serviceOptions), hostile, (option, text) => {
      const options = { check: 'http', [option]: text };
      const { config: all, rejected } = served(config, service('web', options));
      const least = harmless.get(option);
      if (rejected.length === 0 && least !== undefined) assert.equal(lines(all), least);
      assert.ok(rejected.length === 1 || !/[\n\r\0]/.test(text));
    }),
  );
});

test('discover is checked with the rest of the config: watchers that there are, labels, addresses, ports, options', async () => {
  const message = await refusal(`
watchers: { cluster: { type: kubernetes }, files: { type: file, path: ./x.yaml } }
discover:
  clustr: { labels: { a: b } }
  files: { labels: { a: b } }
  cluster: { labels: { expose: true }, bindAddress: localhost, ports: 20000-10000, options: [lisen], service: { bind: ":80" } }
`);
  assert.deepEqual(message.split('\n'), [
    '7 problems in the config:',
    'myelin.yaml:4:3: discover.clustr: there is no watcher of this name; the watchers are cluster, files; did you mean "cluster"?',
    'myelin.yaml:5:12: discover.files.labels: unknown key; allowed: bindAddress, ports, hosts, frontends, maxServices, maxPerNamespace, options, service',
    'myelin.yaml:6:32: discover.cluster.labels.expose: true is not allowed; expected text: put it in quotes, "true"',
    'myelin.yaml:6:53: discover.cluster.bindAddress: "localhost" is not allowed; expected an IPv4 or IPv6 address of this machine, or * for all',
    'myelin.yaml:6:71: discover.cluster.ports: "20000-10000" is not allowed; expected a port, or a range of them such as 10000-19999',
    `myelin.yaml:6:94: discover.cluster.options[0]: "lisen" is not allowed; allowed: ${serviceOptions.join(', ')}; did you mean "listen"?`,
    'myelin.yaml:6:113: discover.cluster.service.bind: unknown key; allowed: mode, balance, check, server, timeouts, frontend, backend, values, onEmpty, keepFor',
  ]);
  assert.match(
    await refusal('watchers: { kubernetes: {} }\ndiscover: { kubernetes: { labels: {} } }'),
    /names no label/,
  );
});

test('of one namespace, and of all, the older services are served within their number, so that nobody takes the ports of others', async () => {
  const config = await discovering('maxServices: 5, maxPerNamespace: 3');
  const of = (owner: string, age: number, at: number): DiscoveredService => ({
    ...service(`${owner}-${at}`, { listen: `${10_000 + age}` }, age),
    owner,
  });
  const greedy = Array.from({ length: 50 }, (_, at) => of('greedy', at, at));
  const others = ['a', 'b', 'c'].map((owner, at) => of(owner, 100 + at, 0));
  const { config: all, rejected } = served(config, ...greedy.toReversed(), ...others);
  assert.deepEqual(
    [...all.services.keys()],
    ['shop:a-0', 'shop:b-0', 'shop:greedy-0', 'shop:greedy-1', 'shop:greedy-2'],
  );
  const told = Object.fromEntries(rejected.map(({ service, reason }) => [service, reason]));
  assert.equal(told['shop:greedy-3'], '3 older services of greedy are served (discover.cluster.maxPerNamespace)');
  assert.equal(told['shop:c-0'], '5 older services are served (discover.cluster.maxServices)');
});

test('a service that cannot be served takes no place from one that can', async () => {
  const config = await discovering('maxPerNamespace: 1');
  const wrong = service('wrong', { listen: '80' }, 1);
  assert.deepEqual([...served(config, wrong, service('good', {}, 2)).config.services.keys()], ['shop:good']);
});

test('each namespace of the watcher is asked for by itself; where all are watched, one question is enough', async () => {
  const asked = async (watcher: string): Promise<(string | undefined)[]> => {
    const text = `watchers: { kubernetes: ${watcher} }\ndiscover: { kubernetes: { labels: { a: b } } }`;
    const { config } = await load(text);
    return config.discoveries.map(({ query }) => (query as KubernetesDiscovery).namespace);
  };
  assert.deepEqual(await asked('{}'), [undefined]);
  assert.deepEqual(await asked('{ namespace: shop }'), ['shop']);
  assert.deepEqual(await asked('{ namespace: shop, namespaces: [data, shop] }'), ['shop', 'data']);
  assert.deepEqual(await asked('{ namespaces: all }'), [undefined]);
});

test('where the administrator has lines for HAProxy, nobody chooses a mode in which they would not count', async () => {
  const lines = 'service: { frontend: ["http-request deny unless { src 10.0.0.0/8 }"] }';
  const tcp = service('web', { mode: 'tcp' });
  assert.deepEqual(reasons(await discovering(lines), tcp), {
    'shop:web': 'mode: may not be chosen here (discover.options)',
  });
  assert.deepEqual(reasons(await discovering(`${lines}, options: [mode]`), tcp), {});
});

test('a discovered service gets no name of a section that is written by hand, in the config or in the templates', async () => {
  const written = `haproxy: { sections: ["defaults shop:base\\n  mode http\\nbackend 'shop:legacy'\\n"] }`;
  const config = { ...(await discovering('', written)), namesInTemplates: ['shop:own', 'shop:web:in'] };
  assert.deepEqual(reasons(config, ...['base', 'legacy', 'own', 'web', 'free'].map((name) => service(name))), {
    'shop:base': 'the name shop:base is taken: a hand-written section',
    'shop:legacy': 'the name shop:legacy is taken: a hand-written section',
    'shop:own': 'the name shop:own is taken: a section of the templates',
    'shop:web': 'the name shop:web:in is taken: a section of the templates',
  });
});

test('services that come and go one by one are judged as all of them at once are', async () => {
  const config = await discovering(
    'hosts: ["*"], maxServices: 5, maxPerNamespace: 4',
    'frontends: { public: { bind: ":80" } }',
  );
  const cluster = config.discoveries[0];
  assert.ok(cluster !== undefined);
  const options = [{}, { listen: '10001' }, { listen: '10002' }, { routes: '/a' }, { routes: '/b' }, { mode: 'udp' }];
  const pool = ['one', 'two', 'three', 'four', 'five', 'six'].flatMap((name, at) =>
    options.map((its, which) => ({ ...service(name, its, (at * 7 + which) % 5), owner: at < 4 ? 'shop' : 'other' })),
  );
  fc.assert(
    fc.property(fc.array(fc.uniqueArray(fc.constantFrom(...pool), { maxLength: 8 }), { maxLength: 12 }), (lists) => {
      for (const list of lists) {
        const all = list.map((one) => ({ discovery: cluster, service: one }));
        const { config: now, rejected } = withDiscovered(config, all);
        const anew = withDiscovered({ ...config }, all);
        assert.deepEqual(rejected, anew.rejected);
        assert.deepEqual([...now.services], [...anew.config.services]);
      }
    }),
    { numRuns: 300 },
  );
});
