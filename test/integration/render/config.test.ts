/** The real HAProxy accepts whatever the built-in templates make, and without a warning. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { selfSignedPem } from '../../../src/certificates/self-signed.ts';
import { parseVersion } from '../../../src/haproxy/binary/version.ts';
import { substitute } from '../../../src/haproxy/text/attribution.ts';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { runCommand } from '../../../src/lib/command.ts';
import type { Endpoint } from '../../../src/model.ts';
import { branches, haproxy } from '../../servers/haproxy.ts';
import { tempFolder } from '../../support/index.ts';
import { configOf, endpoint, render, rendererWith } from '../../support/values/render.ts';

const renderer = await rendererWith();

/** What HAProxy has against the file: nothing, or its own words. */
async function complaints(binary: string, folder: string, text: string): Promise<string> {
  const file = join(folder, 'haproxy.cfg');
  await writeFile(file, text);
  // Written by Myelin before HAProxy is started; older versions warn where it is missing.
  await writeFile(join(folder, 'servers.state'), '1\n');
  const { status, stderr } = await runCommand([binary, '-c', '-f', file], { timeoutMs: 60_000 });
  const words = stderr
    .split('\n')
    // From 3.4 on, where a template puts a source's word into the name of a header.
    .filter((line) => !line.endsWith("contains forbidden character ':'."))
    .filter((line) => !line.startsWith('[NOTICE]') && !/Fatal errors|Error\(s\) found/.test(line));
  const told = words.join('\n').trim();
  return told === '' && status !== 0 ? `exit status ${status}` : told;
}

for (const branch of branches) {
  test(`HAProxy ${branch} takes the built-in templates with everything on, without a warning`, async () => {
    await using folder = await tempFolder();
    const { path } = folder;
    await writeFile(join(path, 'web.pem'), selfSignedPem(new Date()));
    await writeFile(join(path, 'ca.pem'), selfSignedPem(new Date()).split('-----BEGIN PRIVATE')[0] ?? '');
    const config = configOf({
      state: path,
      haproxy: {
        statsSocket: join(path, 'admin.sock'),
        stats: { bind: '127.0.0.1:8404', lines: ['stats auth eve:secret'] },
        prometheus: { bind: '127.0.0.1:8405' },
        global: ['maxconn 1000'],
        defaults: ['timeout server 60s'],
        sections: ['userlist admins\n    user eve insecure-password secret'],
      },
      services: {
        web: {
          bind: ['127.0.0.1:8080', `127.0.0.1:8443 ssl crt ${path}/web.pem alpn h2,http/1.1`],
          check: {
            type: 'http',
            path: '/health?a="b"#c',
            method: 'HEAD',
            host: 'shop.example:80%',
            status: '200,204,300-399',
            port: 81,
            timeout: '1s',
          },
          server: {
            maxconn: 10,
            slowstart: '10s',
            proxyProtocol: 'v1',
            tls: { caFile: `${path}/ca.pem`, sni: 'shop.example' },
            options: 'pool-max-conn 10',
          },
          timeouts: {
            connect: '1s',
            client: '2s',
            server: '3s',
            queue: '4s',
            tunnel: '5s',
            httpRequest: '6s',
            httpKeepAlive: '7s',
          },
          frontend: ['http-request set-header X-Forwarded-Proto https if { ssl_fc }'],
          backend: ['cookie SRV insert indirect nocache'],
        },
        db: {
          bind: '127.0.0.1:5432',
          mode: 'tcp',
          balance: 'source',
          server: { proxyProtocol: 'v2' },
          check: { type: 'http' },
          timeouts: { client: '1h', server: '1h', check: '1s' },
        },
        insecure: { server: { tls: { verify: false } } },
        unchecked: { check: { type: 'none' }, balance: 'random(2)' },
        nobody: { mode: 'tcp' },
      },
    });
    const endpoints = Object.fromEntries(
      ['web', 'db', 'insecure', 'unchecked'].map((name) => [
        name,
        [endpoint('a'), endpoint('b', { address: '::1', state: 'draining' })],
      ]),
    );
    const binary = await haproxy(branch);
    const version = parseVersion((await runCommand([binary, '-v'], { timeoutMs: 10_000 })).stdout)?.text ?? branch;
    for (const log of ['stdout', '127.0.0.1:514', '/dev/log', 'none']) {
      const logged = { ...config, haproxy: { ...config.haproxy, log } };
      assert.equal(
        await complaints(binary, path, textOf(render(renderer, logged, endpoints, version).sections)),
        '',
        `log: ${log}`,
      );
    }
    // Quarantined services leave empty backends, which are no less valid.
    const rendered = render(renderer, config, endpoints, version);
    const held = substitute(rendered, new Map([...config.services.keys()].map((name) => [name, null])));
    assert.equal(await complaints(binary, path, textOf(held.sections)), '');
  });
}

