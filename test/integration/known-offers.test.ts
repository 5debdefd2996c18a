import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { KnownOffer } from '../../src/catalog/collection.ts';
import { KnownOffers } from '../../src/sources/known-offers.ts';
import { tempFolder } from '../support/index.ts';
import { offer } from '../support/offers.ts';

const never = (error: unknown): never => assert.fail(String(error));

test('what was offered last is known after a restart; whether it still is, is for its source to say', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'state', 'offers.json');
  const known: KnownOffer = { watcher: 'cluster', query: '*', offer: offer('web', { listen: '10080' }), isOver: true };
  {
    await using first = await KnownOffers.open(path, never);
    assert.deepEqual(first.all, []);
    first.keep([known]);
  }
  await using second = await KnownOffers.open(path, never);
  assert.deepEqual(second.all, [{ ...known, isOver: false }]);
});

test('what an older Myelin has written is known too', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'offers.json');
  const { owner: _, ...written } = offer('web', { listen: '10080' });
  await writeFile(path, JSON.stringify([{ watcher: 'cluster', query: '*', offer: written }]));
  await using known = await KnownOffers.open(path, never);
  assert.deepEqual(
    known.all.map((one) => [one.offer.name, one.offer.owner]),
    [['shop:web', '']],
  );
});

test('where nobody offers anything no file is written, and one that cannot be understood counts as none', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'offers.json');
  {
    await using none = await KnownOffers.open(path, never);
    none.keep([]);
  }
  await assert.rejects(readFile(path), { code: 'ENOENT' });
  await writeFile(path, '[{"watcher":"cluster"}]');
  await using strange = await KnownOffers.open(path, never);
  assert.deepEqual(strange.all, []);
});

test('that it cannot be written is told, and ends nothing', async () => {
  await using folder = await tempFolder();
  const told: unknown[] = [];
  {
    await using offers = await KnownOffers.open(join(folder.path, 'state', 'offers.json'), (error) => told.push(error));
    await writeFile(join(folder.path, 'state'), 'a file in the way');
    offers.keep([{ watcher: 'cluster', query: '*', offer: offer('web'), isOver: false }]);
  }
  assert.equal(told.length, 1);
});
