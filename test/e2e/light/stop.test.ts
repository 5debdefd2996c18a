/** When Myelin ends, HAProxy serves on: people learn which one, and how to end it, also later. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { ask } from '../../servers/steady.ts';
import { until } from '../../support/index.ts';
import { site } from '../../support/sites/site.ts';

test('the last line of run and the answer of stop name the HAProxy that serves on, and stop --haproxy ends it, with or without Myelin', async () => {
  await using my = await site({ haproxy: ['onExit: keep', 'stopGrace: 5s'] });
  const { place } = my;
  await my.serve('alpha');
  for (const how of ['SIGINT', 'stop'] as const) {
    const myelin = place.run();
    const { haproxy } = await myelin.until('it serves', ({ state }) => state === 'ready');
    const pid = haproxy?.pid ?? 0;
    if (how === 'SIGINT') myelin.kill(how);
    else {
      const { stdout } = await place.command('stop');
      assert.equal(
        stdout,
        `myelin is stopping\nHAProxy (pid ${pid}, 127.0.0.1:${my.port}) serves on; \`myelin stop --haproxy\` ends it\n`,
      );
    }
    assert.equal(await myelin.ended, 0);
    const last = JSON.parse(myelin.streams.stdout.trim().split('\n').at(-1) ?? '');
    assert.deepEqual([last.kind, last.pid, last.servingOn], ['stopped', pid, [`127.0.0.1:${my.port}`]]);
    assert.match(last.remedy, /`myelin stop --haproxy`/);
    assert.equal(await ask(my.port), 'alpha');
  }
  const [pid] = await place.haproxies();
  const ended = await place.command('stop', '--haproxy');
  assert.deepEqual(ended, {
    exitCode: 0,
    stdout: `HAProxy (pid ${pid}, 127.0.0.1:${my.port}) has ended\n`,
    stderr: '',
  });
  assert.deepEqual(await place.haproxies(), []);
  assert.equal((await place.command('stop', '--haproxy')).stdout, 'no HAProxy of this config runs\n');

  const again = place.run();
  await again.until('it serves again', ({ state }) => state === 'ready');
  assert.doesNotMatch(again.output, /haproxy_exited/, 'an end that was asked for is no failure');
  const both = await place.command('stop', '--haproxy');
  assert.match(both.stdout, /^myelin is stopping\nHAProxy \(pid \d+, \S+\) has ended\n$/);
  assert.equal(await again.ended, 0);
  assert.deepEqual(await place.haproxies(), []);
});

test('stop --haproxy lets connections finish for stopGrace and ends no process but its own', async () => {
  await using my = await site({ haproxy: ['onExit: keep', 'stopGrace: 2s'] });
  const { place } = my;
  await my.serve('alpha');
  assert.equal(await place.run('--once').ended, 0);
  const [pid] = await place.haproxies();
  // A process that has the same files on its command line, as an editor would.
  const other = spawn('sleep', ['60'], { argv0: `editor -db ${place.path('run/state')}/g1/haproxy.cfg` });
  const connection = (await import('node:net')).connect(my.port, '127.0.0.1');
  await once(connection, 'connect');
  connection.write('GET / HTTP/1.1\r\n');
  try {
    const ending = place.command('stop', '--haproxy');
    await until('it takes no new connections', () =>
      ask(my.port).then(
        () => false,
        () => true,
      ),
    );
    assert.deepEqual(await place.haproxies(), [pid], 'it finishes what it has');
    assert.equal((await ending).exitCode, 0);
    assert.deepEqual(await place.haproxies(), []);
    assert.equal(other.exitCode, null);
  } finally {
    connection.destroy();
    other.kill();
  }
});

test('stop --haproxy says who ends a HAProxy that Myelin does not start', async () => {
  await using my = await site({ haproxy: ['control: none'] });
  await my.serve('alpha');
  const { exitCode, stderr } = await my.place.command('stop', '--haproxy');
  assert.equal(exitCode, 2);
  assert.match(
    stderr,
    /with haproxy\.control: none Myelin does not start HAProxy.*\nwhat to do: end it where it is started/,
  );
});