const text = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 20 });
const hostile = fc.oneof(
  text,
  fc.constantFrom(
    "'\n    server evil 1.2.3.4:80 #",
    '"',
    '\\',
    '#',
    '%[env(HOME)]',
    '$HOME',
    '{{x}}',
    'é\u2028',
    'x'.repeat(300),
    '12',
    '-x',
    '..',
  ),
);
const hostileEndpoint: fc.Arbitrary<Endpoint> = fc.record({
  id: hostile,
  address: fc.constantFrom('10.0.0.1', '::1', '2001:db8::1', '::ffff:10.0.0.1', '255.255.255.254'),
  port: fc.integer({ min: 1, max: 65_535 }),
  weight: fc.integer({ min: 0, max: 256 }),
  state: fc.constantFrom('ready', 'draining'),
  tags: fc.array(hostile.filter((value) => !value.includes('\0'))),
  meta: fc.dictionary(
    fc.oneof(hostile, fc.constantFrom('zone', '__proto__')),
    hostile.filter((value) => !value.includes('\0')),
  ),
});
const endpoints = fc.uniqueArray(hostileEndpoint, {
  selector: ({ address, port }) => `${address} ${port}`,
  maxLength: 5,
});
const time = fc.constantFrom('1ms', '250ms', '2s', '1500ms', '1m', '24h');
const service = fc.record({
  mode: fc.constantFrom('http', 'tcp'),
  balance: fc.constantFrom('roundrobin', 'leastconn', 'source', 'random', 'static-rr', 'first'),
  check: fc.record(
    {
      type: fc.constantFrom('tcp', 'http', 'none'),
      path: hostile.filter((value) => !/[\0-\x20\x7f\s]/.test(value)).map((value) => `/${value}`),
      method: fc.constantFrom('GET', 'HEAD', 'OPTIONS'),
      host: fc.constantFrom('shop.example', '%[env(HOME)]', '"x"', "a'b", 'a#b', '$HOME', 'a\\b'),
      status: fc.constantFrom('200', '200-399', '200,204'),
      interval: time,
      timeout: time,
      rise: fc.integer({ min: 1, max: 9 }),
      fall: fc.integer({ min: 1, max: 9 }),
      port: fc.integer({ min: 1, max: 65_535 }),
    },
    { requiredKeys: [] },
  ),
  server: fc.record(
    {
      maxconn: fc.integer({ min: 1, max: 9999 }),
      slowstart: time,
      proxyProtocol: fc.constantFrom('v1', 'v2'),
      tls: fc.constantFrom({ verify: false }, { verify: false, sni: 'a.example' }),
    },
    { requiredKeys: [] },
  ),
  timeouts: fc.record(
    {
      connect: time,
      client: time,
      server: time,
      queue: time,
      tunnel: time,
      httpRequest: time,
      httpKeepAlive: time,
      check: time,
    },
    { requiredKeys: [] },
  ),
  bound: fc.boolean(),
});

test('HAProxy takes hundreds of random services with hostile endpoints, without a warning', async () => {
  await using folder = await tempFolder();
  const { path } = folder;
  const binary = await haproxy();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(service, endpoints), { minLength: 80, maxLength: 80 }), async (list) => {
      const named = list.map(([{ bound, ...rest }, servers], at) => {
        const bind = bound ? { bind: `127.0.0.1:${10_000 + at}` } : {};
        return [`s${at}`, { ...rest, ...bind }, servers] as const;
      });
      const config = configOf({
        state: path,
        haproxy: { statsSocket: join(path, 'admin.sock') },
        services: Object.fromEntries([
          ['front', { bind: '127.0.0.1:9999' }],
          ...named.map(([name, written]) => [name, written]),
        ]),
      });
      const rendered = render(renderer, config, Object.fromEntries(named.map(([name, , servers]) => [name, servers])));
      assert.deepEqual(rendered.problems, []);
      assert.equal(await complaints(binary, path, textOf(rendered.sections)), '');
    }),
    { numRuns: 5, endOnFailure: true },
  );
});

test('a template whose author took no care is still safe from what a source says', async () => {
  await using folder = await tempFolder();
  const { path } = folder;
  const binary = await haproxy();
  const careless = await rendererWith({
    backend: `\nbackend {{name}}
{{#each servers}}
    {{> server}}
    http-request set-header X-Id {{id}} if { path /x }
    http-request set-header X-Id "{{id}}" # {{id}}
    http-response set-header X-Tags {{or (join tags " ") "none"}}
{{#each meta}}
    http-response set-header X-{{identifier @key}} '{{this}}'
{{/each}}
{{/each}}
`,
  });
  const state = { state: path, haproxy: { statsSocket: join(path, 'admin.sock') } };
  const plain = fc.uniqueArray(
    hostileEndpoint.filter(({ id }) => !id.includes('\0')),
    { selector: ({ address, port }) => `${address} ${port}`, minLength: 60, maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(plain, async (list) => {
      const config = configOf({ ...state, services: { web: { bind: '127.0.0.1:9999' } } });
      const rendered = render(careless, config, { web: list });
      assert.deepEqual(rendered.problems, []);
      const text = textOf(rendered.sections);
      assert.equal(await complaints(binary, path, text), '');
      assert.equal(text.match(/^ *server /gm)?.length, list.length);
    }),
    { numRuns: 4, endOnFailure: true },
  );
});
