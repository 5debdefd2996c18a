import assert from 'node:assert/strict';
import test from 'node:test';
import { load, refusal } from '../../support/values/config.ts';

const consul = 'watchers: { consul: {} }\n';

test('two listeners that cannot both be held are a problem of the later one, which names the other', async () => {
  const services = (binds: readonly string[]) =>
    `${consul}services:\n${binds.map((bind, i) => `  s${i}: { bind: ${bind} }\n`).join('')}`;
  const clashes = [
    ['":80"', '"*:80"'],
    ['"127.0.0.1:80"', '":80 ssl crt x.pem"'],
    ['":80"', '":::80 v4v6"'],
    ['"[::]:80"', '"ipv4@127.0.0.1:80"'],
    ['":8000-8100"', '"127.0.0.1:8050"'],
    ['[":1", ":2"]', '":3,:2"'],
    ['/run/x.sock', '"unix@/run/x.sock mode 600"'],
    ['abns@x', 'abns@x'],
  ] as const;
  for (const [a, b] of clashes)
    assert.match(
      await refusal(services([a, b])),
      /^myelin\.yaml:4:\d+: services\.s1\.bind: .* of services\.s0\.bind/,
      `${a} ${b}`,
    );
  const apart = [
    ['":80"', '":81"'],
    ['":80"', '"[::]:80 v6only"'],
    ['"127.0.0.1:80"', '"127.0.0.2:80"'],
    ['":443 ssl crt x.pem"', '"quic4@:443 ssl crt x.pem"'],
  ] as const;
  for (const [a, b] of apart) assert.equal(await refusal(services([a, b])), 'no problem at all', `${a} ${b}`);
});

test('`master-worker` is refused where Myelin starts HAProxy, with its place and what to do', async () => {
  const message = await refusal(`${consul}haproxy:\n  global: ["maxconn 100", "master-worker no-exit-on-failure"]\n`);
  assert.match(
    message,
    /^myelin\.yaml:3:\d+: haproxy\.global\[1\]: `master-worker`: it makes HAProxy serve from another/,
  );
  assert.match(message, /leave it out, or start HAProxy with -W yourself and set `control: master`/);
  const elsewhere = 'haproxy: { control: master, masterSocket: /run/m.sock, global: ["master-worker"] }\n';
  assert.equal(await refusal(consul + elsewhere), 'no problem at all');
});

test('a bind must not take the addresses of the statistics page, the exporter, the probes, the admin API or other sections', async () => {
  const message = await refusal(`${consul}
services:
  a: { bind: "127.0.0.1:8406" }
  b: { bind: ":9000" }
  c: { bind: ":9001" }
  d: { bind: "[::1]:9002" }
  e: { bind: ":9003" }
  f: { bind: /run/x.sock }
  g: { frontend: ["bind :9003"], bind: ":9004" }
haproxy:
  statsSocket: /run/x.sock
  stats: { bind: "127.0.0.1:9000" }
  prometheus: { bind: "127.0.0.1:9001" }
  sections:
    - |
      listen mine
        mode tcp
        bind :9003
admin: { listen: "*:9002", allowRemote: true }
`);
  assert.equal(
    message,
    [
      '7 problems in the config:',
      'myelin.yaml:4:14: services.a.bind: 127.0.0.1:8406 is taken by 127.0.0.1:8406 of probes.listen (its default): give one of them another address or port',
      'myelin.yaml:5:14: services.b.bind: :9000 is taken by 127.0.0.1:9000 of haproxy.stats.bind (myelin.yaml:13:18): give one of them another address or port',
      'myelin.yaml:6:14: services.c.bind: :9001 is taken by 127.0.0.1:9001 of haproxy.prometheus.bind (myelin.yaml:14:23): give one of them another address or port',
      'myelin.yaml:7:14: services.d.bind: [::1]:9002 is taken by *:9002 of admin.listen (myelin.yaml:20:18): give one of them another address or port',
      'myelin.yaml:8:14: services.e.bind: :9003 is taken by :9003 of haproxy.sections[0] (myelin.yaml:16:7): give one of them another address or port',
      'myelin.yaml:9:14: services.f.bind: /run/x.sock is taken by /run/x.sock of haproxy.statsSocket (myelin.yaml:12:16): give one of them another address or port',
      'myelin.yaml:10:19: services.g.frontend[0]: :9003 is taken by :9003 of haproxy.sections[0] (myelin.yaml:16:7): give one of them another address or port',
    ].join('\n'),
  );
});

