import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { parse } from 'yaml';
import { exampleFiles, initText } from '../../../src/config/print/init.ts';
import { builtIn } from '../../../src/config/schema/watchers.ts';
import { load } from '../../support/values/config.ts';

/** Takes the `#` away from all options: those are the lines where it stands right before a key. */
const withAllOptions = (text: string) => text.replaceAll(/^( *)#(?=\S)/gm, '$1');

for (const kind of builtIn.keys())
  test(`the config that \`init ${kind}\` writes is valid, as it is and with all its options`, async () => {
    const text = initText(kind);
    const { config } = await load(text);
    assert.deepEqual(Object.keys(config.watchers), [kind]);
    assert.deepEqual(config.services.get('web')?.bind, ['127.0.0.1:8080']);
    const full = await load(withAllOptions(text));
    assert.equal(full.config.services.get('web')?.check.path, '/healthz');
    assert.deepEqual(full.config.haproxy.global, ['maxconn 20000']);
  });

test('the help of `init` names every kind of source', async () => {
  // The command line is quick to start because it knows no source.
  const text = await readFile(new URL('../../../src/commands/command-line.ts', import.meta.url), 'utf8');
  const [last, ...others] = [...builtIn.keys()].toReversed();
  assert.ok(text.includes(`'${others.toReversed().join(', ')} or ${last}'`));
});

test('options that are shown at their defaults are the defaults', async () => {
  const text = initText('consul');
  const shown = (await load(withAllOptions(text))).config;
  const { haproxy, reload, probes, admin, state } = (await load(text)).config;
  const { stats: _, prometheus: __, global: ___, defaults: ____, masterSocket: _____, ...shownHaproxy } = shown.haproxy;
  assert.deepEqual({ ...shownHaproxy, global: [], defaults: [] }, haproxy);
  const { listen: ______, ...shownAdmin } = shown.admin;
  assert.deepEqual([shown.reload, shown.probes, shownAdmin, shown.state], [reload, probes, admin, state]);
});

test('the loopback is allowed by nobody but whoever takes the comment away', async () => {
  for (const [kind, { trustsLoopback = false }] of builtIn) {
    if (trustsLoopback) continue;
    const text = initText(kind);
    assert.deepEqual((await load(text)).config.allowAddresses, []);
    assert.deepEqual((await load(withAllOptions(text))).config.allowAddresses, ['127.0.0.0/8']);
  }
});

test('the example of a services file has the short form of an endpoint, and the long one as a comment', () => {
  const { 'services.yaml': exampleServices = '' } = exampleFiles('file');
  assert.deepEqual(parse(exampleServices), { services: { web: ['127.0.0.1:9000'] } });
  assert.deepEqual(parse(exampleServices.replace('#- {', '- {')), {
    services: {
      web: [
        '127.0.0.1:9000',
        {
          address: '127.0.0.1',
          port: 9001,
          id: 'web-2',
          weight: 2,
          state: 'ready',
          tags: ['blue'],
          meta: { version: '1' },
        },
      ],
    },
  });
});
