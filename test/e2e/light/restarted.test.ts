/** Myelin is stopped and started while HAProxy serves: what it knew of endpoints, it knows, and makes up none. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { builtInTemplates } from '../../../src/settings/templates.ts';
import { isApplied } from '../../support/applied.ts';
import { until } from '../../support/index.ts';
import { servedBy, serversOf } from '../../support/load/traffic.ts';
import type { MyelinProcess } from '../../support/sites/myelin.ts';
import { type Site, site } from '../../support/sites/site.ts';

const sorry = ({ backends }: Site): readonly string[] => [
  `"server sorry1 127.0.0.1:${backends.beta.port} backup"`,
  `"server sorry2 127.0.0.1:${backends.gamma.port} backup"`,
];

async function stop(myelin: MyelinProcess): Promise<void> {
  myelin.kill('SIGTERM');
  assert.equal(await myelin.ended, 0);
}

/** An own template for the lines of servers: the built-in one with more at its end. */
async function extend({ place }: Site, more: string): Promise<void> {
  const { text } = builtInTemplates().get('server') ?? assert.fail('no such template');
  await place.write('templates/server.hbs', `${text.trimEnd()}${more}\n`);
}

test('hand-written server lines of a service are no endpoints of it after a restart, neither there nor taken away', async () => {
  await using my = await site();
  const lines = `backend: [${sorry(my).join(', ')}]`;
  await my.configure({ web: [lines], services: [`empty: { ${lines} }`] });
  const alpha = `"127.0.0.1:${my.backends.alpha.port}"`;
  await my.place.write('services.yaml', `services: { web: [${alpha}], empty: [] }\n`);
  const first = my.place.run();
  const { haproxy: before } = await first.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await stop(first);

  const second = my.place.run();
  const again = await second.until('it serves again', ({ stateReasons }) => isApplied(stateReasons));
  assert.equal(again.haproxy?.pid, before?.pid, 'nothing was to be done');
  for (const { name, kept, quarantined } of again.services) assert.deepEqual([kept, quarantined], [null, null], name);
  assert.doesNotMatch(second.output, /"level":"(warn|error)"/);
  await stop(second);

  await my.configure({ services: ['empty: {}'] });
  const third = my.place.run();
  await third.until('it serves without them', ({ stateReasons }) => isApplied(stateReasons));
  await until('they are gone', async () => !(await my.place.read('run/haproxy.cfg')).includes('sorry'));
  await servedBy(my.port, 'alpha');
  assert.deepEqual(await serversOf(my.place, 'web'), [`127.0.0.1:${my.backends.alpha.port} 1`]);
});

/** `web` is found in one file, `other` in another one: that one of them is away shows in what becomes of the other. */
async function twoSources(startTimeout: string): Promise<Site> {
  const my = await site();
  const other = { port: my.backends.gamma.port };
  await my.configure({
    web: ['from: { file: {} }'],
    services: ['other: { from: { there: {} } }'],
    rest: ['templates: templates', `startTimeout: ${startTimeout}`],
  });
  const config = await my.place.read('myelin.yaml');
  const both = 'services.yaml }, there: { type: file, path: there.yaml }';
  await my.place.write('myelin.yaml', config.replace('services.yaml }', both));
  await my.place.write('there.yaml', `services: { other: ["127.0.0.1:${other.port}"] }\n`);
  await extend(my, '{{#if meta.cap}} maxconn {{meta.cap}}{{/if}}');
  await listWeb(my, 'alpha');
  return my;
}

async function listWeb({ place, backends }: Site, name: keyof Site['backends']): Promise<void> {
  const endpoint = `{ id: ${name}, address: 127.0.0.1, port: ${backends[name].port}, meta: { cap: "50" } }`;
  await place.write('services.yaml', `services: { web: [${endpoint}] }\n`);
}

