/** What HAProxy says of its servers stands beside what the sources say: Myelin is not well while a service is down. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../support/index.ts';
import { site } from '../../support/sites/site.ts';

test('the status shows that HAProxy has servers down which the source calls ready, why, and is well again with them', async () => {
  await using my = await site({
    web: ['check: { type: http, path: /health, interval: 200ms, fall: 1, rise: 1 }'],
  });
  const myelin = await my.start();
  const { alpha, beta } = my.backends;
  await my.list({ alpha, beta });
  await myelin.until('both are up', ({ services: [web] }) => web?.health?.servers.up === 2);
  assert.equal((await my.place.command('status')).exitCode, 0);

  await beta.setHealthy(false);
  const half = await myelin.until('one is down', ({ services: [web] }) => web?.health?.servers.down === 1);
  const [web] = half.services;
  assert.equal(web?.endpoints.ready, 2, 'the source says otherwise');
  assert.deepEqual([half.state, web?.health?.isDown], ['ready', false], 'the other one serves');
  const [down] = web?.health?.down ?? [];
  assert.deepEqual([down?.server, down?.address], ['beta', `127.0.0.1:${beta.port}`]);
  assert.match(down?.reason ?? '', /^L7STS, Layer7 wrong status/);

  await alpha.setHealthy(false);
  const none = await myelin.until('the service is down', ({ state }) => state === 'degraded');
  assert.deepEqual(none.stateReasons, ['service_down']);
  const { exitCode, stdout } = await my.place.command('status');
  assert.equal(exitCode, 11);
  assert.match(stdout, /because +HAProxy has no server up for a service$/m);
  assert.match(stdout, /web +2 ready\n +HAProxy: DOWN, 2 down$/m);
  const page = await my.place.metrics();
  assert.match(page, /^myelin_service_up\{service="web"\} 0$/m);
  assert.match(page, /^myelin_servers\{service="web",state="down"\} 2$/m);

  const servers = await my.place.command('servers', 'web');
  assert.match(servers.stdout, /^web\/alpha +127\.0\.0\.1:\d+ +ready +DOWN +\d+ +0 +\d+s +L7STS, Layer7 wrong status/m);
  assert.equal((await my.place.command('servers', 'wbe')).exitCode, 2);

  const happened = (words: RegExp): Promise<unknown> =>
    until(String(words), async () => words.test((await my.place.command('events', 'web')).stdout));
  await happened(/ web: HAProxy’s checks find no server up for a service: .*: 2 servers, alpha \(.*\): L7STS/);

  await alpha.setHealthy(true);
  await myelin.until('it is well', ({ state }) => state === 'ready');
  await happened(/ web: HAProxy has a server up again for a service: after \d+s/);
});
