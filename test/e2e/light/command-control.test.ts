/** Control `command`: HAProxy is started and reloaded by others, by commands that Myelin is given. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '../../support/index.ts';
import { workplace } from '../../support/sites/myelin.ts';

test('a service that the check refuses is left out, a restart runs no reload command, and one that is asked for does', async () => {
  await using place = await workplace(
    [
      'watchers: { file: { path: services.yaml } }',
      'services:',
      `  web: { bind: "127.0.0.1:${await freePort()}" }`,
      `  bad: { bind: "127.0.0.1:${await freePort()}", backend: [bogus] }`,
      'haproxy:',
      '  control: command',
      '  checkCommand: [haproxy, -c, -f, "{file}"]',
      '  reloadCommand: [sh, -c, "echo reload >> reloads.txt"]',
      'reload: { minInterval: 0ms }',
      'probes: { listen: "off" }',
      '',
    ].join('\n'),
  );
  await place.write('services.yaml', 'services: { web: ["127.0.0.1:9"], bad: ["127.0.0.1:9"] }\n');
  const isLeftOut = async (myelin: ReturnType<typeof place.run>): Promise<void> => {
    const { services } = await myelin.until('it is left out', (status) => {
      return status.state === 'degraded' && status.services.some(({ quarantined }) => quarantined !== null);
    });
    const [web, bad] = ['web', 'bad'].map((name) => services.find((service) => service.name === name));
    assert.equal(web?.quarantined, null);
    assert.match(bad?.quarantined?.problems[0]?.message ?? '', /unknown keyword 'bogus'/);
    const text = await place.read('run/haproxy.cfg');
    assert.match(text, /^backend web\b/m);
    assert.doesNotMatch(text, /bogus/);
  };
  const first = place.run();
  await isLeftOut(first);
  assert.equal(await place.read('reloads.txt'), 'reload\n');
  process.kill(first.pid, 'SIGTERM');
  await first.ended;

  await isLeftOut(place.run());
  assert.equal(await place.read('reloads.txt'), 'reload\n');
  await place.reload();
  assert.equal(await place.read('reloads.txt'), 'reload\nreload\n');
});
