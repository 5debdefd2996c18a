/** A HAProxy that hangs: it takes connections, answers nobody, and cannot hand over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { site } from '../../support/sites/site.ts';

test('a HAProxy that hangs is told once and is not ready; it is replaced where that is wanted', async () => {
  const probes = await freePort();
  const answerOf = async (path: string): Promise<readonly [number, string]> => {
    const response = await fetch(`http://127.0.0.1:${probes}${path}`);
    return [response.status, await response.text()];
  };
  const isUp = async (): Promise<string | undefined> =>
    /^myelin_haproxy_up (.*)$/m.exec((await answerOf('/metrics'))[1])?.[1];
  await using my = await site();
  const config = { rest: ['verifyInterval: 1s'], probes: `127.0.0.1:${probes}` };
  await my.configure(config);
  const myelin = await my.start();
  const { haproxy: first } = await my.place.status();
  const pid = first?.pid ?? 0;
  assert.deepEqual([(await answerOf('/readyz'))[0], await isUp()], [200, '1']);

  process.kill(pid, 'SIGSTOP');
  try {
    assert.match((await my.place.command('status')).stdout, /^ {2}HAProxy /m, 'nobody waits for it to see the status');
    const { haproxy, lastApply } = await myelin.until('it is noticed', ({ state }) => state === 'unresponsive');
    assert.match(haproxy?.unresponsive?.reason ?? '', /no answer within/);
    assert.equal(lastApply?.error, null);
    await until('it is not ready', async () => (await answerOf('/readyz'))[0] === 503);
    assert.match((await answerOf('/readyz'))[1], /HAProxy does not answer/);
    await until('it is not up', async () => (await isUp()) === '0');
    assert.match((await my.place.command('status')).stdout, /unresponsive for \d+s/);
    const { exitCode, stdout } = await my.place.command('why', 'web');
    assert.equal(exitCode, 11);
    assert.match(
      stdout,
      /^web gets no traffic: HAProxy does not answer for \d+s: .*no answer within .*\nwhat to do: see what its process/,
    );
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await myelin.until('it answers again', ({ stateReasons }) => isApplied(stateReasons));
  await until('it is ready', async () => (await answerOf('/readyz'))[0] === 200 && (await isUp()) === '1');
  assert.equal(await ask(my.port), 'alpha');

  await my.configure({ ...config, haproxy: ['onHang: replace'] });
  await until('the config is read', () => myelin.output.includes('config and templates read again'));
  process.kill(pid, 'SIGSTOP');
  const replaced = await myelin.until(
    'another serves',
    ({ haproxy, stateReasons }) => haproxy !== null && haproxy.pid !== pid && isApplied(stateReasons),
    90_000,
  );
  assert.deepEqual(replaced.haproxy?.oldWorkers, []);
  assert.equal(await ask(my.port), 'alpha');
  await until('its connections are counted', async () =>
    /^myelin_connections_closed_total\{limit="on_hang"\} 1$/m.test((await answerOf('/metrics'))[1]),
  );
  const told = (message: string): number => myelin.output.split('\n').filter((line) => line.includes(message)).length;
  assert.equal(told('HAProxy does not answer'), 2, 'once for each time that it hangs');
  assert.ok(told('background task failed') <= 4, myelin.output);
});
