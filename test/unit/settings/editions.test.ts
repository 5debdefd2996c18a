import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCollection, nothingKnown } from '../../../src/catalog/collection.ts';
import type { SourceEvent } from '../../../src/model.ts';
import { Editions } from '../../../src/settings/editions.ts';
import type { Settings } from '../../../src/settings/settings.ts';
import { endpoint } from '../../support/values/catalog.ts';
import { load } from '../../support/values/config.ts';

const startTimeoutMs = 30_000;

/** No edit here comes to rendering. */
async function settings(...services: readonly string[]): Promise<Settings> {
  const config = `watchers: { file: { path: s.yaml } }\nservices: { ${services.map((name) => `${name}: {}`).join(', ')} }\n`;
  return {
    ...(await load(config)),
    renderer: { render: () => ({ sections: [], problems: [] }) },
    outputs: [],
    watched: [],
  };
}

async function steady(): Promise<Editions> {
  const live = await settings('web');
  const editions = new Editions(
    { settings: live, collection: createCollection(live.config, nothingKnown, 0) },
    () => [],
  );
  const events: readonly SourceEvent[] = [
    { watcher: 'file', kind: 'started' },
    { watcher: 'file', kind: 'endpoints', key: 'web', endpoints: [endpoint('one', '192.0.2.1')] },
    { watcher: 'file', kind: 'synced' },
  ];
  for (const event of events) editions.receive(event, 0);
  editions.advance(0);
  return editions;
}

test('an edit waits for its new questions, for `startTimeout` at most, however often it is read again', async () => {
  const editions = await steady();
  editions.use(await settings('web', 'shop'), 1000);
  assert.deepEqual(editions.edit(1000), { since: 1000, waitingFor: ['shop'] });
  for (let now = 6000; now < 1000 + startTimeoutMs; now += 5000) {
    editions.use(await settings('web', 'shop'), now);
    assert.equal(editions.advance(now), false);
  }
  assert.equal(editions.advance(1000 + startTimeoutMs), true);
  assert.equal(editions.edit(1000 + startTimeoutMs), null);
});

test('the log follows an edit at once, whatever the edit waits for', async () => {
  const editions = await steady();
  const edit = await settings('web', 'shop');
  editions.use({ ...edit, config: { ...edit.config, log: { level: 'debug' } } }, 1000);
  const { config } = editions.settings;
  assert.deepEqual([config.log.level, editions.newestSettings.config.log.level], ['info', 'debug']);
});

test('another edit waits anew', async () => {
  const editions = await steady();
  editions.use(await settings('web', 'shop'), 1000);
  editions.use(await settings('web', 'store'), 20_000);
  assert.deepEqual(editions.edit(1000 + startTimeoutMs), { since: 20_000, waitingFor: ['store'] });
});
