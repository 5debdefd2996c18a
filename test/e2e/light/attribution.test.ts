/** What HAProxy refuses without naming a service: who it is for is found out, and nobody else waits. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { selfSignedPem } from '../../../src/certificates/self-signed.ts';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { servedBy, serversOf } from '../../support/load/traffic.ts';
import { type Site, site } from '../../support/sites/site.ts';

async function list(
  { place, backends }: Site,
  services: Readonly<Record<string, readonly (keyof Site['backends'])[]>>,
) {
  const lines = Object.entries(services).map(([service, names]) => {
    const endpoints = names.map((name) => `{ id: ${name}, address: 127.0.0.1, port: ${backends[name].port} }`);
    return `  ${service}: [${endpoints.join(', ')}]\n`;
  });
  await place.write('services.yaml', `services:\n${lines.join('')}`);
}

test('a service that goes while a hand-written line refers to it holds up nobody, and leaves an empty backend', async () => {
  const [hand, more] = [await freePort(), await freePort()];
  const section = (line: string): string =>
    `sections: ["frontend hand\\n    mode http\\n    bind 127.0.0.1:${hand}\\n    timeout client 5s\\n${line}    default_backend web\\n"]`;
  const refers = section('    use_backend api if { path /api }\\n');
  await using my = await site({ services: ['api: {}'], haproxy: [refers] });
  await list(my, { web: ['alpha'], api: ['beta'], more: ['gamma'] });
  const myelin = my.place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const load = my.load();

  await my.configure({ services: [`more: { bind: "127.0.0.1:${more}" }`], haproxy: [refers] });
  await until('the rest of it is live', async () => (await ask(more)) === 'gamma');
  assert.equal(await ask(hand), 'alpha');
  const status = await myelin.until('what is left is told', ({ services }) =>
    services.some(({ name }) => name === 'api'),
  );
  assert.equal(status.state, 'degraded');
  const left = status.services.find(({ name }) => name === 'api');
  assert.match(left?.quarantined?.problems[0]?.message ?? '', /unable to find required use_backend: 'api'/);
  assert.deepEqual(await serversOf(my.place, 'api'), []);

  await my.configure({ services: [`more: { bind: "127.0.0.1:${more}" }`], haproxy: [section('')] });
  await myelin.until('nothing is amiss', ({ stateReasons }) => isApplied(stateReasons));
  assert.doesNotMatch(await my.place.read('run/haproxy.cfg'), /^backend api\b/m);
  await load.endsWithoutFailure();
});

test('a server that goes while a hand-written one tracks it holds up nobody’s structure', async () => {
  const more = await freePort();
  const hand = 'sections: ["backend hand\\n    mode http\\n    server t1 127.0.0.1:9 track web/beta\\n"]';
  await using my = await site({ haproxy: [hand], web: ['check: { type: tcp }'] });
  await list(my, { web: ['alpha', 'beta'], more: ['gamma'] });
  const myelin = my.place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await list(my, { web: ['alpha'], more: ['gamma'] });
  await myelin.until('it is quarantined', ({ services }) => services[0]?.quarantined != null);
  const load = my.load();
  await load.goesOn(100);
  await my.configure({
    haproxy: [hand],
    web: ['check: { type: tcp }'],
    services: [`more: { bind: "127.0.0.1:${more}" }`],
  });
  await until('another one goes live', async () => (await ask(more)) === 'gamma');
  assert.deepEqual([...load.answers.keys()], ['alpha'], 'what is gone gets nothing');
  await load.endsWithoutFailure();
});

test('a service whose certificate was broken on disk stays quarantined, with the reason, until it is mended', async () => {
  const [tls, more] = [await freePort(), await freePort()];
  await using my = await site();
  const pem = my.place.path('site.pem');
  await writeFile(pem, selfSignedPem(new Date()));
  const services = (...others: readonly string[]) => ({
    services: [`secure: { bind: "127.0.0.1:${tls} ssl crt ${pem}" }`, ...others],
  });
  await my.configure(services());
  await list(my, { web: ['alpha'], secure: ['beta'], more: ['gamma'] });
  const myelin = my.place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const load = my.load();
  await writeFile(pem, 'nonsense\n');
  await my.configure(services(`more: { bind: "127.0.0.1:${more}" }`));
  const told = await myelin.until('it is quarantined', ({ services: all }) =>
    all.some(({ quarantined }) => quarantined !== null),
  );
  assert.match(JSON.stringify(told.services.find(({ name }) => name === 'secure')?.quarantined), /site\.pem/);
  // Nothing else is wanted any more: that HAProxy would not start from this is true all the same.
  await my.configure(services());
  await load.goesOn(500);
  const still = await my.place.status();
  assert.equal(still.state, 'degraded');
  assert.match(JSON.stringify(still.services.find(({ name }) => name === 'secure')?.quarantined), /site\.pem/);
  await writeFile(pem, selfSignedPem(new Date()));
  await myelin.until('it is released', ({ stateReasons }) => isApplied(stateReasons), 60_000);
  await load.endsWithoutFailure();
});

test('HAProxy that ends while an edit is refused that is nobody’s fault serves again what was live', async () => {
  await using my = await site();
  const myelin = await my.start();
  await my.configure({ haproxy: ['sections: ["backend hand\\n    bogus line\\n"]'] });
  await until('it is refused', () => /"isServing":true.*update rejected, what runs stays/.test(myelin.output));
  for (const pid of await my.place.haproxies()) process.kill(pid, 'SIGKILL');
  await servedBy(my.port, 'alpha');
  await my.serve('beta');
  await servedBy(my.port, 'beta');
});
