import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDiscovered } from '../../../src/config/discover/discovered.ts';
import { ownListeners } from '../../../src/config/own-listeners.ts';
import { routesOf } from '../../../src/config/routes.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { DiscoveredService } from '../../../src/model.ts';
import { load, refusal } from '../../support/values/config.ts';
import { discovering, service } from '../../support/values/discovered.ts';

const frontends = `
frontends:
  public: { bind: ["*:80", "*:443 ssl crt cert.pem"], redirect: https, default: shop }
  tls: { mode: tcp, bind: "*:8443" }
  pool: { mode: tcp, bind: "127.0.0.1:10000-10999" }
`;

/** Who has what, by frontend. */
function entries(config: Config): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    [...routesOf(config).routes].map(([frontend, list]) => [frontend, list.map(({ route }) => route.line.trimEnd())]),
  );
}

test('services of the config claim routes of shared frontends, as texts or by key, one or a list', async () => {
  const { config } = await load(`
watchers: { file: { path: x.yaml } }
${frontends}
services:
  shop: { routes: [ "shop.example.com", { host: "*.shop.example.com", path: /api, strip: true } ] }
  admin: { routes: admin.example.com }
  mail: { mode: tcp, routes: { sni: mail.example.com } }
  pg: { mode: tcp, routes: [ ":10005", { frontend: pool, port: 10006 } ] }
`);
  assert.deepEqual(entries(config), {
    public: ['admin.example.com/ admin', 'shop.example.com/ shop', '*.shop.example.com/api/ shop|1|'],
    tls: ['mail.example.com mail'],
    pool: ['10005 pg', '10006 pg'],
  });
  // No endpoint leads back to them.
  const ports = ownListeners(config).map(({ port }) => port);
  for (const port of [80, 443, 8443, 10_000, 10_999]) assert.ok(ports.includes(port), `${port}`);
});

test('each mistake in shared frontends and routes is named at its place, with what would be right', async () => {
  assert.equal(
    await refusal(`
watchers: { file: { path: x.yaml } }
frontends:
  web: { bind: "*:80", defualt: shop }
  web:in: { bind: "*:81" }
  myelin_x: { bind: "*:82" }
  public: { bind: ["*:83", "*:85"], default: shp, by: sni }
  tls: { mode: tcp, bind: "*:84", redirect: https, default: web }
services:
  web: { bind: "*:83", routes: [ "web.example.com:80", { host: a.example.com, paht: / }, 5 ] }
  shop: { routes: [ "/a frontend=public", "/a strip frontend=public" ] }
haproxy: { config: "./with blank/haproxy.cfg", sections: [ "frontend public" ] }
`),
    [
      '15 problems in the config:',
      'myelin.yaml:4:3: frontends.web: the service web has that name, and HAProxy takes no two proxies of one name: choose another',
      'myelin.yaml:4:24: frontends.web.defualt: unknown key; allowed: mode, bind, by, redirect, certificates, defaultCertificate, clientCertificates, default, lines; did you mean "default"?',
      'myelin.yaml:5:3: frontends.web:in: the frontend of the service web has that name, and HAProxy takes no two proxies of one name: choose another',
      "myelin.yaml:6:3: frontends.myelin_x: names that begin with myelin_ are Myelin's own, and HAProxy takes no two proxies of one name: choose another",
      'myelin.yaml:7:46: frontends.public.default: there is no service "shp" in this config; did you mean "shop"?',
      'myelin.yaml:7:55: frontends.public.by: needs `mode: tcp`: with http the host and the path lead to a service',
      'myelin.yaml:8:45: frontends.tls.redirect: needs `mode: http`: nothing else can be redirected',
      'myelin.yaml:8:61: frontends.tls.default: the service web is of mode http, and this frontend of mode tcp',
      'myelin.yaml:10:16: services.web.bind: *:83 is taken by *:83 of frontends.public.bind[0] (myelin.yaml:7:20): give one of them another address or port',
      'myelin.yaml:10:34: services.web.routes[0]: the host "web.example.com:80" has a port: write it without, it holds for every port',
      'myelin.yaml:10:79: services.web.routes[1].paht: unknown key; allowed: frontend, host, path, sni, port, strip, to; did you mean "path"?',
      'myelin.yaml:10:90: services.web.routes[2]: 5 is not allowed; expected text: put it in quotes, "5"',
      'myelin.yaml:11:43: services.shop.routes[1]: frontend public leads this to services.shop.routes[0] (myelin.yaml:11:21) already: take one of them away',
      'myelin.yaml:12:20: haproxy.config: with blank/haproxy.cfg cannot be the config of shared frontends: HAProxy takes no blanks, quotes and the like in the paths of maps, which stand beside it. Choose another folder, such as /run/myelin',
      'myelin.yaml:12:60: haproxy.sections[0]: `frontend public`: the shared frontend public has that name: choose another',
    ].join('\n'),
  );
});