test('a thousand services on one port of a thousand addresses are compared in no time', async () => {
  const services = Array.from({ length: 1000 }, (_, i) => `  s${i}: { bind: "127.0.${i >> 8}.${i & 255}:80" }\n`).join(
    '',
  );
  const { config } = await load(`${consul}services:\n${services}`);
  assert.equal(config.services.size, 1000);
});

test("names that are Myelin's own, or a hand-written section's, are refused", async () => {
  const message = await refusal(`${consul}
services:
  myelin_stats: {}
  web: {}
  "web:in": {}
haproxy:
  sections: ["backend web\\n", "# mine\\nlisten myelin_prometheus\\n", "frontend other\\n", "frontend web:in\\n"]
`);
  assert.equal(
    message,
    [
      '5 problems in the config:',
      "myelin.yaml:4:3: services.myelin_stats: names that begin with myelin_ are Myelin's own: choose another",
      'myelin.yaml:6:3: services.web:in: the frontend of the service web has that name: choose another',
      'myelin.yaml:8:14: haproxy.sections[0]: `backend web`: the service web has that name: choose another',
      "myelin.yaml:8:31: haproxy.sections[1]: `listen myelin_prometheus`: names that begin with myelin_ are Myelin's own: choose another",
      'myelin.yaml:8:89: haproxy.sections[3]: `frontend web:in`: the service web:in has that name: choose another',
    ].join('\n'),
  );
});

test('a socket path that HAProxy could not bind is refused with its length, the limit and what to do', async () => {
  const folder = `/${'x'.repeat(88)}`;
  assert.equal(
    await refusal(`${consul}haproxy: { statsSocket: "${folder}/admin.sock" }\nstate: ${folder}\n`),
    [
      '2 problems in the config:',
      `myelin.yaml:2:25: haproxy.statsSocket: the path of a unix socket is at most 97 bytes long and ${folder}/admin.sock has 100: choose a shorter folder, such as /run/myelin`,
      `myelin.yaml:3:8: state: the path of a unix socket is at most 97 bytes long and ${folder}/g999999/s has 99 (the folder holds the sockets of HAProxy processes, such as this): choose a shorter folder, such as /run/myelin`,
    ].join('\n'),
  );
  const fits = `/${'é'.repeat(42)}`;
  const socket = (length: number) => `${consul}admin: { socket: "${fits}/${'s'.repeat(length - 86)}" }\n`;
  assert.equal(await refusal(socket(97)), 'no problem at all');
  assert.match(
    await refusal(socket(98)),
    /admin\.socket: the path of a unix socket is at most 97 bytes long and .* has 98: /,
  );
});

test('what a watcher reads is nothing that Myelin writes, whichever of its settings names it', async () => {
  assert.equal(
    await refusal('watchers: { consul: { tokenFile: run/x } }\nhaproxy: { config: ./run/x }'),
    'myelin.yaml:2:20: haproxy.config: run/x is the path of watchers.consul.tokenFile already: choose another path',
  );
});

test('no two of the files that Myelin uses may be the same', async () => {
  const message = await refusal({
    'myelin.yaml': `
watchers: { a: { type: file, path: x }, b: { type: file, path: ./x } }
services: { web: { from: { a: {} } } }
include: [more.yaml]
haproxy: { config: ./more.yaml, statsSocket: ./run/s }
admin: { socket: run/s }
state: x
`,
    'more.yaml': 'services: {}',
  });
  assert.equal(
    message,
    [
      '3 problems in the config:',
      "myelin.yaml:5:20: haproxy.config: /etc/myelin/more.yaml is one of the config's own files: choose another path",
      'myelin.yaml:6:18: admin.socket: /etc/myelin/run/s is the path of haproxy.statsSocket already: choose another path',
      'myelin.yaml:7:8: state: /etc/myelin/x is the path of watchers.b.path already: choose another path',
    ]
      .join('\n')
      .replaceAll('/etc/myelin/', ''),
  );
});

test('keys that need each other are asked for', async () => {
  const message = await refusal(`
watchers:
  consul: { token: abc, tokenFile: x, tls: { certFile: c.pem } }
  other: { type: consul, tls: { keyFile: k.pem } }
haproxy: { control: command }
`);
  assert.equal(
    message,
    [
      '4 problems in the config:',
      'myelin.yaml:3:36: watchers.consul.tokenFile: there is a token already: give either token or tokenFile',
      'myelin.yaml:3:56: watchers.consul.tls.certFile: a certificate needs its key: give keyFile as well',
      'myelin.yaml:4:42: watchers.other.tls.keyFile: a key needs its certificate: give certFile as well',
      'myelin.yaml:5:1: haproxy.reloadCommand: is missing; `control: command` needs a command that makes HAProxy reload',
    ].join('\n'),
  );
});

