/** Everything at once, the short form of `npm run bench:drops`: all kinds of traffic, changes of servers, reloads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { losesSome } from '../../support/load/controls.ts';
import { measureDrops } from '../../support/load/drops.ts';

test('nothing is lost while servers change ten times a second by commands and the structure every two seconds by reloads', async (t) => {
  const drops = await measureDrops({ requests: 40_000, atLeastMs: 15_000, signal: t.signal });
  const { lanes, failed, changes, commands, reloads, answered } = drops;
  for (const { name, complete } of lanes) t.diagnostic(`${name}: ${complete} requests`);
  t.diagnostic(`${commands} commands, ${reloads} reloads`);
  assert.equal(failed, 0, `${lanes.flatMap(({ troubles }) => troubles).join('\n')}\n${drops.output.slice(-4000)}`);
  for (const { name, complete } of lanes)
    assert.ok(complete >= (name === 'slow' ? 300 : 10_000), `${complete} requests of ${name}`);
  for (const kind of ['add', 'remove', 'replace', 'weight', 'drain', 'address'])
    assert.ok(changes.has(kind), `there was a change: ${kind}`);
  assert.ok(commands >= 50, `${commands} commands`);
  assert.ok(reloads >= 5, `${reloads} reloads`);
  const answering = [...answered.values()].filter((count) => count > 0);
  // One may have come into use in the last moment only.
  assert.ok(answering.length >= 4, `${answering.length} servers answered`);
});

// Without `-x` so short a load loses some only now and then: no-drop.test.ts has that control.
test('requests and sessions are lost under the same load where connections are not left to finish', async ({
  signal,
}) => {
  const lost = { slow: 0, tcp: 0 };
  await losesSome(async () => {
    const { lanes } = await measureDrops({ requests: 20_000, control: 'hard-stop', signal });
    for (const { name, failed } of lanes) if (name === 'slow' || name === 'tcp') lost[name] += failed;
    return { failed: Math.min(lost.slow, lost.tcp) };
  });
});
