import assert from 'node:assert/strict';
import test from 'node:test';
import { ConfigError } from '../../../src/config/problems.ts';
import { builtIn } from '../../../src/config/schema/watchers.ts';
import { exitCodes } from '../../../src/errors.ts';
import { load, refusal } from '../../support/values/config.ts';

test('all mistakes of a config are named at once, each with its place, what is allowed and what was likely meant', async () => {
  const message = await refusal(
    {
      'myelin.yaml': `
watchers:
  consul: { token: "\${TOKEN}", maxConections: 5 }
  files: { type: fil, path: ./x }
services:
  web:
    bnd: ":80"
    mode: htp
    check: { type: http, path: healthz, interval: 5 }
    from: { consol: {}, consul: { tgs: [blue] } }
  api:
    bind: ["127.0.0.1:8406", ":80x"]
    from: { consul: {} }
    timeouts: { connect: 0s, server: 30d }
    frontend: ["http-request deny", "backend evil"]
  db: { bind: 5432, from: [] }
  pg: {}
  my service: { from: { consul: {} } }
  myelin_x: { from: { consul: {} } }
haproxy:
  control: command
  stats: { bind: ":9000-9010" }
  prometheus: { bind: "127.0.0.1:9005" }
  sections: ["listen api\\n  bind :99\\n", "maxconn 5"]
include: ["services.d/*.yaml", more.yaml]
allowAddresses: [127.0.0.0/33]
debounce: { quiet: 1s, max: 20ms }
reload: { maxOldWorkers: 0 }
targets: []
admin: { listen: "127.0.0.1:8406" }
probes: { listen: 8406 }
`,
      'services.d/a.yaml': 'services:\n  web: {}\n  more: { bind: ":9008", from: { consul: {} } }\nwatchers: {}\n',
    },
    { TOKEN: 'hunter2' },
  );
  assert.equal(message, golden);
});

