/** What of a new config a running Myelin takes over. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { keepFixed, loadSettings, presumedVersion } from '../../../src/settings/settings.ts';
import { tempFolder } from '../../support/index.ts';
import { load } from '../../support/values/config.ts';

test('a running Myelin takes over a new config but for where things are and who controls HAProxy, and names what waits', async () => {
  const { config: running } = await load('watchers: { consul: {} }');
  const { config: next } = await load(`
watchers: { consul: {} }
services: { web: {} }
state: elsewhere
haproxy: { statsSocket: new.sock, onExit: stop, handover: h }
probes: { listen: off }
debounce: { quiet: 1s, max: 2s }
`);
  const { config, afterRestart } = keepFixed(running, next);
  assert.deepEqual(afterRestart, ['haproxy.statsSocket', 'haproxy.handover', 'state', 'probes']);
  const { handover: _, ...others } = next.haproxy;
  assert.deepEqual(config, {
    ...next,
    state: running.state,
    probes: running.probes,
    haproxy: { ...others, statsSocket: running.haproxy.statsSocket },
  });
  assert.deepEqual(keepFixed(running, running), { config: running, afterRestart: [] });

  const master = await load('watchers: { consul: {} }\nhaproxy: { control: master, masterSocket: /run/m.sock }\n');
  const kept = keepFixed(running, master.config);
  assert.deepEqual(kept.afterRestart, ['haproxy.control', 'haproxy.masterSocket']);
  assert.deepEqual(kept.config.haproxy, running.haproxy);
});

test('where no HAProxy can be asked, the first config is for the branch that the config names, else for the oldest', async () => {
  const branchOf = async (haproxy: string): Promise<readonly number[]> => {
    const { config } = await load(`watchers: { consul: {} }\nhaproxy: ${haproxy}\n`);
    const { major, minor } = presumedVersion(config);
    return [major, minor];
  };
  assert.deepEqual(await branchOf('{}'), [2, 2]);
  assert.deepEqual(await branchOf('{ version: "3.0" }'), [3, 0]);
  await assert.rejects(branchOf('{ version: "3" }'), /expected a branch such as 3\.0/);
});

test('the names of sections that the templates write by hand are known with the config', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'myelin.yaml');
  await writeFile(path, 'watchers: { consul: {} }\ntemplates: templates\n');
  await mkdir(join(folder.path, 'templates'));
  const file =
    'defaults\n  mode http\ndefaults own from x\n{{#each services}}\nbackend {{name}}\nbackend a-{{name}}\n{{/each}}\n';
  await writeFile(join(folder.path, 'templates/haproxy.cfg.hbs'), `${file}# backend no\n  backend "legacy" from own\n`);
  await writeFile(join(folder.path, 'templates/global.hbs'), 'global\nlisten both\n');
  const { config } = await loadSettings(path, {});
  assert.deepEqual([...(config.namesInTemplates ?? [])].sort(), ['both', 'legacy', 'own']);
});
