/** The file that comes of config and endpoints: its text, its laws, and what is not made anew. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import fc from 'fast-check';
import { sectionsIn, textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { serverId } from '../../../src/haproxy/text/servers/server-id.ts';
import { linesOf, serverLines, tokenise } from '../../../src/haproxy/text/text.ts';
import type { Endpoint, Section } from '../../../src/model.ts';
import { cpuMs } from '../../support/index.ts';
import { planReload } from '../../support/values/plans.ts';
import { configOf, endpoint, render, rendererWith, version } from '../../support/values/render.ts';

const builtIn = await rendererWith();

const shop = configOf({
  state: '/var/lib/myelin',
  haproxy: {
    statsSocket: '/run/myelin/admin.sock',
    log: '127.0.0.1:514',
    logFacility: 'local3',
    user: 'haproxy',
    group: 'haproxy',
    stats: { bind: '127.0.0.1:8404', lines: ['stats auth eve:secret'] },
    prometheus: { bind: '127.0.0.1:8405' },
    global: ['maxconn 20000'],
    defaults: ['timeout server 60s'],
    sections: [
      'userlist admins\n    user eve insecure-password secret',
      'listen old\n    bind 127.0.0.1:7000\n    server a 127.0.0.1:7001\n',
    ],
  },
  services: {
    web: {
      bind: ['127.0.0.1:8080', '127.0.0.1:8443 ssl crt /etc/haproxy/web.pem alpn h2,http/1.1'],
      check: { type: 'http', path: '/healthz', host: 'shop.example', timeout: '1s' },
      server: { maxconn: 200, slowstart: '10s' },
      timeouts: { connect: '1s', client: '20s', server: '1500ms', httpRequest: '5s', httpKeepAlive: '2s', queue: '3s' },
      frontend: ['http-request set-header X-Forwarded-Proto https if { ssl_fc }'],
      backend: ['cookie SRV insert indirect nocache'],
    },
    db: {
      bind: '127.0.0.1:5432',
      mode: 'tcp',
      balance: 'leastconn',
      server: { proxyProtocol: 'v2', options: 'backup' },
      check: { port: 9999 },
      timeouts: { tunnel: '2h' },
    },
    secure: { server: { tls: { sni: 'db.example', caFile: '/etc/ssl/my ca.pem' } } },
    insecure: { server: { tls: { verify: false } }, check: { type: 'none' } },
    empty: { check: { type: 'none' } },
  },
});
const shopEndpoints = {
  web: [
    endpoint('node2/web-2', { address: '10.0.0.2', port: 9001, weight: 5 }),
    endpoint('node1/web-1', { address: '2001:db8::1', port: 9000, state: 'draining' }),
    endpoint('web-3', { address: '10.0.0.3', port: 9002 }),
  ],
  db: [endpoint('pg', { port: 5432 })],
  secure: [endpoint('s', { port: 443 })],
  insecure: [endpoint('i', { port: 443 })],
};

const golden = (name: string) => join(import.meta.dirname, 'golden', name);
const asItIs = { serializers: [(text: string) => text] };

// `node --test --test-update-snapshots test/unit/render/render.test.ts` writes them anew.
test('a shop with http, tcp, TLS, stats and hand-written sections is what an administrator would write', (t: TestContext) => {
  t.assert.fileSnapshot(textOf(render(builtIn, shop, shopEndpoints).sections), golden('shop.cfg'), asItIs);
});

test('the smallest config is a complete file, for the oldest HAProxy too', (t: TestContext) => {
  const config = configOf({
    state: '/s',
    haproxy: { statsSocket: '/a.sock' },
    services: { web: { bind: '127.0.0.1:8080' } },
  });
  t.assert.fileSnapshot(textOf(render(builtIn, config, {}, '2.2.9').sections), golden('smallest.cfg'), asItIs);
});

test('every section knows its service, and those that are nobody’s have none', () => {
  assert.deepEqual(
    render(builtIn, shop, shopEndpoints).sections.map(({ kind, name, service }) => [kind, name, service]),
    [
      ['global', '', null],
      ['defaults', '', null],
      ['frontend', 'web:in', 'web'],
      ['backend', 'web', 'web'],
      ['frontend', 'db:in', 'db'],
      ['backend', 'db', 'db'],
      ['backend', 'secure', 'secure'],
      ['backend', 'insecure', 'insecure'],
      ['backend', 'empty', 'empty'],
      ['frontend', 'myelin_stats', null],
      ['frontend', 'myelin_prometheus', null],
      ['userlist', 'admins', null],
      ['listen', 'old', null],
    ],
  );
});

test('the file read again has the same sections', () => {
  const { sections } = render(builtIn, shop, shopEndpoints);
  const unowned = sections.map(({ queryKey: _, ...section }) => ({ ...section, service: null }));
  assert.deepEqual(sectionsIn(textOf(sections)), unowned);
});

const endpointArbitrary = fc.record({
  id: fc.oneof(
    fc.string({ unit: 'binary-ascii', minLength: 1 }),
    fc.constantFrom('a', 'b', 'a b', 'é\u2028', 'x'.repeat(300)),
  ),
  address: fc.constantFrom('10.0.0.1', '2001:db8::1', '10.0.0.2'),
  port: fc.integer({ min: 1, max: 65_535 }),
  weight: fc.integer({ min: 0, max: 256 }),
  state: fc.constantFrom('ready' as const, 'draining' as const),
  tags: fc.array(fc.string({ unit: 'binary-ascii' })),
  meta: fc.dictionary(
    fc.oneof(fc.string({ unit: 'binary-ascii' }), fc.constantFrom('zone', '__proto__', 'toString')),
    fc.string({ unit: 'binary-ascii' }),
  ),
});
const endpointsArbitrary = fc.uniqueArray(endpointArbitrary, {
  selector: ({ address, port }) => `${address}:${port}`,
  maxLength: 8,
});
const webOnly = configOf({ services: { web: { bind: ':80' } } });

test('the same input gives the same bytes, in whatever order the endpoints came', async () => {
  const other = await rendererWith();
  fc.assert(
    fc.property(endpointsArbitrary, (list) => {
      const text = textOf(render(builtIn, webOnly, { web: list }).sections);
      assert.equal(textOf(render(other, webOnly, { web: list.toReversed() }).sections), text);
    }),
  );
});

test('one endpoint more or less changes exactly one line', () => {
  for (const config of [webOnly, configOf({ order: 'host', services: { web: { bind: ':80' } } })])
    fc.assert(
      fc.property(
        fc.uniqueArray(endpointArbitrary, { selector: ({ id }) => id, minLength: 1, maxLength: 8 }),
        (list) => {
          const before = linesOf(textOf(render(builtIn, config, { web: list.slice(1) }).sections));
          const after = linesOf(textOf(render(builtIn, config, { web: list }).sections));
          const added = after.findIndex((line, at) => line !== before[at]);
          assert.deepEqual(after.toSpliced(added, 1), before);
          const [section] = render(builtIn, config, { web: list }).sections.filter(({ kind }) => kind === 'backend');
          assert.ok(section !== undefined);
          assert.equal(serverLines(section).length, list.length);
        },
      ),
    );
});

/** What HAProxy reads, with the values taken out: how many words each line has, and what it begins with. */
const structureOf = (sections: readonly Section[]): readonly string[] =>
  linesOf(textOf(sections)).map((line) => {
    const { words } = tokenise(line);
    return `${words[0]} ${words.length}`;
  });

