/**
 * The guide that moves a setup from consul-template, with its own two files: both answer the same, and neither the way
 * there nor the way back loses a request.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { test } from 'node:test';
import { runCommand } from '../../../src/lib/command.ts';
import { startBackends } from '../../servers/backend.ts';
import { startConsul } from '../../servers/consul.ts';
import { startConsulTemplate } from '../../servers/consul-template.ts';
import { isApplied } from '../../support/applied.ts';
import { pemFor } from '../../support/certificates.ts';
import { forFile } from '../../support/for-file.ts';
import { freePort, until } from '../../support/index.ts';
import { get } from '../../support/load/requests.ts';
import { tlsLoad } from '../../support/load/tls-load.ts';
import { workplace } from '../../support/sites/myelin.ts';

const page = await readFile(new URL('../../../docs/guides/moving-from-consul-template.md', import.meta.url), 'utf8');
const services = ['shop', 'blue', 'green', 'api', 'docs', 'admin', 'pg'] as const;
const [backends, consul] = await Promise.all([forFile(startBackends([...services, 'sorry'])), forFile(startConsul())]);
const env = { ADMIN_PASSWORD: 'secret' };

type Ports = { readonly http: number; readonly https: number; readonly pg: number; readonly stats: number };

async function freePorts(): Promise<Ports> {
  return { http: await freePort(), https: await freePort(), pg: await freePort(), stats: await freePort() };
}

/** A file of the guide, with the paths and ports of this test. */
function fileOf(name: string, replaced: readonly (readonly [string, string])[]): string {
  const [, text] = new RegExp(`<!-- file: ${name} -->\\n\\n\`\`\`\\w+\\n([^]*?)\`\`\``).exec(page) ?? [];
  assert.ok(text !== undefined, `the guide has no file ${name}`);
  return replaced.reduce((before, [from, to]) => {
    assert.ok(before.includes(from), `${name} of the guide has no ${from}`);
    return before.replaceAll(from, to);
  }, text);
}

/** In Consul's key-value store, where consul-template looks. */
async function paint(colour: string): Promise<void> {
  const { ok } = await fetch(`${consul.address}/v1/kv/blog/colour`, { method: 'PUT', body: colour });
  assert.ok(ok);
}

type Request = { readonly host: string; readonly path?: string; readonly to?: keyof Ports; readonly auth?: string };

/** All that a client could tell one from the other by. */
async function answerOf(ports: Ports, { host, path = '/', to = 'https', auth }: Request): Promise<string> {
  const ask = to === 'https' ? tlsRequest : plainRequest;
  const options = { host: '127.0.0.1', port: ports[to], path, auth: auth ?? null, rejectUnauthorized: false };
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asking = ask({ ...options, agent: false, servername: host, headers: { host } }, (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    response.on('error', reject).on('end', () => {
      const { location, 'cache-control': cache, 'www-authenticate': realm } = response.headers;
      const shown = to === 'stats' ? body.includes('Statistics Report for HAProxy') : body.trim();
      resolve(JSON.stringify({ status: response.statusCode, body: shown, location, cache, realm }));
    });
  });
  asking.on('error', reject).end();
  return promise;
}

const requests: readonly Request[] = [
  ...['shop', 'SHOP', 'blog', 'api', 'docs', 'admin', 'other'].map((name) => ({ host: `${name}.example.com` })),
  { host: 'admin.example.com', auth: 'admin:secret' },
  { host: 'admin.example.com', auth: 'admin:wrong' },
  { host: 'docs.example.com', path: '/a/b?c=d' },
  { host: 'docs.example.com', path: '/a?b', to: 'http' },
  { host: 'any', to: 'pg' },
  { host: 'any', to: 'stats' },
  { host: 'any', to: 'stats', auth: 'admin:secret' },
];