test('TLS without a certificate, and client certificates that nobody is asked for, are named at their place, with what helps', async () => {
  const crt = 'write `crt` and the path of one, with its key, behind it';
  assert.equal(
    await refusal(`
watchers: { file: { path: x.yaml } }
frontends:
  public: { bind: ["*:80", "*:443 ssl alpn h2,http/1.1"] }
  plain: { bind: "*:81", clientCertificates: { caFile: ca.pem } }
  own: { bind: "*:82 ssl crt a.pem verify none", clientCertificates: { caFile: ca.pem } }
  anybody: { bind: "*:83 ssl crt a.pem", clientCertificates: { caFile: "@system-ca" } }
  fine: { bind: ["*:84 ssl", "*:85 ssl crt a.pem"], certificates: certs, clientCertificates: { caFile: ca.pem } }
  later: { bind: "*:86 ssl strict-sni" }
  inside: { bind: "*:87 ssl", lines: ["ssl-f-use crt a.pem"] }
services:
  web: { bind: ["*:88 ssl crt a.pem", "quic4@:443 ssl alpn h3"] }
haproxy: { stats: { bind: "*:89 ssl" } }
`),
    [
      '6 problems in the config:',
      `myelin.yaml:4:28: frontends.public.bind[1]: has \`ssl\` and no certificate, which HAProxy refuses: set \`certificates: ./certs\`, a folder of them, for the frontend (where it is empty, one is generated), or ${crt}`,
      'myelin.yaml:5:26: frontends.plain.clientCertificates: has no effect: no `bind` of this frontend has `ssl` without a `ca-file` or `verify` of its own',
      'myelin.yaml:6:50: frontends.own.clientCertificates: has no effect: no `bind` of this frontend has `ssl` without a `ca-file` or `verify` of its own',
      'myelin.yaml:7:72: frontends.anybody.clientCertificates.caFile: expected a file with CA certificates: those of the system have issued certificates to everybody',
      `myelin.yaml:12:39: services.web.bind[1]: has \`ssl\` and no certificate, which HAProxy refuses: ${crt}`,
      `myelin.yaml:13:27: haproxy.stats.bind: has \`ssl\` and no certificate, which HAProxy refuses: ${crt}`,
    ].join('\n'),
  );
});

test('a route that no shared frontend has is named at its place', async () => {
  assert.equal(
    await refusal(`
watchers: { file: { path: x.yaml } }
frontends: { public: { bind: "*:80" }, pool: { mode: tcp, bind: "127.0.0.1:81-89" } }
services:
  web: { routes: /x frontend=publik }
  db: { mode: tcp, routes: [ "/a", ":90", "db.example.com" ] }
`),
    [
      '4 problems in the config:',
      'myelin.yaml:5:18: services.web.routes: there is no shared frontend "publik"; there are public, pool; did you mean "public"?',
      'myelin.yaml:6:30: services.db.routes[0]: a route by host and path leads to a service of mode http, and this one is of mode tcp',
      'myelin.yaml:6:36: services.db.routes[1]: port 90 is none of frontend pool, which has 81 to 89',
      'myelin.yaml:6:43: services.db.routes[2]: no frontend under `frontends` has routes by sni (mode: tcp)',
    ].join('\n'),
  );
});

