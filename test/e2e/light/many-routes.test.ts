/** Myelin is killed while a thousand routes get another owner: nobody else answers for them, and the next Myelin sets all right. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startBackends } from '../../servers/backend.ts';
import { defaultBranch } from '../../servers/haproxy.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { answerOf } from '../../support/load/requests.ts';
import { workplace } from '../../support/sites/myelin.ts';

const hook = join(import.meta.dirname, '../../support/sites/kill-at-line.mjs');
const hosts = Array.from({ length: 1000 }, (_, at) => `a-host-with-a-long-name-${at}.example.com`);
/** Of `prepare map`, three times `add map`, `commit map`. */
const lines = [1, 3, 5];

test('a Myelin that is killed at a line by which all routes of a frontend change owners leads no request astray, and the next one changes them all', {
  skip: defaultBranch === '2.2' && 'HAProxy 2.2 has no versions of maps',
}, async () => {
  await using backends = await startBackends(['alpha', 'beta']);
  const [{ alpha, beta }, port] = [backends, await freePort()];
  const owners = ['alpha', 'beta'] as const;
  const config = (owner: string): string => `
watchers: { file: { path: services.yaml } }
frontends: { public: { bind: "127.0.0.1:${port}" } }
services:
${owners.map((name) => `  ${name}: { routes: [${[`/${name}`, ...(name === owner ? hosts : [])].join(', ')}] }\n`).join('')}
haproxy: { log: none }
allowAddresses: [127.0.0.0/8]
probes: { listen: "off" }
`;
  await using place = await workplace(config('alpha'));
  const services = owners.map((name) => `${name}: ["127.0.0.1:${{ alpha, beta }[name].port}"]`);
  await place.write('services.yaml', `services: { ${services.join(', ')} }\n`);

  let expected: ReadonlySet<string> = new Set(['alpha']);
  const others: string[] = [];
  let isOver = false;
  const watch = async (): Promise<void> => {
    while (!isOver) {
      const host = hosts[Math.floor(Math.random() * hosts.length)] ?? '';
      const answer = await answerOf(port, host).catch(String);
      if (!expected.has(answer)) others.push(`${host}: ${answer}`);
      // Leaves the processor to the Myelins that start.
      await setTimeout(5);
    }
  };
  let watching: Promise<void> | null = null;
  let before: readonly number[] = [];
  for (const [at, line] of lines.entries()) {
    const [owner, next] = at % 2 === 0 ? (['alpha', 'beta'] as const) : (['beta', 'alpha'] as const);
    place.env = { NODE_OPTIONS: `--import=${hook}`, KILL_AT_LINE: `${line}` };
    const killed = place.run();
    await killed.until('it runs', ({ stateReasons }) => isApplied(stateReasons));
    if (watching === null) {
      await until('all is served', async () => (await answerOf(port, hosts[0] ?? '').catch(String)) === owner);
      before = await place.haproxies();
      watching = watch();
    }
    expected = new Set(owners);
    await place.write('myelin.yaml', config(next));
    assert.equal(await killed.ended, 'SIGKILL', `line ${line}`);

    place.env = {};
    const myelin = place.run();
    const entry = `${hosts[0]}/ ${next}\n`;
    const isWritten = async () => (await place.read('run/haproxy.cfg.maps/public.map')).includes(entry);
    await until('the map is written', isWritten, { withinMs: 30_000 });
    await myelin.until('it is applied', ({ stateReasons }) => isApplied(stateReasons));
    expected = new Set([next]);
    for (const host of hosts.filter((_, each) => each % 20 === 0)) assert.equal(await answerOf(port, host), next);
    // HAProxy stays.
    myelin.kill('SIGKILL');
    await myelin.ended;
  }
  isOver = true;
  await watching;
  assert.deepEqual(others, []);
  assert.deepEqual(await place.haproxies(), before, 'the same process');
});
