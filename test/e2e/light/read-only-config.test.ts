/** The folder of HAProxy's config takes no writes, as on a disk that was remounted: what ends there is started again from what is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { until } from '../../support/index.ts';
import { mountDisk } from '../../support/machine/disk.ts';
import { startListedServices } from '../../support/sites/listed-services.ts';

test('a HAProxy that ends while the folder of its config is read-only starts again with the file in place, and gets by commands what that lacks, with the same Myelin and with the next one', async (t) => {
  await using backends = await startBackends(['alpha', 'beta']);
  const { alpha, beta } = backends;
  await using site = await startListedServices();
  const { list, place, answer } = site;
  const disk = await mountDisk(t, place.path('disk'), '1m');
  if (disk === null) return;
  await using _ = disk;
  await place.write(
    'myelin.yaml',
    (await place.read('myelin.yaml')).replace('haproxy: {', 'haproxy: { config: ./disk/haproxy.cfg,'),
  );
  const answers = async (wanted: Readonly<Record<string, string>>): Promise<void> => {
    for (const [name, expected] of Object.entries(wanted))
      await until(
        `${name} is answered ${expected}`,
        async () => (await answer(`/${name}`).catch(String)) === expected,
        {
          withinMs: 60_000,
        },
      );
  };
  list.change((services) => services.set('moves', alpha).set('stays', alpha));
  const first = place.run();
  await first.until('it serves', ({ state }) => state === 'ready');
  await answers({ moves: 'alpha', stays: 'alpha' });
  const [before] = await place.haproxies();

  disk.remount('ro');
  list.change((services) => services.set('moves', beta).set('comes', beta));
  await answers({ comes: 'beta', moves: 'beta' });
  await first.until('the file is behind', ({ haproxy }) => haproxy?.fileTrouble != null);
  process.kill(before ?? 0, 'SIGKILL');
  await answers({ stays: 'alpha', moves: 'beta', comes: 'beta' });

  first.kill('SIGKILL');
  await first.ended;
  for (const pid of await place.haproxies()) process.kill(pid, 'SIGKILL');
  const next = place.run();
  await answers({ stays: 'alpha', moves: 'beta', comes: 'beta' });

  disk.remount('rw');
  await next.until('the file has followed', ({ haproxy }) => haproxy?.fileTrouble === null);
  await until('all of it is in the file', async () =>
    (await place.read('disk/haproxy.cfg')).includes('backend comes from '),
  );
  assert.equal((await place.haproxies()).length, 1);
});