const golden = `
30 problems in the config:
myelin.yaml:3:32: watchers.consul.maxConections: unknown key; allowed: type, address, token, tokenFile, datacenter, wait, maxConnections, hostNames, tls, required, maxServers, maxShrink; did you mean "maxConnections"?
myelin.yaml:4:18: watchers.files.type: "fil" is not allowed; allowed: ${[...builtIn.keys()].join(', ')}; did you mean "file"?
myelin.yaml:7:5: services.web.bnd: unknown key; allowed: from, bind, routes, mode, balance, check, server, timeouts, frontend, backend, values, onEmpty, keepFor; did you mean "bind"?
myelin.yaml:8:11: services.web.mode: "htp" is not allowed; allowed: http, tcp; did you mean "http"?
myelin.yaml:9:32: services.web.check.path: "healthz" is not allowed; expected a path that starts with /
myelin.yaml:9:51: services.web.check.interval: 5 is not allowed; expected a duration such as 250ms, 20s, 10m or 2h
myelin.yaml:10:13: services.web.from.consol: there is no watcher of this name; the watchers are consul, files; did you mean "consul"?
myelin.yaml:10:35: services.web.from.consul.tgs: unknown key; allowed: service, tags, filter, datacenter, near, stale, warning; did you mean "tags"?
myelin.yaml:12:12: services.api.bind[0]: 127.0.0.1:8406 is taken by 127.0.0.1:8406 of admin.listen (myelin.yaml:30:18): give one of them another address or port
myelin.yaml:12:30: services.api.bind[1]: "80x" is not a port; write a number or a range such as 8000-8010
myelin.yaml:14:26: services.api.timeouts.connect: "0s" is not allowed; expected more than 0ms
myelin.yaml:14:38: services.api.timeouts.server: "30d" is not allowed; expected at most 24d (HAProxy counts no further)
myelin.yaml:15:37: services.api.frontend[1]: this line opens a section of its own: write it under haproxy.sections
myelin.yaml:16:15: services.db.bind: 5432 is not allowed; expected an address with a port, in quotes, such as "127.0.0.1:8080", or ":8080" for every address of this machine
myelin.yaml:16:21: services.db.from: is an empty list; the watchers are consul, files
myelin.yaml:17:3: services.pg.from: is missing; the watchers are consul, files: name one of them
myelin.yaml:18:3: services["my service"]: only letters, digits and _ . : - are allowed in a name (HAProxy's rule for proxies)
myelin.yaml:19:3: services.myelin_x: names that begin with myelin_ are Myelin's own: choose another
myelin.yaml:20:1: haproxy.reloadCommand: is missing; \`control: command\` needs a command that makes HAProxy reload
myelin.yaml:23:23: haproxy.prometheus.bind: 127.0.0.1:9005 is taken by :9000-9010 of haproxy.stats.bind (myelin.yaml:22:18): give one of them another address or port
myelin.yaml:24:42: haproxy.sections[1]: a section begins with its keyword, such as \`listen NAME\` or \`userlist NAME\`
myelin.yaml:25:32: include[1]: the file more.yaml cannot be read: there is no such file
myelin.yaml:26:18: allowAddresses[0]: "127.0.0.0/33" is not allowed; expected a range of addresses such as 127.0.0.0/8 or fd00::/8, or a single address
myelin.yaml:27:29: debounce.max: must not be shorter than debounce.quiet (1000ms)
myelin.yaml:28:26: reload.maxOldWorkers: 0 is not allowed; expected at least 1
myelin.yaml:29:1: targets: unknown key; allowed: watchers, services, frontends, discover, include, allowAddresses, onlyAddresses, haproxy, templates, outputs, order, startTimeout, debounce, reload, file, drainTimeout, verifyInterval, drift, log, state, admin, probes
myelin.yaml:31:19: probes.listen: 8406 is not allowed; expected HOST:PORT such as 127.0.0.1:8406, [::1]:8406 or *:8406, or off
services.d/a.yaml:2:3: services.web: is defined already at myelin.yaml:6:3: keep one of them
services.d/a.yaml:3:17: services.more.bind: :9008 is taken by :9000-9010 of haproxy.stats.bind (myelin.yaml:22:18): give one of them another address or port
services.d/a.yaml:4:1: watchers: unknown key; allowed: services
`.trim();

test('the error carries the problems as data, the exit code for an invalid config, and the files to watch', async () => {
  const files = {
    'myelin.yaml': 'watchers: { consul: {} }\ninclude: [a.yaml]\nx: 1\n',
    'a.yaml': 'services: { web: { y: 1 } }',
  };
  await assert.rejects(load(files), (error: unknown) => {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.code, 'MYELIN_CONFIG_INVALID');
    assert.equal(error.exitCode, exitCodes.configInvalid);
    assert.deepEqual(
      error.problems.map(({ file, line, column, path }) => ({ file, line, column, path })),
      [
        { file: '/etc/myelin/myelin.yaml', line: 3, column: 1, path: 'x' },
        { file: '/etc/myelin/a.yaml', line: 1, column: 20, path: 'services.web.y' },
      ],
    );
    assert.deepEqual(error.files, ['/etc/myelin/myelin.yaml', '/etc/myelin/a.yaml']);
    return true;
  });
});

test('the error tells where a Myelin that runs is asked, as far as the config says so', async () => {
  const socketOf = async (text: string): Promise<string> => {
    const error: unknown = await load(text).then(
      () => null,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof ConfigError);
    return error.socket;
  };
  assert.equal(await socketOf('admin: { socket: other.sock }\nx: 1\n'), '/etc/myelin/other.sock');
  for (const text of ['x: 1\n', 'admin: { socket: 1 }\n', 'not: [yaml', ''])
    assert.equal(await socketOf(text), '/etc/myelin/run/myelin.sock');
});

