/** Many endpoints, or all, vanish from a source that is well: they serve on for a while, or until an operator says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { isApplied } from '../../support/applied.ts';
import { until } from '../../support/index.ts';
import { servedBy, serversOf } from '../../support/load/traffic.ts';
import { ask } from '../../support/sites/myelin.ts';
import { type Site, site } from '../../support/sites/site.ts';

type Name = keyof Site['backends'];

async function shrinking(hold: string): Promise<Site> {
  const my = await site();
  const config = await my.place.read('myelin.yaml');
  await my.place.write('myelin.yaml', config.replace('services.yaml', `services.yaml, maxShrink: { hold: ${hold} }`));
  return my;
}

/** Who is at the service, says the source. */
async function say({ place, backends }: Site, ...names: readonly Name[]): Promise<void> {
  const endpoints = names.map((name) => `{ id: ${name}, address: 127.0.0.1, port: ${backends[name].port} }`);
  await place.write('services.yaml', `services: { web: [${endpoints.join(', ')}] }\n`);
}

function told(output: string, message: RegExp): number {
  return output.split('\n').filter((line) => message.test(line)).length;
}

test('endpoints that vanish, more than half at once, serve on, which is told, and go when the source has said so for the hold', async () => {
  await using my = await shrinking('8s');
  const { place } = my;
  await say(my, 'alpha', 'beta', 'gamma');
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await servedBy(my.port, 'alpha', 'beta', 'gamma');
  const load = my.load();

  await say(my, 'alpha');
  const { services } = await myelin.until('the loss is known', (status) => status.services[0]?.kept != null);
  const [web] = services;
  assert.deepEqual(web?.endpoints, { ready: 1, draining: 0, kept: 2, unfit: 0, refused: 0 });
  assert.equal(web?.kept?.reason, 'shrunk');
  assert.equal((web?.kept?.until ?? 0) - (web?.kept?.since ?? 0), 8000);
  await servedBy(my.port, 'alpha', 'beta', 'gamma');
  const metrics = await ask(place.path('run/myelin.sock'), 'GET', '/metrics');
  assert.match(metrics, /^myelin_endpoints\{service="web",state="kept"\} 2$/m);
  const { stdout } = await place.command('status');
  assert.match(
    stripVTControlCharacters(stdout),
    /^ {2}web +1 ready, 2 kept\n +large loss of endpoints .* ago, retaining 2 .*\(maxShrink\); `myelin accept web` lets them go$/m,
  );

  await servedBy(my.port, 'alpha');
  await until('only one is left in the file', async () => (await serversOf(place, 'web')).length === 1);
  await myelin.until('nothing is kept', (status) => status.services[0]?.kept === null);
  await load.endsWithoutFailure();
  assert.equal(
    told(myelin.output, /"service":"web","reason":"shrunk","endpoints":2,.*large loss of endpoints, retaining them/),
    1,
  );
  assert.equal(told(myelin.output, /"service":"web".*no endpoints are retained any more/), 1);
});

test('an operator accepts a held loss, an edit that empties and a doubted emptiness; there may be nothing to accept, and no such service', async () => {
  await using my = await shrinking('1h');
  const { place } = my;
  await say(my, 'alpha', 'beta', 'gamma');
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await servedBy(my.port, 'alpha', 'beta', 'gamma');

  const nothing = await place.command('accept', 'web');
  assert.deepEqual([nothing.exitCode, nothing.stdout], [0, 'web: nothing is kept, what the sources say is served\n']);
  const unknown = await place.command('accept', 'wbe');
  assert.deepEqual([unknown.exitCode, unknown.stdout], [2, '']);
  assert.match(unknown.stderr, /^error: there is no service "wbe" \[MYELIN_USAGE\]\nwhat to do: `myelin status` /);

  await say(my, 'alpha');
  await myelin.until('the loss is held', ({ services }) => services[0]?.kept?.reason === 'shrunk');
  const accepted = await place.command('accept', 'web');
  assert.deepEqual([accepted.exitCode, accepted.stdout], [0, 'web: 2 endpoints go\n']);
  await servedBy(my.port, 'alpha');

  const config = await place.read('myelin.yaml');
  await place.write('myelin.yaml', `${config}\nonlyAddresses: [192.0.2.0/24]\n`);
  await myelin.until('the edit is doubted', ({ services }) => services[0]?.kept?.reason === 'config');
  await servedBy(my.port, 'alpha');
  const { stdout: problems } = await place.command('status', '--problems');
  assert.match(problems, /web +1 endpoint serves on although the config leaves none/);
  assert.match(problems, /undo the edit; if it is meant, `myelin accept --all`/);
  const all = await place.command('accept', '--all');
  assert.deepEqual([all.exitCode, all.stdout], [0, 'web: 1 endpoint goes\n']);
  await servedBy(my.port, '503');
  const noMore = await place.command('accept', '--all');
  assert.deepEqual([noMore.exitCode, noMore.stdout], [0, 'nothing is kept, what the sources say is served\n']);
  assert.equal((await place.command('accept')).exitCode, 2);
  assert.equal((await place.command('accept', 'web', '--all')).exitCode, 2);
  await place.write('myelin.yaml', config);
  await servedBy(my.port, 'alpha');

  await say(my);
  await myelin.until('it is doubted, soon after the start', ({ services }) => services[0]?.kept?.reason === 'emptied');
  const emptied = await place.command('accept', 'web', '--json');
  assert.deepEqual([emptied.exitCode, JSON.parse(emptied.stdout)], [0, { service: 'web', endpoints: 1 }]);
  await servedBy(my.port, '503');
  assert.equal(told(myelin.output, /"service":"web".*operator accepted the loss of endpoints/), 3);
  assert.equal(
    told(myelin.output, /"service":"web","reason":"config","endpoints":1,.*the config leaves the service/),
    1,
  );
});