/** Nothing of `web` is known after the start timeout, and what is known of `other` goes live. */
async function goesOnWithoutWeb({ place, backends }: Site): Promise<void> {
  await place.write('there.yaml', `services: { other: ["127.0.0.1:${backends.beta.port}"] }\n`);
  await until('the other service changes', async () => {
    return (await serversOf(place, 'other')).join() === `127.0.0.1:${backends.beta.port} 1`;
  });
}

for (const state of ['as it was', 'without what was known of endpoints'])
  test(`while a source is away after a restart, its servers keep the options that tags and meta gave them (state ${state})`, async () => {
    await using my = await twoSources('500ms');
    const first = my.place.run();
    const { haproxy: before } = await first.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
    const capped = /server alpha .* maxconn 50\n/;
    assert.match(await my.place.read('run/haproxy.cfg'), capped);
    await stop(first);

    await rm(my.place.path('services.yaml'));
    if (state !== 'as it was') await rm(my.place.path('run/state/endpoints.json'));
    const second = my.place.run();
    const load = my.load();
    await goesOnWithoutWeb(my);
    assert.match(await my.place.read('run/haproxy.cfg'), capped);
    await listWeb(my, 'beta');
    await load.answeredBy('beta');
    const { haproxy: after } = await second.until('the source is back', ({ stateReasons }) => isApplied(stateReasons));
    assert.equal(after?.pid, before?.pid, 'it was never reloaded');
    await load.endsWithoutFailure();
  });

test('a service renamed before a restart, of which nothing is known, leaves the address to the one that held it', async () => {
  await using my = await site({ rest: ['startTimeout: 500ms'] });
  const first = await my.start();
  const load = my.load();
  await stop(first);
  await rm(my.place.path('services.yaml'));
  const config = await my.place.read('myelin.yaml');
  await my.place.write('myelin.yaml', config.replace('  web:\n', '  shop:\n'));
  const second = my.place.run();
  await second.until('it goes on without the source', ({ state }) => state === 'degraded');
  assert.match((await my.place.command('status')).stdout, /shop +no endpoints\n +no answer from file yet/);
  await my.place.reload();
  await load.goesOn(100);
  await my.place.write('services.yaml', `services: { shop: ["127.0.0.1:${my.backends.beta.port}"] }\n`);
  await load.answeredBy('beta');
  await second.until('the source is back', ({ stateReasons }) => isApplied(stateReasons));
  assert.doesNotMatch(await my.place.read('run/haproxy.cfg'), /^(frontend|backend) web/m);
  await load.endsWithoutFailure();
});

test('what vanished while Myelin was stopped is a loss as any other, and what is kept of it keeps its options', async () => {
  await using my = await site({ rest: ['templates: templates'] });
  await extend(my, '{{#if (has tags "few")}} maxconn 7{{/if}}');
  const list = (...names: readonly (keyof Site['backends'])[]): string =>
    names.map((name) => `{ id: ${name}, address: 127.0.0.1, port: ${my.backends[name].port}, tags: [few] }`).join(', ');
  const config = await my.place.read('myelin.yaml');
  await my.place.write('myelin.yaml', config.replace('services.yaml', 'services.yaml, maxShrink: { hold: 1h }'));
  await my.place.write('services.yaml', `services: { web: [${list('alpha', 'beta', 'gamma')}] }\n`);
  const first = my.place.run();
  const { haproxy: before } = await first.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await stop(first);

  await my.place.write('services.yaml', `services: { web: [${list('alpha')}] }\n`);
  const second = my.place.run();
  const { services, haproxy: after } = await second.until('the loss is held', (status) => {
    return status.services[0]?.kept?.reason === 'shrunk';
  });
  assert.deepEqual(services[0]?.endpoints, { ready: 1, draining: 0, kept: 2, unfit: 0, refused: 0 });
  assert.equal(after?.pid, before?.pid);
  assert.equal((await my.place.read('run/haproxy.cfg')).match(/maxconn 7\n/g)?.length, 3);
});