test('a discovered service chooses routes within the limits; one beyond them leaves it out, named', async () => {
  const config = await discovering(
    'hosts: [ "*.apps.example.com", "shop.example.com" ], frontends: [ public, pool ]',
    `${frontends}\nservices: { shop: { from: { cluster: { service: shop } } } }`,
  );
  const [discovery] = config.discoveries;
  assert.ok(discovery);
  const serve = (...list: readonly DiscoveredService[]) =>
    withDiscovered(
      config,
      list.map((one) => ({ discovery, service: one })),
    );
  const reasonFor = (routes: string, mode = 'http'): string => {
    const [left] = serve(service('one', { routes, mode })).rejected;
    return left?.reason ?? 'served';
  };
  const { config: all } = serve(
    service('a', { routes: 'a.apps.example.com/x strip,  *.apps.example.com,shop.example.com' }),
  );
  assert.deepEqual(entries(all).public, [
    'a.apps.example.com/x/ shop:a|1|',
    '*.apps.example.com/ shop:a',
    'shop.example.com/ shop:a',
  ]);
  assert.equal(reasonFor(':10005', 'tcp'), 'served');
  const hosts = 'allowed hosts: *.apps.example.com, shop.example.com (discover.hosts)';
  assert.deepEqual(
    ['a.b.apps.example.com', 'apps.example.com', '/x', 'x.org, /y'].map((routes) => reasonFor(routes)),
    ['a.b.apps.example.com', 'apps.example.com', '/x', 'x.org'].map(
      (one) => `routes: "${one}" is not allowed; ${hosts}`,
    ),
  );
  assert.equal(
    reasonFor('a.apps.example.com frontend=tls', 'tcp'),
    'routes: frontend tls may not be used here; allowed: public, pool (discover.frontends)',
  );
  assert.match(reasonFor('a.apps.example.com', 'tcp'), /no frontend under `frontends` has routes by sni/);
  assert.match(reasonFor(':11000', 'tcp'), /port 11000 is not allowed; allowed: 10000 to 10999 \(discover.ports\)/);
  assert.equal(reasonFor('a.apps.example.com, a.apps.example.com/'), 'routes: "a.apps.example.com/" is there twice');
  for (const hostile of [
    'a.apps.example.com\n*/evil/ other',
    'a.apps.example.com other',
    'a.apps.example.com/x|y',
    'a.apps.example.com/#x',
    'a.apps.example.com/"x"',
    "a.apps.example.com/'x'",
    'ä.apps.example.com',
    'a.apps.example.com\0',
    'a.apps.example.com/x to=/y|z',
    '*',
    '',
    ',',
  ])
    assert.match(reasonFor(hostile), /^routes: /, JSON.stringify(hostile));
});

test('without limits of its own a discovered service may claim no host and no port', async () => {
  const config = await discovering('', frontends.replace(', default: shop', ''));
  const [discovery] = config.discoveries;
  assert.ok(discovery);
  const { rejected } = withDiscovered(config, [{ discovery, service: service('a', { routes: 'a.example.com' }) }]);
  assert.deepEqual(
    rejected.map(({ reason }) => reason),
    ['routes: no hosts may be chosen here (discover.hosts)'],
  );
});

test('a route that two services claim is the listed one’s, then the older one’s, and the next one’s when that goes', async () => {
  const config = await discovering(
    'hosts: [ "*" ]',
    `${frontends}\nservices: { shop: { from: { cluster: { service: shop } }, routes: shop.example.com } }`,
  );
  const [discovery] = config.discoveries;
  assert.ok(discovery);
  const table = (...list: readonly DiscoveredService[]) => {
    const served = withDiscovered(
      config,
      list.map((one) => ({ discovery, service: one })),
    );
    assert.deepEqual(served.rejected, []);
    const { conflicts } = routesOf(served.config);
    return {
      lines: entries(served.config).public,
      conflicts: conflicts.map(({ service: name, route, holder }) => `${name} ${route}: ${holder}`),
    };
  };
  const [young, old] = [service('a', { routes: 'shop.example.com, /x' }, 2), service('b', { routes: '/x' }, 1)];
  for (const list of [
    [young, old],
    [old, young],
  ])
    assert.deepEqual(table(...list), {
      lines: ['shop.example.com/ shop', '*/x/ shop:b'],
      conflicts: ['shop:a /x: shop:b', 'shop:a shop.example.com: shop'],
    });
  assert.deepEqual(table(young), {
    lines: ['shop.example.com/ shop', '*/x/ shop:a'],
    conflicts: ['shop:a shop.example.com: shop'],
  });
});
