import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { loadConfig } from '../../../src/config/load.ts';
import { tempFolder } from '../../support/index.ts';
import { load, refusal } from '../../support/values/config.ts';

const minimal = `
watchers: { consul: {} }
services: { web: { bind: "127.0.0.1:8080" } }
`;

test('the smallest useful config needs a watcher and a service with a bind', async () => {
  const { config, files } = await load(minimal);
  assert.deepEqual(files, ['/etc/myelin/myelin.yaml']);
  assert.equal(config.watchers.consul?.type, 'consul');
  const web = config.services.get('web');
  assert.deepEqual(web?.bind, ['127.0.0.1:8080']);
  assert.deepEqual(web?.origins, [
    { watcher: 'consul', key: 'web', query: { service: 'web', tags: [], stale: true, warning: 'ignore' } },
  ]);
  assert.deepEqual(config.debounce, { quiet: 20, max: 200 });
});

test('JSON is accepted as the YAML that it is', async () => {
  const { config } = await load('{ "watchers": { "consul": {} }, "services": { "web": {} } }');
  assert.deepEqual([...config.services.keys()], ['web']);
});

test('relative paths count from the folder of the config', async () => {
  const { config } = await load(`
watchers:
  file: { path: services.yaml }
  consul: { tokenFile: ./a/../token, tls: { caFile: ca.pem, certFile: c.pem, keyFile: /abs/k.pem } }
services:
  web: { from: { file: {} }, server: { tls: { caFile: "@system-ca" } } }
  db: { from: { file: {} }, server: { tls: { caFile: db.pem } }, bind: "127.0.0.1:5432 ssl crt db.pem" }
templates: templates
haproxy: { control: command, binary: ./bin/haproxy, reloadCommand: [./reload, ./now], checkCommand: [haproxy, -c, "{file}"] }
`);
  const [file, consul] = [config.watchers.file, config.watchers.consul];
  assert.equal(file?.type === 'file' && file.path, '/etc/myelin/services.yaml');
  assert.ok(consul?.type === 'consul');
  assert.equal(consul.tokenFile, '/etc/myelin/token');
  assert.deepEqual(consul.tls, { caFile: '/etc/myelin/ca.pem', certFile: '/etc/myelin/c.pem', keyFile: '/abs/k.pem' });
  assert.equal(config.services.get('web')?.server.tls?.caFile, '@system-ca');
  assert.equal(config.services.get('db')?.server.tls?.caFile, '/etc/myelin/db.pem');
  assert.deepEqual(config.services.get('db')?.bind, ['127.0.0.1:5432 ssl crt db.pem']);
  assert.equal(config.templates, '/etc/myelin/templates');
  assert.equal(config.haproxy.binary, '/etc/myelin/bin/haproxy');
  assert.equal(config.haproxy.config, '/etc/myelin/run/haproxy.cfg');
  assert.equal(config.haproxy.statsSocket, '/etc/myelin/run/admin.sock');
  assert.deepEqual(config.haproxy.reloadCommand, ['/etc/myelin/reload', './now']);
  assert.deepEqual(config.haproxy.checkCommand, ['haproxy', '-c', '{file}']);
  assert.equal(config.state, '/etc/myelin/run/state');
  assert.equal(config.admin.socket, '/etc/myelin/run/myelin.sock');
});

test('a program without a slash stays a name for PATH', async () => {
  assert.equal((await load(minimal)).config.haproxy.binary, 'haproxy');
});

test('a section, a list, a watcher or a service with nothing below it has its defaults', async () => {
  const { config } = await load(`
watchers:
  consul:
services:
  web:
haproxy:
reload:
include:
allowAddresses:
`);
  assert.deepEqual(config.services.get('web')?.origins[0]?.key, 'web');
  assert.equal(config.haproxy.control, 'process');
  assert.equal(config.reload.minInterval, 2000);
  assert.deepEqual(config.allowAddresses, []);
});

test('a service asks one watcher or several, the same one more than once, and each answer has a key of its own', async () => {
  const { config } = await load(`
watchers:
  consul: {}
  local: { type: file, path: services.yaml }
services:
  one: { from: { local: { service: other } } }
  both: { from: { consul: { tags: [blue] }, local: } }
  list: { from: [ { consul: { service: pg } }, { local: {} }, { consul: { service: pg, datacenter: dc2 } } ] }
`);
  const origins = (name: string) =>
    config.services
      .get(name)
      ?.origins.map(({ watcher, key, query }) => [watcher, key, (query as { readonly service?: string }).service]);
  assert.deepEqual(origins('one'), [['local', 'one', 'other']]);
  assert.deepEqual(origins('both'), [
    ['consul', 'both', 'both'],
    ['local', 'both', 'both'],
  ]);
  assert.deepEqual(origins('list'), [
    ['consul', 'list', 'pg'],
    ['local', 'list', 'list'],
    ['consul', 'list#2', 'pg'],
  ]);
});

test('services stand in the order of their names, however they are written', async () => {
  const { config } = await load('watchers: { consul: {} }\nservices: { b: {}, a10: {}, a9: {}, B: {} }');
  assert.deepEqual([...config.services.keys()], ['B', 'a10', 'a9', 'b']);
});

test('services share settings by anchors, aliases and merge keys', async () => {
  const { config } = await load(`
watchers: { consul: {} }
services:
  a: &common
    balance: leastconn
    check: &check { type: http, path: /up }
  b:
    <<: *common
    balance: source
  c: { <<: [ { mode: tcp }, *common ], check: *check }
`);
  const b = config.services.get('b');
  assert.deepEqual([b?.balance, b?.check.path], ['source', '/up']);
  const c = config.services.get('c');
  assert.deepEqual([c?.balance, c?.mode, c?.check.path], ['leastconn', 'tcp', '/up']);
});

test('keys of the top level that begin with x- are the author’s own, in included files as well', async () => {
  const { config } = await load({
    'myelin.yaml': `
x-http: &http { check: { type: http, path: /up }, mode: http }
x-: 1
watchers: { consul: {} }
services: { a: { <<: *http } }
include: [more.yaml]
`,
    'more.yaml': 'x-tcp: &tcp { mode: tcp }\nservices: { b: *tcp }\n',
  });
  assert.deepEqual([config.services.get('a')?.check.path, config.services.get('b')?.mode], ['/up', 'tcp']);
  assert.ok(!Object.keys(config).some((key) => key.startsWith('x-')));
  assert.match(await refusal('x-a: 1\nwatchers: { consul: { x-b: 1 } }\n'), /watchers\.consul\.x-b: unknown key/);
});

test('durations become milliseconds and a single address a range', async () => {
  const { config } = await load(`${minimal}
startTimeout: 1.5s
reload: { hardStopAfter: 1h, jitter: 0s }
allowAddresses: [127.0.0.0/8, 10.0.0.1, "fd00::1"]
`);
  assert.equal(config.startTimeout, 1500);
  assert.equal(config.reload.hardStopAfter, 3_600_000);
  assert.deepEqual(config.allowAddresses, ['127.0.0.0/8', '10.0.0.1/32', 'fd00::1/128']);
});

test('nothing in the config can be changed afterwards', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'myelin.yaml');
  await writeFile(path, minimal);
  const { config } = await loadConfig(path, {});
  const web = config.services.get('web');
  for (const part of [config, config.haproxy, config.watchers, config.watchers.consul, web, web?.origins, web?.bind])
    assert.ok(Object.isFrozen(part));
});
