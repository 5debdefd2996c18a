/** Shared frontends in the hands of an unlucky operator. */
import { test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { freePort, until } from '../../support/index.ts';
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
