/** Myelin's log and HAProxy's: who reads the one meets no line of the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask } from '../../servers/steady.ts';
import { until } from '../../support/index.ts';
import { site } from '../../support/sites/site.ts';

for (const log of ['stdout', 'stderr'])
  test(`standard output has Myelin's own lines alone, and HAProxy logs to standard error by itself, also without Myelin (log: ${log})`, async () => {
    await using my = await site({ haproxy: ['onExit: keep'] });
    const config = await my.place.read('myelin.yaml');
    await my.place.write('myelin.yaml', config.replace('log: none', `log: ${log}`));
    await my.serve('alpha');
    const myelin = my.place.run();
    await myelin.until('it serves', ({ state }) => state === 'ready');
    assert.equal(await ask(my.port), 'alpha');
    const requests = (): number => (myelin.streams.stderr.match(/"GET \/\S* HTTP\/1\.[01]"/g) ?? []).length;
    await until('the request is logged', () => requests() > 0);
    myelin.kill('SIGKILL');
    await myelin.ended;
    const before = requests();
    assert.equal(await ask(my.port), 'alpha');
    await until('the next one is logged too', () => requests() > before);
    for (const line of myelin.streams.stdout.trim().split('\n')) assert.equal(JSON.parse(line).app, 'myelin', line);
  });

test('how Myelin logs is for the option to say, then the environment, then the config, which may change', async () => {
  await using my = await site({ rest: ['log: { level: silent }'] });
  const { place } = my;
  await my.serve('alpha');
  const once = async (...args: readonly string[]): Promise<string> => {
    const myelin = place.run('--once', ...args);
    assert.equal(await myelin.ended, 0);
    return myelin.streams.stdout;
  };
  assert.equal(await once(), '');
  place.env.MYELIN_LOG_LEVEL = 'info';
  assert.match(await once(), /^\{"level":"info"/);
  assert.equal(await once('--log-level', 'silent'), '');
  place.env.MYELIN_LOG_FORMAT = 'pretty';
  assert.match(await once(), /^[\d:.]+ INFO {2}/);
  delete place.env.MYELIN_LOG_LEVEL;

  const myelin = place.run();
  await myelin.until('it serves', ({ state }) => state === 'ready');
  assert.equal(myelin.streams.stdout, '');
  await place.write('myelin.yaml', (await place.read('myelin.yaml')).replace('silent', 'debug'));
  let turn = 0;
  await until('it logs what happens', async () => {
    turn += 1;
    await my.serve(turn % 2 === 0 ? 'beta' : 'alpha');
    return myelin.streams.stdout !== '';
  });
});
