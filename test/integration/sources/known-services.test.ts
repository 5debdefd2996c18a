import assert from 'node:assert/strict';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { KnownService } from '../../../src/catalog/collection.ts';
import { KnownEndpoints } from '../../../src/sources/known-endpoints.ts';
import { KnownServices } from '../../../src/sources/known-services.ts';
import { tempFolder } from '../../support/index.ts';
import { service } from '../../support/values/discovered.ts';

const never = (error: unknown): never => assert.fail(String(error));

test('what was offered last is known after a restart; whether it still is, is for its source to say', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'state', 'services.json');
  const known: KnownService = {
    watcher: 'cluster',
    query: '*',
    service: service('web', { listen: '10080' }),
    isOver: true,
  };
  {
    await using first = await KnownServices.open(path, never);
    assert.deepEqual(first.all, []);
    first.keep([known]);
  }
  await using second = await KnownServices.open(path, never);
  assert.deepEqual(second.all, [{ ...known, isOver: false }]);
});

test('what an older Myelin has written is known too', async () => {
  await using folder = await tempFolder();
  const [path, former] = [join(folder.path, 'services.json'), join(folder.path, 'offers.json')];
  const { owner: _, ...written } = service('web', { listen: '10080' });
  await writeFile(former, JSON.stringify([{ watcher: 'cluster', query: '*', offer: written }]));
  await using known = await KnownServices.open(path, never, former);
  assert.deepEqual(
    known.all.map((one) => [one.service.name, one.service.owner]),
    [['shop:web', '']],
  );
});

test('discovered services: of the files of two versions the newer one counts, and the next write removes the old one', async () => {
  await using folder = await tempFolder();
  const [path, former] = [join(folder.path, 'services.json'), join(folder.path, 'offers.json')];
  const written = (name: string) => JSON.stringify([{ watcher: 'cluster', query: '*', service: service(name) }]);
  const names = async (): Promise<readonly string[]> => {
    await using known = await KnownServices.open(path, never, former);
    return known.all.map((one) => one.service.name);
  };
  await writeFile(path, written('current'));
  await writeFile(former, written('former'));
  await utimes(path, 1000, 1000);
  await utimes(former, 2000, 2000);
  assert.deepEqual(await names(), ['shop:former']);
  await utimes(path, 3000, 3000);
  assert.deepEqual(await names(), ['shop:current']);
  assert.deepEqual((await readdir(folder.path)).sort(), ['offers.json', 'services.json'], 'reading changes nothing');
  {
    await using known = await KnownServices.open(path, never, former);
    known.keep(known.all);
  }
  assert.deepEqual(await readdir(folder.path), ['services.json']);
  assert.deepEqual(await names(), ['shop:current']);
});

test('known endpoints: a file of an older version is read', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'endpoints.json');
  const endpoints = [{ id: 'a', address: '192.0.2.1', port: 80, weight: 1, state: 'ready' }];
  await writeFile(path, JSON.stringify([['web', { asked: 'k', endpoints }]]));
  await using known = await KnownEndpoints.open(path, never);
  assert.deepEqual([...known.all], [['web', { queryKey: 'k', endpoints }]]);
});

test('where nobody offers anything no file is written, and one that cannot be understood counts as none, which is told', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'services.json');
  {
    await using none = await KnownServices.open(path, never);
    none.keep([]);
  }
  await assert.rejects(readFile(path), { code: 'ENOENT' });
  await writeFile(path, '[{"watcher":"cluster"}]');
  const told: unknown[] = [];
  await using strange = await KnownServices.open(path, (error) => told.push(error));
  assert.deepEqual(strange.all, []);
  assert.equal(told.length, 1);
});

test('that it cannot be written is told, and ends nothing', async () => {
  await using folder = await tempFolder();
  const told: unknown[] = [];
  {
    await using discovered = await KnownServices.open(join(folder.path, 'state', 'services.json'), (error) =>
      told.push(error),
    );
    await writeFile(join(folder.path, 'state'), 'a file in the way');
    discovered.keep([{ watcher: 'cluster', query: '*', service: service('web'), isOver: false }]);
  }
  assert.equal(told.length, 1);
});
