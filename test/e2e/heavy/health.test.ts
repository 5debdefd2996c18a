/** A server that its checks took out of service gets no request through any number of reloads, and comes back by its checks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readServersState } from '../../../src/haproxy/cli/info.ts';
import { startNodeBackend } from '../../servers/backend.ts';
import { ask, steadyLoad } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { type Workplace, workplace } from '../../support/sites/myelin.ts';

test('no client sees an error of a server that is down in 20 reloads; when it recovers it gets traffic again', async () => {
  let isSick = false;
  const answer = (): string => {
    if (isSick) throw new Error('sick');
    return 'third';
  };
  await using first = await startNodeBackend('first');
  await using second = await startNodeBackend('second');
  await using third = await startNodeBackend('third', { answer: async () => answer() });
  const backends = [first, second, third];
  const port = await freePort();
  await using place = await workplace(
    [
      'watchers: { file: { path: services.yaml } }',
      'services:',
      '  web:',
      `    bind: "127.0.0.1:${port}"`,
      '    check: { type: http, path: /health, interval: 100ms, fall: 2, rise: 2 }',
      // Otherwise HAProxy spreads the first checks over the longest interval.
      'haproxy: { log: none, global: [max-spread-checks 50] }',
      'reload: { minInterval: 0ms }',
      'probes: { listen: "off" }',
      '',
    ].join('\n'),
  );
  const endpoints = backends.map(({ name, address, port }) => ({ id: name, address, port }));
  await place.write('services.yaml', JSON.stringify({ services: { web: endpoints } }));
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await until('all three answer', async () => {
    await ask(port);
    return backends.every(({ requests }) => requests.length > 0);
  });

  isSick = true;
  await third.setHealthy(false);
  await until('the third is marked down', async () => (await stateOf(place, 'third')) === '0');
  const asked = third.requests.length;
  await using load = steadyLoad(port);
  const answers = (): number => [...load.answers.values()].reduce((sum, count) => sum + count, 0);
  for (let reload = 1; reload <= 20; reload++) {
    const before = await place.status();
    await place.reload();
    const after = await place.status();
    assert.notEqual(after.haproxy?.pid, before.haproxy?.pid);
    const seen = answers();
    await until('the new process has answered', () => answers() > seen + 10);
  }
  assert.equal(third.requests.length, asked);
  isSick = false;
  await third.setHealthy(true);
  await load.answeredBy('third');
  await load.endsWithoutFailure();
});

/** As `show servers state` says it: 0 is down, 2 is up. */
async function stateOf(place: Workplace, server: string): Promise<string | undefined> {
  const { haproxy } = await place.status();
  const { rows } = await readServersState(haproxy?.socket ?? '');
  return rows.find((row) => row.srv_name === server)?.srv_op_state;
}