test('a server that drains has weight 0, and one of a consistent hash an id of its own, whatever its template prints', async () => {
  const own = await rendererWith({ server: 'server {{name}} {{address}} weight {{or meta.weight 7}} # {{name}}\n' });
  const config = configOf({
    haproxy: { defaults: ['hash-type consistent'] },
    services: { plain: {}, hashed: { balance: 'uri' }, mapped: { balance: 'uri', backend: ['hash-type map-based'] } },
  });
  const endpoints = [endpoint('a', { state: 'draining' }), endpoint('b')];
  const all = { plain: endpoints, hashed: endpoints, mapped: endpoints };
  const servers = (renderer: typeof own): readonly string[] =>
    render(renderer, config, all)
      .sections.flatMap(({ name, text }) => linesOf(text).map((line) => `${name}: ${line.trim()}`))
      .filter((line) => /: server /.test(line))
      .sort();
  const [a, b] = ['a', 'b'].map((name) => serverId(name, new Set()));
  assert.deepEqual(servers(own), [
    `hashed: server a 10.0.0.1:80 weight 7 weight 0 id ${a} # a`,
    `hashed: server b 10.0.0.1:80 weight 7 id ${b} # b`,
    'mapped: server a 10.0.0.1:80 weight 7 weight 0 # a',
    'mapped: server b 10.0.0.1:80 weight 7 # b',
    'plain: server a 10.0.0.1:80 weight 7 weight 0 # a',
    'plain: server b 10.0.0.1:80 weight 7 # b',
  ]);
  assert.deepEqual(servers(builtIn).slice(0, 3), [
    `hashed: server a 10.0.0.1:80 weight 0 id ${a}`,
    `hashed: server b 10.0.0.1:80 weight 1 id ${b}`,
    'mapped: server a 10.0.0.1:80 weight 0',
  ]);
});