test('a config that is missing, empty or a folder is refused with what to do', async () => {
  const remedy = (files: Record<string, string>) =>
    load(files).then(
      () => null,
      (error: unknown) => error instanceof ConfigError && [error.message, error.remedy],
    );
  const advice = '`myelin init` writes a config to start from; `--config FILE` names another';
  assert.deepEqual(await remedy({}), ['/etc/myelin/myelin.yaml: cannot be read: there is no such file', advice]);
  assert.deepEqual(await remedy({ 'myelin.yaml': '# nothing\n' }), ['/etc/myelin/myelin.yaml: is empty', advice]);
  assert.deepEqual(await remedy({ 'myelin.yaml': 'a: [' }), [
    '/etc/myelin/myelin.yaml:1:5: not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
    undefined,
  ]);
  assert.deepEqual(await remedy({ 'myelin.yaml/x': '' }), [
    '/etc/myelin/myelin.yaml: cannot be read: it is a folder',
    advice,
  ]);
});

test('what is not YAML is refused with its place', async () => {
  const cases = {
    'watchers:\n\tconsul: {}\n': 'myelin.yaml:2:1: not valid YAML: a tab stands where the line is indented: use spaces',
    'watchers: { consul: {} }\nwatchers: {}\n':
      'myelin.yaml:2:1: watchers: stands twice in the same map, first at line 1, column 1: keep one of them',
    'watchers: {}\n---\nwatchers: {}\n': 'myelin.yaml:2:1: a second document begins here: remove the line `---`',
    'watchers: { consul: { token: !secret x } }': 'myelin.yaml:1:30: not valid YAML: unresolved tag: !secret',
    'watchers: *w\n': 'myelin.yaml:1:11: watchers: the alias *w has no anchor &w before it',
    'watchers: { consul: &w { token: *w } }\n':
      '2 problems in the config:\n' +
      'myelin.yaml:1:26: watchers.consul.token: this value is not allowed; expected text\n' +
      'myelin.yaml:1:33: watchers.consul.token.token: the alias *w stands within itself',
    'watchers: { consul: { <<: 5 } }\n':
      'myelin.yaml:1:23: watchers.consul: `<<` takes over the keys of another map: write `<<: *ANCHOR`',
    'watchers: { __proto__: { type: file } }\n': 'myelin.yaml:1:13: watchers.__proto__: this name is not allowed',
    'watchers: { [a]: 1 }\n': 'myelin.yaml:1:13: a key must be plain text',
    '- a\n': 'myelin.yaml:1:1: a list is not allowed; expected a map of keys and values',
    'services: {}\n': 'myelin.yaml:1:1: watchers: is missing; expected a map of names and their settings',
  };
  for (const [text, message] of Object.entries(cases)) assert.equal(await refusal(text), message, text);
});

test('aliases cannot be stacked until memory runs out', async () => {
  const levels = Array.from({ length: 30 }, (_, i) => `l${i + 1}: &l${i + 1} [*l${i}, *l${i}, *l${i}]`);
  const message = await refusal(`watchers: { consul: {} }\nl0: &l0 [1, 2, 3]\n${levels.join('\n')}\n`);
  assert.match(message, /aliases repeat more than 200000 values: write fewer of them/);
});

test('a secret value is not repeated in the problem that it causes', async () => {
  const text = 'watchers: { consul: { address: "${file:token}", datacenter: "${API_TOKEN}\\n" } }';
  const message = await refusal({ 'myelin.yaml': text, token: 'hunter2hunter2' }, { API_TOKEN: 's3cr3t' });
  assert.equal(
    message,
    [
      '2 problems in the config:',
      'myelin.yaml:1:32: watchers.consul.address: "***" is not allowed; expected http://HOST:PORT, https://HOST:PORT or unix:///PATH',
      'myelin.yaml:1:61: watchers.consul.datacenter: "***\\n" is not allowed; expected text without line breaks or other control characters',
    ].join('\n'),
  );
});
