/** What backends have in common stands once in the file: each is told what is wrong with it, and restarts cost nothing. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { test } from 'node:test';
import { sectionsIn } from '../../../src/haproxy/text/layout/layout.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { servedBy, serversOf } from '../../support/load/traffic.ts';
import { site } from '../../support/sites/site.ts';

test('what HAProxy refuses of options that two services share quarantines both, and the others go live', async () => {
  const [api, more] = [await freePort(), await freePort()];
  const services = (own: string, others: string): readonly string[] => [
    `api: { bind: "127.0.0.1:${api}"${own} }`,
    `more: { bind: "127.0.0.1:${more}"${others} }`,
  ];
  await using my = await site({ services: services('', '') });
  await my.serve('alpha', 'api', 'more');
  const myelin = my.place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const load = my.load();

  const wrong = 'backend: ["http-request set-header X-A %[no_such_fetch]"]';
  await my.configure({ web: [wrong], services: services(`, ${wrong}`, ', timeouts: { queue: 7777ms }') });
  const status = await myelin.until('both are quarantined', ({ services: all }) => {
    return all.filter(({ quarantined }) => quarantined !== null).length === 2;
  });
  for (const name of ['web', 'api']) {
    const its = status.services.find((service) => service.name === name);
    assert.match(its?.quarantined?.problems[0]?.message ?? '', /no_such_fetch/, name);
  }
  await until('the other is live', async () => (await my.place.read('run/haproxy.cfg')).includes('timeout queue 7777'));
  const file = await my.place.read('run/haproxy.cfg');
  assert.doesNotMatch(file, /no_such_fetch/);
  assert.match(file, /^backend web from http-roundrobin-/m);

  await my.configure({ services: services('', ', timeouts: { queue: 7777ms }') });
  await myelin.until('nothing is amiss', ({ stateReasons }) => isApplied(stateReasons));
  await servedBy(api, 'alpha');
  await load.endsWithoutFailure();
});

test('a restart neither reloads nor writes, and one after the file had each option in each backend reloads nothing', async () => {
  await using my = await site({ services: ['api: {}'] });
  await my.serve('alpha', 'api');
  const first = my.place.run();
  const before = await first.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  first.kill('SIGTERM');
  assert.equal(await first.ended, 0);
  const file = await my.place.read('run/haproxy.cfg');
  const record = `run/state/g${before.haproxy?.generation}/haproxy.cfg`;
  assert.equal(file.match(/^backend \S+ from http-roundrobin-/gm)?.length, 2);
  const stamp = async (): Promise<bigint> => (await stat(my.place.path('run/haproxy.cfg'), { bigint: true })).ino;
  const written = await stamp();

  const second = my.place.run();
  const again = await second.until('it serves again', ({ stateReasons }) => isApplied(stateReasons));
  assert.deepEqual([again.haproxy?.pid, await stamp()], [before.haproxy?.pid, written]);
  second.kill('SIGTERM');
  assert.equal(await second.ended, 0);

  // As Myelin wrote it up to 0.9.
  const whole = sectionsIn(file)
    .map(({ text }) => text)
    .join('');
  assert.doesNotMatch(whole, / from /);
  for (const name of ['run/haproxy.cfg', record]) await my.place.write(name, whole);
  const third = my.place.run();
  const upgraded = await third.until('it serves after the upgrade', ({ stateReasons }) => isApplied(stateReasons));
  await until('the file is written anew', async () => (await my.place.read('run/haproxy.cfg')) === file);
  assert.equal(upgraded.haproxy?.pid, before.haproxy?.pid);
  await my.serve('beta', 'api');
  await servedBy(my.port, 'beta');
  const last = await third.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  assert.equal(last.haproxy?.pid, before.haproxy?.pid, 'servers still follow by commands');
  await until('it is in the file', async () => {
    return (await serversOf(my.place, 'api')).join() === `127.0.0.1:${my.backends.beta.port} 1`;
  });
});
