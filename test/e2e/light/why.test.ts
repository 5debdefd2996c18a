/** `myelin why` finds the place where traffic is lost, from what a source says to what HAProxy does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { startConsul } from '../../servers/consul.ts';
import { isApplied } from '../../support/applied.ts';
import { pemFor } from '../../support/certificates.ts';
import { forFile } from '../../support/for-file.ts';
import { freePort } from '../../support/index.ts';
import { servedBy } from '../../support/load/traffic.ts';
import { workplace } from '../../support/sites/myelin.ts';

const backends = await forFile(startBackends(['alpha', 'beta', 'gamma']));

test('why an instance gets no traffic is said at the first place where it is lost, whatever that is', async () => {
  await using consul = await startConsul();
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
  assert.equal((await place.command('server', 'ready', 'web/node-1:alpha')).exitCode, 0);
  const { stdout: serving } = await place.command('why', 'web');
  assert.match(serving, new RegExp(`${place.path('run/haproxy.cfg')} has\\n[\\s\\S]*\\n +backend web\\n`));
  assert.match(serving, new RegExp(`\\n +server node-1:alpha 127.0.0.1:${backends.alpha.port} `));
  assert.match(serving, /HAProxy was last changed for it by commands, \d+s ago, in \d+ ms/);
});

test('of a file each fault is told with its line; what HAProxy refuses, shows or waits for stands first where it is the cause', async () => {
  const [shared, later] = [await freePort(), await freePort()];
  const config = (more: string): string =>
    [
      'watchers: { file: { path: ./services.yaml } }',
      `frontends: { public: { bind: "127.0.0.1:${shared} ssl", certificates: ./certs } }`,
      'services:',
      '  web: { routes: [web.test] }',
      '  drained: { routes: [drained.web.test] }',
      '  broken: { routes: [broken.web.test], backend: ["no-such-word"] }',
      '  other: { routes: [other.test] }',
      more,
      'reload: { minInterval: 60s }',
      'haproxy: { log: none }',
      'probes: { listen: "off" }',
      '',
    ].join('\n');
  await using place = await workplace(config(''));
  const own = `"127.0.0.1:${backends.alpha.port}"`;
  const services = [
    'services:',
    `  web: [${own}]`,
    `  drained: [{ address: 127.0.0.1, port: ${backends.alpha.port}, weight: 0 }]`,
    `  broken: [${own}]`,
    `  other: [${own}]`,
    '',
  ];
  await place.write('services.yaml', services.join('\n'));
  await place.write('certs/web.pem', pemFor('web.test'));
  await place.write('certs/all.pem', pemFor('*.web.test'));
  const myelin = place.run();
  await myelin.until('it serves', ({ services: all }) => all.some(({ quarantined }) => quarantined !== null));
  const why = async (about: string): Promise<string> => {
    const { exitCode, stdout } = await place.command('why', about);
    return `${exitCode} ${stdout}`;
  };
  const first = async (about: string): Promise<string> => (await why(about)).split('\n\n')[0] ?? '';

  assert.match(await why('web.test'), /^0 web\.test gets traffic\n[\s\S]*services\.yaml:2:3 names it\n/);
  assert.match(await first('drained.web.test'), /^11 .*: drained\/.* its weight is 0 .*\nwhat to do: give it a weight/);
  assert.match(await first('broken.web.test'), /^11 .*quarantined with its last good structure: .*no-such-word/);
  assert.match(
    await first('other.test'),
    /^11 .*: no certificate of public is for other\.test: .*\nwhat to do: put one for other\.test into .*\/certs/,
  );

  await place.write('services.yaml', `${services.join('\n')}  later: [${own}]\n`);
  await place.write('myelin.yaml', config(`  later: { bind: "127.0.0.1:${later}" }`));
  await myelin.until(
    'a reload waits for it',
    ({ pending, services: all }) => pending !== null && all.some(({ name }) => name === 'later'),
  );
  assert.match(
    await first('later'),
    /^11 later gets no traffic: it waits for a reload \(minimum interval between reloads .*more\): .*\(proxy_added\).*\nwhat to do: .*myelin reload/,
  );

  await place.write('services.yaml', `${services.slice(0, 2).join('\n')}\n  drained: [\n`);
  await myelin.until('its fault is told', ({ services: all }) => all.every(({ stale }) => stale !== null));
  assert.match(await why('web'), /^0 web gets traffic\n[\s\S]*services\.yaml:\d+:\d+: .*its last answer serves on/);
});
