/** The time of day steps by an hour under a running Myelin: a time server answers at last, or a machine wakes up. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { readServersState } from '../../../src/haproxy/cli/info.ts';
import { startEcho } from '../../servers/echo.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { openTcp } from '../../support/load/session.ts';
import { type Site, site } from '../../support/sites/site.ts';

const hourMs = 3_600_000;
const preload = pathToFileURL(resolve(import.meta.dirname, '../../support/machine/stepping-clock.ts')).href;

test('a step of the clock forward closes no connection and ends no order, and the status shows the new time', async () => {
  await using my = await site();
  const { place, backends } = my;
  const step = await stepping(my);
  await using echo = await startEcho();
  const tcpPort = await freePort();
  await my.configure({ services: [`tcp: { bind: "127.0.0.1:${tcpPort}", mode: tcp }`] });
  const serve = (...names: readonly string[]): Promise<void> =>
    place.write(
      'services.yaml',
      `services: { web: ["127.0.0.1:${backends.alpha.port}"], tcp: [${names
        .map((id) => `{ id: ${id}, address: 127.0.0.1, port: ${echo.port} }`)
        .join(', ')}] }\n`,
    );
  await serve('one', 'spare');
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await using kept = await openTcp(tcpPort);
  await place.reload();
  await myelin.until('an old process has a connection', ({ haproxy }) => haproxy?.oldWorkers[0]?.connections === 1);
  await serve('one');
  await until('all go to one server', async () => !(await servers(my, 'tcp')).includes('spare'));
  await using draining = await openTcp(tcpPort);
  await serve('two');
  await myelin.until(
    'the server is removed that the connection goes to',
    ({ lastApply }) => lastApply?.result === 'runtime',
  );
  await place.command('server', 'maint', 'tcp/two', '--for', '30m');

  await step(hourMs);
  // To remove one that is idle takes several looks at all that leaves.
  await serve('two', 'three');
  await until('another server is there', async () => (await servers(my, 'tcp')).includes('three'));
  await serve('two');
  await until('it is gone', async () => !(await servers(my, 'tcp')).includes('three'));
  assert.deepEqual(await servers(my, 'tcp'), ['one', 'two']);
  for (const { echo: say, closed } of [kept, draining])
    assert.equal(await Promise.race([say('still here'), closed.then(() => 'closed')]), 'still here');
  const { haproxy, orders, startedAt, lastApply } = await place.status();
  assert.equal(haproxy?.oldWorkers.length, 1);
  const isAboutNow = (time: number): boolean => Math.abs(Date.now() + hourMs - time) < hourMs / 4;
  assert.ok(isAboutNow(startedAt) && isAboutNow(haproxy.since) && isAboutNow(lastApply?.at ?? 0));
  assert.ok(isAboutNow((orders[0]?.until ?? 0) - hourMs / 2));
  const { stdout } = await place.command('status');
  assert.match(stripVTControlCharacters(stdout), /override +tcp\/two maint for another (29|30)m/);
});

test('a step of the clock back delays neither a reload nor anything else that is due', async () => {
  await using my = await site({ reload: ['minInterval: 500ms'] });
  const { place } = my;
  const step = await stepping(my);
  const myelin = await my.start();
  await my.restructure();
  await my.restructured();
  await step(-hourMs);
  // Twice: the gap before the second one began after the step.
  for (let reload = 1; reload <= 2; reload++) {
    await my.restructure();
    await my.restructured();
  }
  await place.command('server', 'maint', `web/127.0.0.1:${my.backends.alpha.port}`, '--for', '1s');
  await myelin.until('the order is over', ({ orders }) => orders.length === 0);
  await my.serve('beta');
  await until('what is removed is deleted', async () => (await servers(my, 'web')).length === 1);
  myelin.kill('SIGTERM');
  await myelin.ended;

  // What was written down was written an hour later than it is now.
  await step(-2 * hourMs);
  const again = place.run();
  const { haproxy } = await again.until('it serves on', ({ stateReasons }) => isApplied(stateReasons));
  assert.ok((haproxy?.since ?? 0) <= Date.now() - 2 * hourMs + 20);
  await my.restructure();
  await my.restructured();
});

/** Lets what is started from the place have a time of day that can be set off; what is given back does so. */
async function stepping({ place }: Site): Promise<(offMs: number) => Promise<void>> {
  const step = (offMs: number): Promise<void> => place.write('clock', `${offMs}`);
  await writeFile(place.path('clock'), '0');
  place.env = {
    CLOCK_STEP: place.path('clock'),
    NODE_OPTIONS: `--import=${preload} --disable-warning=ExperimentalWarning`,
  };
  return step;
}

/** As HAProxy has them. */
async function servers({ place }: Site, backend: string): Promise<readonly string[]> {
  const { haproxy } = await place.status();
  const { rows } = await readServersState(haproxy?.socket ?? '');
  return rows.flatMap(({ be_name, srv_name }) => (be_name === backend ? [srv_name ?? ''] : []));
}