test('the setup of the guide moves from consul-template: both answer the same, and neither the way there nor back loses a request', async () => {
  const [old, shadow] = [await freePorts(), await freePorts()];
  await using before = await workplace('');
  // In the shadow, from a folder of its own.
  await using aside = await workplace('');
  await using after = await workplace('');
  await before.write('certs/example.pem', pemFor('*.example.com'));
  await before.write('503.http', 'HTTP/1.0 503 Sorry\r\ncontent-type: text/plain\r\n\r\nwe are back in a minute\n');
  await before.write('blog.colour', 'blue\n');
  await paint('blue');
  for (const name of services) {
    const [service, tags] = name === 'blue' || name === 'green' ? ['blog', [name]] : [name, []];
    await consul.register({ name: service, id: `${service}-${name}`, port: backends[name].port, tags });
  }
  const places = [
    ['/etc/haproxy/certs', before.path('certs')],
    ['/etc/haproxy/errors/503.http', before.path('503.http')],
    ['/run/haproxy/admin.sock', before.path('admin.sock')],
    ['127.0.0.1:9900', `127.0.0.1:${backends.sorry.port}`],
    ['/dev/log', `127.0.0.1:${await freePort()}`],
  ] as const;
  const template = fileOf('haproxy.ctmpl', [
    ...places,
    ['bind *:80\n', `bind 127.0.0.1:${old.http}\n`],
    ['bind *:443', `bind 127.0.0.1:${old.https}`],
    ['bind *:5432', `bind 127.0.0.1:${old.pg}`],
    ['bind *:8404', `bind 127.0.0.1:${old.stats}`],
  ]);
  const start = () => startConsulTemplate({ place: before, consul: consul.address, template, env });
  await using consulTemplate = await start();

  const config = `${fileOf('myelin.yaml', [
    ...places,
    ['"*:', '"127.0.0.1:'],
    ['/etc/myelin/blog.colour', before.path('blog.colour')],
    ['  consul: {}', `  consul: { address: "${consul.address}" }`],
  ])}allowAddresses: [127.0.0.0/8]\nprobes: { listen: "off" }\n`;
  for (const place of [aside, after]) await place.write('myelin.yaml', config);
  const named = (ports: Ports) => ({
    HTTP_PORT: `${ports.http}`,
    HTTPS_PORT: `${ports.https}`,
    PG_PORT: `${ports.pg}`,
    STATS_PORT: `${ports.stats}`,
  });
  const answer = async (ports: Ports) => {
    const all: Record<string, string> = {};
    for (const one of requests) all[JSON.stringify(one)] = await answerOf(ports, one);
    return all;
  };
  const bothAnswerTheSame = () =>
    until('both answer the same', async () => {
      const [theirs, ours] = [await answer(old), await answer(shadow)];
      const differing = Object.keys(theirs).filter((key) => theirs[key] !== ours[key]);
      if (differing.length > 0)
        throw new Error(differing.map((key) => `${key}: ${theirs[key]} ${ours[key]}`).join('\n'));
      return theirs;
    });

  aside.env = { ...env, ...named(shadow), STATS_SOCKET: './run/admin.sock' };
  const checked = await aside.command('check');
  assert.equal(checked.exitCode, 0, checked.stderr);
  const beside = aside.run();
  await beside.until('it serves beside', ({ stateReasons }) => isApplied(stateReasons));
  const answers = await bothAnswerTheSame();
  const said = Object.values(answers).join('\n');
  for (const word of ['"status":200', '"status":308', '"status":401', 'shop', 'blue', 'pg', 'max-age=60', 'operators'])
    assert.ok(said.includes(word), word);

  await paint('green');
  await before.write('blog.colour', 'green\n');
  await consul.setCheck('api-api', 'fail');
  await consul.setCheck('docs-docs', 'fail');
  for (const name of ['api', 'docs'])
    await until(`the last instance of ${name} goes`, async () => (await aside.command('accept', name)).exitCode === 0);
  const changed = await until('the blog is green, the api says sorry, docs shows the page of the errors', async () => {
    const all = Object.values(await bothAnswerTheSame()).join('\n');
    return ['green', 'sorry', 'we are back in a minute'].every((word) => all.includes(word)) ? all : null;
  });
  assert.ok(!changed.includes('blue'));
  await consul.setCheck('api-api', 'pass');
  await consul.setCheck('docs-docs', 'pass');

  const limited = async (ports: Ports) => {
    const login = { host: 'shop.example.com', path: '/login' };
    const tries = Array.from({ length: 150 }, () => answerOf(ports, login));
    return (await Promise.all(tries)).some((one) => one.includes('"status":429'));
  };
  assert.deepEqual([await limited(old), await limited(shadow)], [true, true]);
  assert.equal((await aside.command('stop', '--haproxy')).exitCode, 0);
  await beside.ended;
  assert.deepEqual(await aside.haproxies(), []);

  // There, under load.
  const load = tlsLoad({ port: old.https, servername: 'shop.example.com' });
  await using _load = { [Symbol.asyncDispose]: () => load.end().then(() => {}) };
  await consulTemplate[Symbol.asyncDispose]();
  assert.equal((await before.haproxies()).length, 1);
  after.env = { ...env, ...named(old) };
  for (const command of [['check'], ['run', '--once']]) {
    const refused = await after.command(...command);
    assert.equal(refused.exitCode, 7, command.join());
    assert.match(`${refused.stdout}${refused.stderr}`, /--take-over/);
  }
  after.run('--once', '--take-over');
  await until('the old HAProxy has ended', async () => (await before.haproxies()).length === 0);
  const moved = after.run();
  await moved.until('it serves in its place', ({ stateReasons }) => isApplied(stateReasons));
  await consul.setCheck('shop-shop', 'warn');
  await consul.setCheck('shop-shop', 'pass');
  assert.equal(await get(old.pg), 'pg');

  // And back.
  assert.equal((await after.command('stop')).exitCode, 0);
  await moved.ended;
  await runCommand([before.path('reload')], { timeoutMs: 20_000, env: process.env });
  await using _ = await start();
  await until('HAProxy serves from the old file', async () => (await before.haproxies()).length === 1);
  assert.equal((await after.command('stop', '--haproxy')).exitCode, 0);
  await until('the HAProxy of Myelin has ended', async () => (await after.haproxies()).length === 0);
  assert.equal(await get(old.pg), 'pg');
  const { done, failures } = await load.end();
  assert.deepEqual(failures, []);
  assert.ok(done > 50, `${done} requests`);
});
