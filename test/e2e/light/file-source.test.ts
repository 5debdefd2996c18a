/** What the file says is what is served: every kind of change, bad moments, and a source that is missing at the start. */
import assert from 'node:assert/strict';
import { rename, rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { steadyLoad } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { forFile } from '../../support/for-file.ts';
import { freePort, until } from '../../support/index.ts';
import { accepts, get } from '../../support/load/requests.ts';
import { answers, assertValid, servedBy, serversOf } from '../../support/load/traffic.ts';
import { gone, isRunning } from '../../support/machine/processes.ts';
import { type MyelinProcess, type Workplace, workplace } from '../../support/sites/myelin.ts';

const names = ['alpha', 'beta', 'gamma'] as const;
type Name = (typeof names)[number];
const backends = await forFile(startBackends(names));

const at = (name: Name): string => `127.0.0.1:${backends[name].port}`;

/** `services` by name, with further lines of YAML; each has a port of its own. */
async function served(services: Readonly<Record<string, string>>, ...rest: readonly string[]) {
  const ports = new Map<string, number>();
  for (const name of Object.keys(services)) ports.set(name, await freePort());
  const place = await workplace(
    [
      'watchers: { file: { path: services.yaml } }',
      'services:',
      ...Object.entries(services).map(
        ([name, more]) => `  ${name}: { bind: "127.0.0.1:${ports.get(name)}"${more === '' ? '' : `, ${more}`} }`,
      ),
      'haproxy: { log: none }',
      'reload: { minInterval: 0ms }',
      'probes: { listen: "off" }',
      ...rest,
      '',
    ].join('\n'),
  );
  return { place, port: (name: string): number => ports.get(name) ?? 0 };
}

/** Replaces the file; a service is a list of endpoints as they stand in YAML. */
function say(place: Workplace, services: Readonly<Record<string, readonly string[]>>): Promise<void> {
  const lines = Object.entries(services).map(([name, endpoints]) => `  ${name}: [${endpoints.join(', ')}]\n`);
  return place.write('services.yaml', `services:\n${lines.join('')}`);
}

const quoted = (name: Name): string => `"${at(name)}"`;

test('traffic follows servers that are added, weighted, drained, moved and removed, and no request is lost', async () => {
  const my = await served({ web: '' });
  await using place = my.place;
  const port = my.port('web');
  const one = (name: Name, more = ''): string => `{ id: one, address: 127.0.0.1, port: ${backends[name].port}${more} }`;
  const two = (more = ''): string => `{ id: two, address: 127.0.0.1, port: ${backends.beta.port}${more} }`;

  await say(place, { web: [one('alpha')] });
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await servedBy(port, 'alpha');
  await using load = steadyLoad(port);

  await say(place, { web: [one('alpha'), two()] });
  await servedBy(port, 'alpha', 'beta');

  await say(place, { web: [one('alpha', ', weight: 10'), two(', weight: 90')] });
  await until('the weights are in the file', async () => (await serversOf(place, 'web')).join().includes('90'));
  await until('the weights count', async () => {
    const counts = await answers(port, 50);
    return (counts.beta ?? 0) > 3 * (counts.alpha ?? 0) && (counts.alpha ?? 0) > 0;
  });

  await say(place, { web: [one('alpha'), two(', state: draining')] });
  await servedBy(port, 'alpha');
  const draining = [`${at('alpha')} 1`, `${at('beta')} 0`].sort();
  await until('the file has followed', async () => String(await serversOf(place, 'web')) === String(draining));
  const { services } = await place.status();
  assert.deepEqual(services[0]?.endpoints, { ready: 1, draining: 1, kept: 0, unfit: 0, refused: 0 });

  await say(place, { web: [one('gamma'), two(', state: draining')] });
  await servedBy(port, 'gamma');

  await say(place, { web: [two()] });
  await servedBy(port, 'beta');
  await until('the file has followed', async () => String(await serversOf(place, 'web')) === `${at('beta')} 1`);
  await assertValid(place);
  await load.endsWithoutFailure();
});

test('where the last endpoint goes, accept answers 503 from a valid config, doubt holds for keepFor, keep for ever', async () => {
  const my = await served({
    accepting: 'onEmpty: accept',
    doubting: 'onEmpty: doubt, keepFor: 2s',
    keeping: 'onEmpty: keep',
  });
  await using place = my.place;
  await say(place, { accepting: [quoted('alpha')], doubting: [quoted('alpha')], keeping: [quoted('alpha')] });
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  for (const name of ['accepting', 'doubting', 'keeping']) await servedBy(my.port(name), 'alpha');

  await say(place, { accepting: [], doubting: [], keeping: [] });
  const { services } = await myelin.until(
    'the absence is known',
    (status) => status.services.filter(({ kept }) => kept !== null).length === 2,
  );
  const doubted = services.find(({ name }) => name === 'doubting');
  assert.deepEqual(doubted?.endpoints, { ready: 0, draining: 0, kept: 1, unfit: 0, refused: 0 });
  assert.equal((doubted?.kept?.until ?? 0) - (doubted?.kept?.since ?? 0), 2000);
  assert.equal(services.find(({ name }) => name === 'keeping')?.kept?.until, null);
  assert.deepEqual(await answers(my.port('doubting')), { alpha: 20 });
  await servedBy(my.port('accepting'), '503');
  await servedBy(my.port('doubting'), '503');
  await assertValid(place);
  assert.deepEqual(await answers(my.port('keeping')), { alpha: 20 });

  await say(place, { accepting: [quoted('beta')], doubting: [quoted('beta')], keeping: [quoted('beta')] });
  for (const name of ['accepting', 'doubting', 'keeping']) await servedBy(my.port(name), 'beta');
  assert.ok((await place.status()).services.every(({ kept }) => kept === null));
});

test('a half-written, invalid or missing file costs no server; the status says why, and what is mended goes live', async () => {
  const my = await served({ web: 'onEmpty: accept' });
  await using place = my.place;
  const file = place.path('services.yaml');
  const isStale = (reason: RegExp) => (status: Awaited<ReturnType<Workplace['status']>>) =>
    reason.test(status.services[0]?.stale?.reason ?? '') && status.state === 'degraded';
  await say(place, { web: [quoted('alpha')] });
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await servedBy(my.port('web'), 'alpha');
  await using load = steadyLoad(my.port('web'));
  const written = await place.read('run/haproxy.cfg');

  // Written in place, and broken off in the middle.
  await writeFile(file, `services:\n  web: [${quoted('alpha')}, "127.0.`);
  await myelin.until('half a file is told', isStale(/services\.yaml:2:\d+: /));
  await writeFile(file, 'services:\n  web:\n    - { address: 127.0.0.1, port: 99999 }\n');
  await myelin.until('what is wrong is told with its place', isStale(/services\.yaml:3:\d+: .*port/));
  await writeFile(file, '');
  await myelin.until('an empty file is no absence', isStale(/is empty/));
  await rename(file, `${file}.away`);
  await myelin.until('that it is gone is told', isStale(/cannot read .*ENOENT/));
  assert.equal(await place.read('run/haproxy.cfg'), written);
  assert.deepEqual(await serversOf(place, 'web'), [`${at('alpha')} 1`]);
  assert.deepEqual(Object.keys(await answers(my.port('web'))), ['alpha']);

  await say(place, { web: [quoted('beta')] });
  await servedBy(my.port('web'), 'beta');
  await myelin.until(
    'all is well again',
    ({ stateReasons, services }) => isApplied(stateReasons) && services[0]?.stale === null,
  );
  await load.endsWithoutFailure();
});

test('cold start: our own file serves at once while the source is missing, and the source then corrects it', async () => {
  const my = await served({ web: '' });
  await using place = my.place;
  const port = my.port('web');
  await say(place, { web: [quoted('alpha')] });
  const first = place.run();
  await first.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await servedBy(port, 'alpha');
  await stopAll(place, first);
  await until('nobody listens', async () => !(await accepts(port)));
  await rm(place.path('services.yaml'));

  const again = place.run();
  await until('the file on disk serves', async () => (await get(port)) === 'alpha');
  await using load = steadyLoad(port);
  const status = await again.until('that is told', ({ state }) => state === 'degraded');
  assert.deepEqual(status.waitingFor, ['file']);
  assert.ok(status.haproxy !== null && isRunning(status.haproxy.pid));

  await say(place, { web: [quoted('beta')] });
  await servedBy(port, 'beta');
  await again.until('the source has corrected it', ({ stateReasons }) => isApplied(stateReasons));
  await load.endsWithoutFailure();
});

test('startTimeout: until then a missing source holds up all, then the services of the others go live', async () => {
  const ports = { web: await freePort(), other: await freePort() };
  const timeoutMs = 2500;
  await using place = await workplace(
    [
      'watchers:',
      '  file: { path: services.yaml }',
      '  present: { type: file, path: present.yaml }',
      'services:',
      `  web: { from: { file: {} }, bind: "127.0.0.1:${ports.web}" }`,
      `  other: { from: { present: {} }, bind: "127.0.0.1:${ports.other}" }`,
      `startTimeout: ${timeoutMs}ms`,
      'haproxy: { log: none }',
      'reload: { minInterval: 0ms }',
      'probes: { listen: "off" }',
      '',
    ].join('\n'),
  );
  await place.write('present.yaml', `services: { other: [${quoted('gamma')}] }\n`);
  const myelin = place.run();
  const waiting = await myelin.until('one source is there', ({ sources }) => sources.some(({ synced }) => synced));
  assert.deepEqual([waiting.state, waiting.waitingFor], ['starting', ['file']]);
  assert.deepEqual(await place.haproxies(), [], 'nothing is started on half of the truth');

  await servedBy(ports.other, 'gamma');
  const late = await place.status();
  assert.ok(Date.now() - late.startedAt >= timeoutMs, 'not before the time is over');
  assert.equal(late.state, 'degraded');
  assert.match(late.services.find(({ name }) => name === 'web')?.stale?.reason ?? '', /cannot read/);
  assert.deepEqual(await answers(ports.web, 3), { 503: 3 });

  await say(place, { web: [quoted('alpha')] });
  await servedBy(ports.web, 'alpha');
  await myelin.until('all is well', ({ stateReasons }) => isApplied(stateReasons));
  await until('the file has followed', async () => String(await serversOf(place, 'web')) === `${at('alpha')} 1`);

  // The same with a file of ours on disk: what the missing source said last serves on, beyond the timeout.
  await stopAll(place, myelin);
  await rm(place.path('services.yaml'));
  const again = place.run();
  await again.until(
    'the time is over',
    ({ startedAt, haproxy }) => haproxy !== null && Date.now() - startedAt > timeoutMs,
  );
  await place.write('present.yaml', `services: { other: [${quoted('beta')}] }\n`);
  await servedBy(ports.other, 'beta');
  assert.deepEqual(await answers(ports.web), { alpha: 20 });
});

/** As when the machine goes down: nothing runs any more, only the disk is left. */
async function stopAll(place: Workplace, myelin: MyelinProcess): Promise<void> {
  const running = await place.haproxies();
  myelin.kill('SIGKILL');
  await myelin.ended;
  for (const pid of running) process.kill(pid, 'SIGKILL');
  for (const pid of running) await gone(pid);
}
