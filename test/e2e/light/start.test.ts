/** How a start goes that is not an ordinary one: what cannot listen, what is in the way, what is wanted once. */
import assert from 'node:assert/strict';
import { chmod, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { site } from '../../support/sites/site.ts';

test('where Myelin cannot listen it says so and starts nothing, and a HAProxy that serves already is left as it is', async () => {
  await using my = await site();
  await my.serve('alpha');
  const taken = await freePort();
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(taken, '127.0.0.1', resolve));
  const good = await my.place.read('myelin.yaml');
  const bad = good.replace('probes: { listen: "off" }', `probes: { listen: "127.0.0.1:${taken}" }`);
  await my.place.write('myelin.yaml', bad.replace('  log: none', '  log: none\n  onExit: stop'));
  try {
    const { exitCode, stderr } = await my.place.command('run');
    assert.equal(exitCode, 1);
    assert.match(stderr, /probes\.listen: .*another process listens there.*\[MYELIN_LISTEN_FAILED\]/);
    assert.deepEqual(await my.place.haproxies(), []);

    const broken = await my.place.read('myelin.yaml');
    await my.place.write('myelin.yaml', good);
    assert.equal(await my.place.run('--once').ended, 0);
    const serving = await my.place.haproxies();
    assert.equal(serving.length, 1);
    await my.place.write('myelin.yaml', broken);
    assert.equal((await my.place.command('run')).exitCode, 1);
    assert.deepEqual(await my.place.haproxies(), serving);
  } finally {
    holder.close();
  }
  assert.equal(await ask(my.port), 'alpha');
});

test('run --once ends with what the sources say, not with the file that was found, be that good or not', async () => {
  await using my = await site({ haproxy: ['onExit: keep'] });
  await my.serve('alpha');
  assert.equal(await my.place.run('--once').ended, 0);
  for (const [by, found] of [
    ['beta', null],
    ['gamma', 'no config at all\n'],
  ] as const) {
    for (const pid of await my.place.haproxies()) process.kill(pid, 'SIGKILL');
    await until('nothing runs', async () => (await my.place.haproxies()).length === 0);
    if (found !== null) await my.place.write('run/haproxy.cfg', found);
    await my.serve(by);
    const once = my.place.run('--once');
    assert.equal(await once.ended, 0, once.output);
    assert.equal(await ask(my.port), by);
  }
});

test('run --once without the answer of a required source serves the others and has an exit code of its own', async () => {
  await using my = await site({
    services: ['late: { from: { slow: {} } }'],
    rest: ['startTimeout: 1s'],
  });
  await my.serve('alpha');
  const silent = await freePort();
  const config = await my.place.read('myelin.yaml');
  const two = config
    .replace(
      /^watchers:.*$/m,
      `watchers: { file: { path: services.yaml }, slow: { type: consul, address: "127.0.0.1:${silent}" } }`,
    )
    .replace('  web:\n', '  web:\n    from: { file: {} }\n');
  await my.place.write('myelin.yaml', two);
  const once = my.place.run('--once');
  assert.equal(await once.ended, 6, once.output);
  assert.equal(await ask(my.port), 'alpha');
});

test('a Myelin that knows nobody to serve, because no source has answered, is not ready, and is once one has', async () => {
  await using my = await site({ rest: ['startTimeout: 300ms'] });
  const running = my.place.run();
  const blind = await running.until('HAProxy runs all the same', ({ haproxy }) => haproxy !== null);
  assert.deepEqual([blind.state, blind.waitingFor], ['starting', ['file']]);
  assert.equal((await my.place.command('probe', 'ready')).exitCode, 1);
  await my.serve('alpha');
  await running.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  assert.equal(await ask(my.port), 'alpha');
});

test('a hangup at any moment of a start ends nothing', async () => {
  await using my = await site({ haproxy: ['onExit: stop'] });
  await my.serve('alpha');
  const myelin = my.place.run();
  // From when on it is heard; before that it is Node that starts.
  await until('it takes signals', async () => catchesHangup(myelin.pid));
  const hangups = setInterval(() => myelin.kill('SIGHUP'), 5);
  try {
    await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  } finally {
    clearInterval(hangups);
  }
  myelin.kill('SIGTERM');
  assert.equal(await myelin.ended, 0);
});

test('a template that parses and fails for the whole file is refused, at the start and later', async () => {
  await using my = await site({ rest: ['templates: templates'] });
  const bad = 'global\n    # {{haproxy.nosuchfield}}\n';
  await my.place.write('templates/global.hbs', bad);
  await my.serve('alpha');
  const refused = await my.place.command('run');
  assert.equal(refused.exitCode, 4);
  assert.match(refused.stderr, /global\.hbs:2:\d+: there is no field "nosuchfield"/);

  await my.place.write(
    'templates/global.hbs',
    'global\n    stats socket {{haproxy.statsSocket}} level admin expose-fd listeners\n',
  );
  const myelin = await my.start();
  await my.place.write('templates/global.hbs', bad);
  await myelin.until('it is refused', ({ refusedConfig }) => refusedConfig !== null);
  await my.serve('beta');
  await until('changes go live all the same', async () => (await ask(my.port)) === 'beta');
});

/** Whether the process has a handler for SIGHUP, the first of the signals. */
async function catchesHangup(pid: number): Promise<boolean> {
  const [, mask = '0'] = /^SigCgt:\s*(\w+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (BigInt(`0x${mask}`) & 1n) === 1n;
}

test('Myelin ends at once where it is told to while HAProxy’s executable hangs', async () => {
  await using my = await site({ haproxy: ['binary: ./hangs'] });
  const binary = my.place.path('hangs');
  await my.place.write('hangs', `#!/bin/sh\ntouch '${my.place.path('asked')}'\nexec sleep 30\n`);
  await chmod(binary, 0o755);
  for (const args of [[], ['--once']]) {
    await rm(my.place.path('asked'), { force: true });
    const myelin = my.place.run(...args);
    await until('it asks the executable', () => my.place.read('asked').then(() => true));
    const since = performance.now();
    myelin.kill('SIGTERM');
    assert.equal(await myelin.ended, args.length === 0 ? 0 : 1, myelin.output);
    // The executable is given ten seconds.
    assert.ok(performance.now() - since < 8000, `it took ${performance.now() - since} ms`);
  }
});
