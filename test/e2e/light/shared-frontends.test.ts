/** Shared frontends in the hands of an unlucky operator. */
import assert from 'node:assert/strict';
import { get } from 'node:http';
import { test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { mountDisk } from '../../support/machine/disk.ts';
import { workplace } from '../../support/sites/myelin.ts';

test('a service whose own address cannot be had at the start does not keep the routes of shared frontends from being served', async () => {
  await using backends = await startBackends(['alpha']);
  const [port, own] = [await freePort(), await freePort()];
  await using place = await workplace(`
watchers: { file: { path: services.yaml } }
frontends: { public: { bind: "127.0.0.1:${port}" } }
services:
  good: { routes: [/] }
  bad: { bind: "127.0.0.1:${own}", frontend: ["nosuchkeyword"] }
haproxy: { log: none }
probes: { listen: "off" }
`);
  const address = `["127.0.0.1:${backends.alpha.port}"]`;
  await place.write('services.yaml', `services: { good: ${address}, bad: ${address} }\n`);
  const myelin = place.run();
  await until('the route is served', async () => (await fetch(`http://127.0.0.1:${port}/`)).status === 200, {
    withinMs: 30_000,
  });
  await myelin.until('the other one is named', ({ services }) =>
    services.some(({ name, quarantined }) => name === 'bad' && quarantined !== null),
  );
});

test('while an edit of a shared frontend is refused, its own routes wait, and those that discovery brings do not, unless it edits what they may be', async () => {
  await using backends = await startBackends(['alpha']);
  const port = await freePort();
  const config = (lines: string, services: string, hosts: string) => `
watchers: { file: { path: services.yaml } }
frontends: { public: { bind: "127.0.0.1:${port}", lines: [${lines}] } }
discover: { file: { hosts: [${hosts}] } }
services: {${services}}
haproxy: { log: none }
reload: { minInterval: 100ms }
probes: { listen: "off" }
`;
  const admin = ' admin: { from: { file: { service: alpha } }, routes: [admin.test] } ';
  const bad = '"http-request deny if { path /secret }", "nosuchkeyword"';
  const place = await workplace(config('', '', 'a.test, b.test'));
  await using _place = place;
  const list = (routes: string): Promise<void> =>
    place.write(
      'services.yaml',
      `services: { alpha: { options: { routes: "${routes}" }, endpoints: ["127.0.0.1:${backends.alpha.port}"] } }\n`,
    );
  await list('a.test');
  const myelin = place.run();
  const answers = async (hosts: Readonly<Record<string, number>>): Promise<void> => {
    for (const [host, status] of Object.entries(hosts))
      await until(`${host} is answered ${status}`, async () => (await statusOf(port, host)) === status, {
        withinMs: 30_000,
      });
  };
  await answers({ 'a.test': 200, 'b.test': 404 });

  await place.write('myelin.yaml', config(bad, admin, 'a.test, b.test'));
  await myelin.until('it is refused', ({ lastApply }) => lastApply?.result === 'rejected');
  await list('a.test, b.test');
  await answers({ 'b.test': 200, 'a.test': 200, 'admin.test': 404 });
  await list('b.test');
  await answers({ 'a.test': 404, 'b.test': 200 });

  await place.write('myelin.yaml', config(bad, admin, 'b.test, c.test'));
  await list('b.test, c.test');
  await myelin.until('it is discovered', ({ frontends }) => frontends[0]?.routes === 3);
  assert.equal(await statusOf(port, 'c.test'), 404);
  assert.equal(await statusOf(port, 'admin.test'), 404);

  await place.write('myelin.yaml', config('"http-request deny if { path /secret }"', admin, 'b.test, c.test'));
  await answers({ 'c.test': 200, 'admin.test': 200 });
});

/** `fetch` does not send another host. */
async function statusOf(port: number, host: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  get({ port, host: '127.0.0.1', headers: { host }, agent: false }, (response) => {
    response.resume();
    resolve(response.statusCode ?? 0);
  }).on('error', reject);
  return promise;
}

test('where only a map has changed and finds no room on a full disk, a HAProxy that ends is started again with the map in place', async (t) => {
  await using backends = await startBackends(['alpha']);
  const port = await freePort();
  const config = async (routes: string): Promise<string> => `
watchers: { file: { path: services.yaml } }
frontends: { public: { bind: "127.0.0.1:${port}" } }
services: { web: { routes: [${routes}] } }
haproxy: { log: none, config: disk/haproxy.cfg, binary: "${await haproxy('3.4')}" }
allowAddresses: [127.0.0.0/8]
reload: { minInterval: 100ms }
probes: { listen: "off" }
`;
  await using place = await workplace(await config('/old'));
  await place.write('services.yaml', `services: { web: ["127.0.0.1:${backends.alpha.port}"] }\n`);
  const disk = await mountDisk(t, place.path('disk'), '512k');
  if (disk === null) return;
  await using _ = disk;
  const isServed = async (path: string): Promise<boolean> =>
    (await fetch(`http://127.0.0.1:${port}${path}`)).status === 200;
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await disk.fill();
  // More than the last page that a full disk may still have.
  const routes = Array.from({ length: 300 }, (__, at) => `/a-route-that-needs-room-${at}`);
  await place.write('myelin.yaml', await config(['/old', '/new', ...routes].join(', ')));
  await until('the new route is served', () => isServed('/new'), { withinMs: 30_000 });
  const { haproxy: before } = await myelin.until('the map is behind', ({ haproxy: its }) => its?.fileTrouble != null);
  process.kill(before?.pid ?? 0, 'SIGKILL');
  await until('it serves again, with the new route by commands', () => isServed('/new'), { withinMs: 30_000 });
  assert.ok(await isServed('/old'));
  await disk.makeRoom();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  await until('the map has followed', async () =>
    (await place.read('disk/haproxy.cfg.maps/public.map')).includes('*/new/ web'),
  );
});