test('whether a hash is consistent is for the defaults to say that hold for the backend', async () => {
  const servers = (renderer: typeof builtIn, sections: readonly string[]): readonly (string | undefined)[] => {
    const config = configOf({
      haproxy: { defaults: ['balance uri', 'hash-type consistent'], sections },
      services: { web: {} },
    });
    const text = render(renderer, config, { web: [endpoint('a')] }).sections.map((section) => section.text);
    return text.join('').match(/server a .*/g) ?? [];
  };
  const id = `id ${serverId('a', new Set())}`;
  const line = `server a 10.0.0.1:80 weight 1`;
  assert.deepEqual(servers(builtIn, ['defaults late\n    hash-type map-based']), [`${line} ${id}`]);
  const two = await rendererWith({
    backend:
      'backend {{name}}\n    {{> server servers.[0]}}\nbackend other\n    balance leastconn\n    {{> server servers.[0]}}\n',
  });
  assert.deepEqual(servers(two, []), [`${line} ${id}`, line]);
  const named = await rendererWith({
    backend:
      'defaults mine\n    balance uri\n    hash-type map-based\nbackend {{name}} from mine\n    {{> server servers.[0]}}\n',
  });
  assert.deepEqual(servers(named, []), [line]);
});

test('no endpoint, however hostile, adds a line or a word to the built-in templates', () => {
  fc.assert(
    fc.property(endpointsArbitrary, (list) => {
      const harmless = list.map((_, at) => endpoint(`web-${at}`, { port: at + 1 }));
      const { sections, problems } = render(builtIn, webOnly, { web: list });
      assert.deepEqual(problems, []);
      assert.deepEqual(structureOf(sections), structureOf(render(builtIn, webOnly, { web: harmless }).sections));
    }),
  );
});

test('no endpoint, however hostile, adds a line or a word to a template whose author took no care', async () => {
  const careless = await rendererWith({
    server: 'server {{name}} {{address}} cookie "{{id}}" {{#if tags}}alpn {{tags}}{{/if}} # {{or meta.zone "none"}}\n',
    backend:
      "\nbackend {{name}}\n{{#each servers}}\n    {{> server}}\n    http-request set-header X-Zone '{{id}}' if { srv_is_up({{name}}) }\n{{#each meta}}\n    http-response set-header {{@key}} {{this}}\n{{/each}}\n{{/each}}\n",
  });
  fc.assert(
    fc.property(
      endpointsArbitrary.filter((list) => !JSON.stringify(list).includes('\\u0000')),
      (list) => {
        const harmless = list.map(({ tags, meta, ...rest }, at) => ({
          ...rest,
          id: `web-${at}`,
          tags: tags.filter(Boolean).map(() => 'blue'),
          meta: Object.fromEntries(
            Object.entries(meta)
              .filter(([key, text]) => text !== '' && /^[A-Za-z0-9_.:/@-]+$/.test(key))
              .map(([, text], index) => [`key${index}`, text && 'x']),
          ),
        }));
        const { sections, problems } = render(careless, webOnly, { web: list });
        assert.deepEqual(problems, []);
        // Servers are in the order of their names, and those differ here: what counts is that nothing was added.
        assert.deepEqual(
          structureOf(sections).toSorted(),
          structureOf(render(careless, webOnly, { web: harmless }).sections).toSorted(),
        );
      },
    ),
  );
});

