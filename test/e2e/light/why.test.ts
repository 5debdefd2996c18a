/** `myelin why` finds the place where traffic is lost, from what Consul says to what HAProxy does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { startConsul } from '../../servers/consul.ts';
import { isApplied } from '../../support/applied.ts';
import { forFile } from '../../support/for-file.ts';
import { freePort } from '../../support/index.ts';
import { servedBy } from '../../support/load/traffic.ts';
import { workplace } from '../../support/sites/myelin.ts';

const [backends, consul] = await Promise.all([
  forFile(startBackends(['alpha', 'beta', 'gamma'])),
  forFile(startConsul()),
]);

test('why an instance gets no traffic is said at the first place where it is lost, whatever that is', async () => {
  const [port, shared] = [await freePort(), await freePort()];
  await using place = await workplace(
    [
      `watchers: { consul: { address: "${consul.address}" } }`,
      `frontends: { public: { bind: "127.0.0.1:${shared}" } }`,
      'services:',
      `  web: { from: { consul: { service: web, tags: [blue] } }, bind: "127.0.0.1:${port}", routes: [shop.test/api], check: { type: http, path: /health, interval: 200ms, fall: 1, rise: 1 } }`,
      'allowAddresses: [127.0.0.0/8]',
      'haproxy: { log: none }',
      'probes: { listen: "off" }',
      '',
    ].join('\n'),
  );
  const register = (name: 'alpha' | 'beta' | 'gamma', tags: readonly string[]): Promise<void> =>
    consul.register({ name: 'web', id: name, port: backends[name].port, tags });
  await register('alpha', ['blue']);
  await register('beta', ['blue']);
  await register('gamma', ['green']);
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await servedBy(port, 'alpha', 'beta');
  const lost = async (about: string): Promise<string> => {
    const { exitCode, stdout } = await place.command('why', about);
    assert.equal(exitCode, 11, stdout);
    return stdout.split('\n\n')[0] ?? '';
  };

  for (const about of ['web', 'web/node-1:alpha', 'shop.test/api/x'])
    assert.equal((await place.command('why', about)).exitCode, 0, about);
  assert.match(await lost('shop.test/apix'), /no route of a shared frontend fits/);
  assert.match(await lost('wbe'), /no service is named "wbe"/);
  assert.match(await lost('web/node-1:gamma'), /it lacks the tag blue; it has green/);

  await consul.setCheck('beta', 'fail');
  await servedBy(port, 'alpha');
  assert.match(await lost('web/node-1:beta'), /node-1:beta gets no traffic: check check-beta is critical/);

  await backends.alpha.setHealthy(false);
  await myelin.until('HAProxy finds it down', ({ services: [web] }) => web?.health?.isDown === true);
  assert.match(await lost('web'), /HAProxy’s own check finds web\/node-1:alpha .* down: L7STS/);
  await backends.alpha.setHealthy(true);
  await myelin.until('it is up', ({ services: [web] }) => web?.health?.isDown === false);

  assert.equal((await place.command('server', 'maint', 'web/node-1:alpha')).exitCode, 0);
  assert.match(
    await lost('web/node-1:alpha'),
    /an operator set web\/node-1:alpha .* to maint\nwhat to do: `myelin server ready/,
  );
});