test('keys of an HTTP check are refused where the check is of another type, which would accept every server that listens', async () => {
  const refused = (check: string) => refusal(`${consul}services: { web: { check: ${check} } }\n`);
  assert.equal(
    await refused('{ path: /healthz }'),
    'myelin.yaml:2:35: services.web.check.path: has no effect, as the check is of type tcp: add `type: http`, or leave this out',
  );
  assert.match(
    await refused('{ type: none, host: a, status: "200" }'),
    /check\.host: .* of type none[\s\S]*check\.status: /,
  );
  assert.equal(await refused('{ type: http, path: /healthz }'), 'no problem at all');
  assert.equal(await refused('{ interval: 1s, rise: 2 }'), 'no problem at all');
});

test('services may stand in further files, found by name or by pattern', async () => {
  const { config, files, folders } = await load({
    'myelin.yaml': `${consul}services: { a: {} }\ninclude: ["services.d/*.yaml", "team-?/web.yaml", plain.yaml, "*.yaml", "none/*.yaml"]\n`,
    'services.d/2.yaml': 'services: { c: { mode: tcp } }',
    'services.d/1.yaml': 'services: { b: { bind: "${file:port}" } }',
    'services.d/.hidden.yaml': 'not: ours',
    'services.d/other.txt': 'not: ours',
    'team-a/web.yaml': 'services: { d: {} }',
    'plain.yaml': 'services: { e: {} }',
    port: '127.0.0.1:80\n',
  });
  assert.deepEqual([...config.services.keys()], ['a', 'b', 'c', 'd', 'e']);
  assert.deepEqual(config.services.get('b')?.bind, ['127.0.0.1:80']);
  assert.deepEqual(
    files,
    ['myelin.yaml', 'services.d/1.yaml', 'port', 'services.d/2.yaml', 'team-a/web.yaml', 'plain.yaml'].map(
      (file) => `/etc/myelin/${file}`,
    ),
  );
  assert.deepEqual(folders, ['/etc/myelin/services.d', '/etc/myelin', '/etc/myelin/none']);
});

test('an included file holds services only, each name once, and is not empty', async () => {
  const message = await refusal({
    'myelin.yaml': `${consul}services: { web: {} }\ninclude: [a.yaml, b.yaml, c.yaml, nope.yaml]\n`,
    'a.yaml': 'services: { web: {}, api: {} }\nreload: {}\n',
    'b.yaml': 'services:\n  api: {}\n',
    'c.yaml': '# nothing yet\n',
  });
  assert.equal(
    message,
    [
      '5 problems in the config:',
      'myelin.yaml:3:27: include[2]: the file c.yaml is empty',
      'myelin.yaml:3:35: include[3]: the file nope.yaml cannot be read: there is no such file',
      'a.yaml:1:13: services.web: is defined already at myelin.yaml:2:13: keep one of them',
      'a.yaml:2:1: reload: unknown key; allowed: services',
      'b.yaml:2:3: services.api: is defined already at a.yaml:1:22: keep one of them',
    ].join('\n'),
  );
});

test('a Kubernetes watcher: a policy needs its zone, ports are numbers or names, names are those of Kubernetes', async () => {
  const web = (watcher: string, query: string) =>
    refusal(`watchers: { kubernetes: ${watcher} }\nservices: { web: { from: { kubernetes: ${query} } } }\n`);
  for (const policy of ['prefer', 'only']) {
    assert.match(await web(`{ zonePolicy: ${policy} }`, '{}'), /zonePolicy: .* give zone as well/);
    assert.equal(await web(`{ zonePolicy: ${policy}, zone: za }`, '{}'), 'no problem at all');
  }
  for (const good of ['5432', 'sql', '"5432"'])
    assert.equal(await web('{}', `{ port: ${good} }`), 'no problem at all', good);
  for (const bad of ['0', '65536', '"My Port"', '[80]', 'true'])
    assert.match(
      await web('{}', `{ port: ${bad} }`),
      /port: .*not allowed; expected (at |a port from |a name of )/,
      bad,
    );
  assert.match(
    await web('{ namespaces: [a, B] }', '{}'),
    /namespaces\[1\]: "B" is not allowed; expected a name of small letters/,
  );
  assert.match(await web('{}', '{ service: My_Web }'), /service: "My_Web" is not allowed; expected a name/);
});

test('only a HAProxy that Myelin starts can be replaced when it hangs', async () => {
  assert.equal(await refusal(`${consul}haproxy: { onHang: replace }\n`), 'no problem at all');
  assert.match(
    await refusal(`${consul}haproxy: { onHang: replace, control: master, masterSocket: /run/m }\n`),
    /haproxy\.onHang: `replace` needs `control: process`/,
  );
});