test('what did not change keeps its identity; only the service that changed is rendered', async () => {
  const renderer = await rendererWith();
  const endpoints = new Map<string, readonly Endpoint[]>(Object.entries(shopEndpoints));
  const input = { config: shop, version: version('2.6.12'), hostname: 'here' };
  const first = renderer.render({ ...input, endpoints });
  const second = renderer.render({
    ...input,
    endpoints: new Map(endpoints).set('db', [endpoint('pg2', { port: 5432 })]),
  });
  const changed = second.sections.filter((section, at) => section !== first.sections[at]);
  assert.deepEqual(
    changed.map(({ kind, name }) => `${kind} ${name}`),
    ['backend db'],
  );
  assert.deepEqual(planReload(first.sections, second.sections, { forced: [] }), {
    kind: 'reload',
    reasons: [
      { code: 'server_added', section: 'backend db', detail: 'pg2' },
      { code: 'server_removed', section: 'backend db', detail: 'pg' },
    ],
  });
});

test('a config read again that says the same leaves every service’s sections as they are', async () => {
  const renderer = await rendererWith();
  const first = render(renderer, webOnly, { web: [endpoint('a')] });
  const second = render(renderer, configOf({ services: { web: { bind: ':80' }, api: {} } }), { web: [endpoint('a')] });
  for (const name of ['web:in', 'web'])
    assert.equal(
      second.sections.find((section) => section.name === name),
      first.sections.find((section) => section.name === name),
    );
  assert.ok(second.sections.some(({ service }) => service === 'api'));
});

test('a service whose data a template cannot render is named, and stands as an empty backend; the others are rendered', async () => {
  const renderer = await rendererWith({ server: 'server {{name}} {{address}}\n    # {{meta.zone}}\n' });
  const config = configOf({ services: { api: { mode: 'tcp', bind: ':81' }, web: {} } });
  const { sections, problems } = render(renderer, config, {
    api: [endpoint('a')],
    web: [endpoint('b', { meta: { zone: 'x' } })],
  });
  assert.deepEqual(problems, [
    {
      message: '/templates/server.hbs:2:9: there is no field "zone" here\n  2 |     # {{meta.zone}}\n    |         ^',
      service: 'api',
      code: 'MYELIN_TEMPLATE_INVALID',
      hasBackend: false,
    },
  ]);
  assert.deepEqual(
    sections
      .filter(({ service }) => service !== null)
      .map(({ kind, name, text }) => [kind, name, /mode tcp|server b/.exec(text)?.[0]]),
    [
      ['backend', 'api', 'mode tcp'],
      ['backend', 'web', 'server b'],
    ],
  );
});

test('a service whose frontend alone cannot be rendered is named, and its backend stands with its servers', async () => {
  const { sections, problems } = render(await rendererWith({ frontend: '{{nosuchfield}}' }), webOnly, {
    web: [endpoint('a')],
  });
  assert.deepEqual(
    problems.map(({ service, hasBackend }) => [service, hasBackend]),
    [['web', true]],
  );
  const its = sections.filter(({ service }) => service === 'web');
  assert.deepEqual(
    its.map(({ kind, text }) => [kind, /^ +server \S+/m.exec(text)?.[0].trim()]),
    [['backend', 'server a']],
  );
});

test('a service’s template must open a section, or its lines would be another’s', async () => {
  const renderer = await rendererWith({ backend: '# {{name}}\n  mode http\nbackend {{name}}\n' });
  const { problems } = render(renderer, webOnly);
  assert.deepEqual(problems, [
    {
      message: 'the template backend must begin with the line that opens a section',
      service: 'web',
      code: 'MYELIN_TEMPLATE_INVALID',
      hasBackend: false,
    },
  ]);
});

test('a template of the whole file that fails is an error, and so is a part that does not stand on its own line', async () => {
  const two = configOf({ services: { web: {}, api: {} } });
  const refused = async (text: string, message: RegExp): Promise<void> => {
    const renderer = await rendererWith({ 'haproxy.cfg': text });
    assert.throws(() => render(renderer, two), { code: 'MYELIN_TEMPLATE_INVALID', message });
  };
  await refused('{{nope}}', /^\/templates\/haproxy\.cfg\.hbs:1:3: there is no field "nope" here/);
  await refused(
    '{{#each services}}x {{backend}}\n{{/each}}',
    /^\/templates\/haproxy\.cfg\.hbs: the backend of service web must be printed on a line of its own$/,
  );
  await refused('{{#each services}}{{backend}}{{/each}}', /must be printed on a line of its own/);
});

