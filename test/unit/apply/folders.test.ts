/** From which folder the next HAProxy is started. */
import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { Folders } from '../../../src/apply/process/folders.ts';
import { type Generation, generationAt } from '../../../src/apply/state/generation.ts';
import { tempFolder } from '../../support/index.ts';

const start = async (generation: Generation): Promise<Generation> => {
  await mkdir(generation.folder, { recursive: true });
  return generation;
};

test('Folders: each start has a number and a folder of its own, which goes where nothing came of it', async () => {
  await using place = await tempFolder();
  const folders = begin(place.path, null);
  const first = await folders.during(start, () => true);
  const failed = await folders.during(start, () => false);
  const next = await folders.during(start, () => true);
  assert.deepEqual([first.number, failed.number, next.number], [8, 9, 10]);
  assert.deepEqual((await readdir(place.path)).sort(), ['g10', 'g8']);
});

test('Folders: the next one after an end starts from the folder that is left, as often as it takes, and no other does', async () => {
  await using place = await tempFolder();
  const folders = begin(place.path, null);
  const first = await folders.during(start, () => true);
  folders.fell(first);
  const failed = await folders.during(start, () => false);
  const again = await folders.during(start, () => true);
  assert.deepEqual([failed.folder, again.folder], [first.folder, first.folder]);
  assert.deepEqual([failed.number, again.number], [9, 10]);
  assert.equal(folders.fallen, null);
  assert.notEqual((await folders.during(start, () => true)).folder, first.folder);
});

test('Folders: what a start throws leaves no folder behind, and reaches who asked', async () => {
  await using place = await tempFolder();
  const folders = begin(place.path, null);
  const broken = async (generation: Generation): Promise<never> => {
    await start(generation);
    throw new Error('no room');
  };
  await assert.rejects(
    folders.during(broken, () => false),
    /no room/,
  );
  assert.deepEqual(await readdir(place.path), []);
});

test('Folders: at a stop the folder of one that has ended goes too', async () => {
  await using place = await tempFolder();
  const fallen = await start(generationAt(place.path, 7));
  await begin(place.path, fallen).removeFallen();
  assert.deepEqual(await readdir(place.path), []);
});

function begin(root: string, fallen: Generation | null): Folders {
  return new Folders(root, { lastNumber: 7, fallen }, async (work) => void (await work));
}
