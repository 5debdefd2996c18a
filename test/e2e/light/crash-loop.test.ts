/** What makes HAProxy end some seconds after each start, although it has proved itself, costs the service no more than that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask } from '../../servers/steady.ts';
import { until } from '../../support/index.ts';
import { site } from '../../support/sites/site.ts';

const livesMs = 30_000;

test('a structure from which HAProxy ends soon after each start gives way to the last one that lived, and servers follow', async () => {
  await using my = await site();
  const { place } = my;
  const myelin = await my.start();
  await place.write('crash.lua', 'core.register_task(function() core.msleep(1000) os.exit(9, true) end)\n');
  const startedAt = performance.now();
  await until('it has lived', () => performance.now() - startedAt > livesMs, { withinMs: 2 * livesMs });

  await my.configure({ haproxy: [`global: ["lua-load ${place.path('crash.lua')}"]`] });
  const left = await myelin.until('it is left alone', ({ lastApply, haproxy }) => {
    return lastApply?.result === 'rejected' && haproxy !== null;
  });
  assert.match(left.lastApply?.error ?? '', /HAProxy ended by itself 3 times/);
  assert.match(myelin.output, /"msg":"update rejected, what runs stays as it is/);
  assert.doesNotMatch(await place.read('run/haproxy.cfg'), /lua-load/);
  assert.equal(await ask(my.port), 'alpha');
  await my.serve('beta');
  await until('beta answers', async () => (await ask(my.port)) === 'beta');

  await my.configure();
  const mended = await myelin.until('nothing is wanted any more', ({ lastApply }) => lastApply?.error === null);
  assert.equal(mended.haproxy?.pid, left.haproxy?.pid, 'it has served on');
});