test('a handover is for control process with onExit stop, into a folder that is nobody else’s', async () => {
  const told = (haproxy: string) => refusal(`${consul}haproxy: { handover: /run/h/a, ${haproxy} }\n`);
  assert.equal(await told('onExit: stop'), 'no problem at all');
  assert.match(await told('log: none'), /haproxy\.handover: needs `onExit: stop`/);
  assert.match(await told('onExit: stop, control: none'), /haproxy\.handover: `control: process` alone hands over/);
  assert.match(
    await refusal(`${consul}state: /run/h/a\nhaproxy: { handover: /run/h/a, onExit: stop }\n`),
    /haproxy\.handover: \/run\/h\/a is the path of state already/,
  );
  assert.match(
    await refusal(`${consul}haproxy: { handover: /${'x'.repeat(88)}, onExit: stop }\n`),
    /haproxy\.handover: the path of a unix socket is at most 97 bytes long/,
  );
});

test('control master needs the socket of the master, which is nobody else’s', async () => {
  assert.match(
    await refusal(`${consul}haproxy: { control: master }\n`),
    /haproxy\.masterSocket: is missing; `control: master` needs the socket that HAProxy was given by -S/,
  );
  assert.match(
    await refusal(`${consul}haproxy: { control: master, masterSocket: ./run/admin.sock }\n`),
    /haproxy\.masterSocket: .*admin\.sock is the path of haproxy\.statsSocket already/,
  );
  assert.match(
    await refusal(`${consul}haproxy: { control: master, masterSocket: /${'x'.repeat(100)} }\n`),
    /haproxy\.masterSocket: the path of a unix socket is at most 97 bytes long/,
  );
  const { config } = await load(`${consul}haproxy: { control: master, masterSocket: m.sock }\n`);
  assert.equal(config.haproxy.masterSocket, '/etc/myelin/m.sock');
});

test('TLS settings of a Consul agent that would be asked in clear are refused', async () => {
  const asked = (address: string | null, env: NodeJS.ProcessEnv = {}) =>
    refusal(
      `watchers: { consul: { ${address === null ? '' : `address: "${address}", `}tls: { verify: false } } }\n`,
      env,
    );
  for (const address of ['consul.example:8501', 'http://consul.example:8501', 'unix:///run/consul.sock'])
    assert.match(
      await asked(address),
      /watchers\.consul\.tls: is for an agent at https:\/\/.*write https:/,
      `${address}`,
    );
  assert.match(await asked('http://a:1', { CONSUL_HTTP_SSL: 'true' }), /asked in clear/);
  assert.match(await asked(null, { CONSUL_HTTP_ADDR: 'consul.example:8501' }), /asked in clear/);
  for (const [address, env] of [
    ['https://consul.example:8501', {}],
    ['consul.example:8501', { CONSUL_HTTP_SSL: 'true' }],
    [null, { CONSUL_HTTP_ADDR: 'https://consul.example:8501' }],
    [null, { CONSUL_HTTP_ADDR: 'consul.example:8501', CONSUL_HTTP_SSL: '1' }],
    [null, {}],
  ] as const)
    assert.equal(await asked(address, env), 'no problem at all');
});

test('a namespace or partition of Consul that would not be asked for is refused', async () => {
  for (const variable of ['CONSUL_NAMESPACE', 'CONSUL_PARTITION']) {
    assert.match(
      await refusal(consul, { [variable]: 'shop' }),
      new RegExp(`watchers.consul: ${variable} is set.*unset it`),
    );
    for (const value of ['', 'default'])
      assert.equal(await refusal(consul, { [variable]: value }), 'no problem at all');
    assert.equal(await refusal('watchers: { file: { path: x } }\n', { [variable]: 'shop' }), 'no problem at all');
  }
});

test('the admin API, which asks for no password, listens on loopback unless others are allowed', async () => {
  const admin = (text: string): Promise<unknown> => load(`watchers: { consul: {} }\nadmin: ${text}`);
  for (const address of ['"*:8405"', '":8405"', '"0.0.0.0:8405"', '"10.0.0.5:8405"', '"[::]:8405"'])
    await assert.rejects(
      admin(`{ listen: ${address} }`),
      /admin\.listen: .* can be reached by others.*allowRemote: true/,
    );
  for (const address of ['"127.0.0.1:8405"', '"localhost:8405"', '"[::1]:8405"']) await admin(`{ listen: ${address} }`);
  await admin('{ listen: "*:8405", allowRemote: true }');
});
