/** What of a new config a running Myelin takes over. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { keepFixed } from '../../src/settings.ts';
import { load } from '../support/config.ts';

test('a running Myelin takes over a new config but for where things are and who controls HAProxy, and names what waits', async () => {
  const { config: running } = await load('watchers: { consul: {} }');
  const { config: next } = await load(`
watchers: { consul: {} }
services: { web: {} }
state: elsewhere
haproxy: { statsSocket: new.sock, onExit: stop }
probes: { listen: off }
debounce: { quiet: 1s, max: 2s }
`);
  const { config, afterRestart } = keepFixed(running, next);
  assert.deepEqual(afterRestart, ['haproxy.statsSocket', 'state', 'probes']);
  assert.deepEqual(config, {
    ...next,
    state: running.state,
    probes: running.probes,
    haproxy: { ...next.haproxy, statsSocket: running.haproxy.statsSocket },
  });
  assert.deepEqual(keepFixed(running, running), { config: running, afterRestart: [] });

  const master = await load('watchers: { consul: {} }\nhaproxy: { control: master, masterSocket: /run/m.sock }\n');
  const kept = keepFixed(running, master.config);
  assert.deepEqual(kept.afterRestart, ['haproxy.control', 'haproxy.masterSocket']);
  assert.deepEqual(kept.config.haproxy, running.haproxy);
});