test('the whole file’s template decides where services stand', async () => {
  const renderer = await rendererWith({
    'haproxy.cfg':
      '{{> global}}\n{{> defaults}}\n{{#each services}}\n{{backend}}\n{{/each}}\n# and now\n{{#each services}}\n{{#if frontend}}\n{{frontend}}\n{{/if}}\n{{/each}}\n',
  });
  const config = configOf({ services: { a: { bind: ':80' }, b: { bind: ':81' } } });
  const { sections } = render(renderer, config);
  assert.deepEqual(
    sections.map(({ kind, name }) => `${kind} ${name}`.trim()),
    ['global', 'defaults', 'backend a', 'backend b', '', 'frontend a:in', 'frontend b:in'],
  );
});

test('with ten thousand services, a change of one costs milliseconds', async () => {
  const renderer = await rendererWith();
  const services = Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`s${at}`, {}]));
  const config = configOf({ services });
  const endpoints = new Map<string, readonly Endpoint[]>(
    Object.keys(services).map((name) => [
      name,
      Array.from({ length: 10 }, (_, at) => endpoint(`${name}-${at}`, { port: at + 1 })),
    ]),
  );
  const input = { config, version: version('2.6.12'), hostname: 'here' };
  renderer.render({ ...input, endpoints });
  const best = Math.min(
    ...Array.from({ length: 20 }, (_, round) => {
      endpoints.set('s77', [endpoint(`new-${round}`)]);
      return cpuMs(() => renderer.render({ ...input, endpoints }));
    }),
  );
  assert.ok(best < 50, `${best} ms`);
});

test('a template has the service’s own values, and where each server was found', async () => {
  const own = await rendererWith({
    server:
      'server {{name}} {{address}} weight {{or (tagged tags "weight") weight}} # {{origin.watcher}} {{origin.node}}\n',
    backend:
      'backend {{name}}\n    # {{values.team}} {{or values.missing "none"}}\n{{#each servers}}\n    {{> server}}\n{{/each}}\n',
  });
  const config = configOf({ services: { web: { values: { team: 'blue team', isOpen: true } } } });
  const origin = { watcher: 'consul', node: 'n1\nevil' };
  const { sections } = render(own, config, { web: [endpoint('a', { origin, tags: ['weight=10'] })] });
  const text = sections.find(({ kind }) => kind === 'backend')?.text;
  assert.equal(text, 'backend web\n    # blue team none\n    server a 10.0.0.1:80 weight 10 # consul n1\\x0aevil\n');
});

test('the whole file’s template has the services in one place, with their own values', async () => {
  const hosts =
    'frontend hosts\n    bind :80\n{{#each services}}\n    use_backend {{name}} if { hdr(host) -i {{values.host}} }\n{{/each}}\n';
  const own = await rendererWith({
    'haproxy.cfg': `{{> global}}\n{{> defaults}}\n${hosts}{{#each services}}\n{{backend}}\n{{/each}}\n`,
  });
  const services = { web: { values: { host: 'a.example' } }, api: { values: { host: 'b.example' } } };
  const { sections, problems } = render(own, configOf({ services }));
  assert.deepEqual(problems, []);
  assert.equal(
    sections.find(({ name }) => name === 'hosts')?.text.trimEnd(),
    'frontend hosts\n    bind :80\n    use_backend web if { hdr(host) -i a.example }\n    use_backend api if { hdr(host) -i b.example }',
  );
});

test('a service that nothing is known of yet is left out, and comes in its place when it is', async () => {
  const renderer = await rendererWith();
  const input = { config: configOf({ services: { api: {}, web: {} } }), version: version('2.6.12'), hostname: 'here' };
  const rendered = (...known: readonly string[]): string[] => {
    const endpoints = new Map(known.map((name) => [name, []]));
    return renderer.render({ ...input, endpoints }).sections.flatMap(({ service }) => service ?? []);
  };
  assert.deepEqual(rendered('web'), ['web']);
  assert.deepEqual(rendered('web', 'api'), ['api', 'web']);
  assert.deepEqual(rendered('web'), ['web']);
});
