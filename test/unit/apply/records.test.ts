/** What is written down of a HAProxy for the next Myelin, and what an older one has left. */
import assert from 'node:assert/strict';
import { appendFile, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ComingBackends, withComing } from '../../../src/apply/state/coming.ts';
import { generationAt } from '../../../src/apply/state/generation.ts';
import {
  readLeaving,
  readReady,
  readReplaces,
  readSections,
  removeReady,
  writeReady,
  writeReplaces,
  writeSections,
} from '../../../src/apply/state/records.ts';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';
import { tempFolder } from '../../support/index.ts';

const ready = { pid: 1, startTime: '2', version: '2.6.12', binary: null, since: 3 };
const sections = splitSections('backend web\n    server a 192.0.2.1:80\n', 'web');
const id = { pid: 4, startTime: '5' };
const formerNames = { 'ready.json': 'proved', 'services.json': 'owners', 'replaces.json': 'displaced' };

test('records: what an older Myelin wrote under other names is read, and replaced by what is written now', async () => {
  await using place = await tempFolder();
  const generation = generationAt(place.path, 1);
  await writeSections(generation, sections);
  await writeReady(generation, ready);
  await writeReplaces(generation, id);
  const { folder } = generation;
  for (const [name, former] of Object.entries(formerNames)) await rename(join(folder, name), join(folder, former));
  assert.deepEqual(await readSections(generation), sections);
  assert.deepEqual(await readReady(generation), ready);
  assert.deepEqual(await readReplaces(generation), id);

  await writeSections(generation, sections);
  await writeReady(generation, ready);
  await writeReplaces(generation, id);
  assert.deepEqual((await readdir(folder)).sort(), ['haproxy.cfg', ...Object.keys(formerNames)].sort());
});

test('records: after a downgrade and another upgrade, the record that was written last counts', async () => {
  await using place = await tempFolder();
  const generation = generationAt(place.path, 1);
  await writeSections(generation, sections);
  await writeReady(generation, ready);
  const [current, former] = ['ready.json', 'proved'].map((name) => join(generation.folder, name)) as [string, string];
  await writeFile(former, JSON.stringify({ ...ready, version: '3.0.11' }));
  const at = (path: string, seconds: number) => utimes(path, seconds, seconds);
  await at(current, 1000);
  await at(former, 2000);
  assert.equal((await readReady(generation))?.version, '3.0.11', 'the older version has written last');
  await at(current, 3000);
  assert.equal((await readReady(generation))?.version, '2.6.12', 'this version has written last');
  await writeReady(generation, { ...ready, since: 4 });
  assert.ok(!(await readdir(generation.folder)).includes('proved'));
});

test('records: sections keep the key of their queries, which older versions recorded under another name', async () => {
  await using place = await tempFolder();
  const generation = generationAt(place.path, 1);
  const keyed = sections.map((section) => ({ ...section, queryKey: 'k' }));
  await writeSections(generation, keyed);
  assert.deepEqual(await readSections(generation), keyed);
  await writeFile(join(generation.folder, 'services.json'), JSON.stringify([{ service: 'web', asked: 'k' }]));
  assert.deepEqual(await readSections(generation), keyed);
});

test('records: backends that were to come are known to the next Myelin until the record holds them', async () => {
  await using place = await tempFolder();
  const generation = generationAt(place.path, 1);
  await writeSections(generation, sections);
  const backend = (name: string): readonly Section[] =>
    splitSections(`backend ${name}\n    server a 192.0.2.2:80\n`, name).map((one) => ({
      ...one,
      queryKey: 'k',
      sharesOptions: true,
    }));
  const [shop, blog] = [backend('shop'), backend('blog')];
  const file = join(generation.folder, 'coming.jsonl');
  using coming = new ComingBackends();
  const settle = coming.announce(generation, shop);
  assert.deepEqual(await withComing(generation, sections), [...sections, ...shop]);
  assert.deepEqual(await withComing(generation, [...shop, ...sections]), [...shop, ...sections], 'each once');

  await coming.recording(generation)();
  assert.deepEqual(await withComing(generation, sections), [...sections, ...shop], 'whether it runs is not known');
  settle();
  const recorded = coming.recording(generation);
  const settleNext = coming.announce(generation, blog);
  settleNext();
  await recorded();
  assert.deepEqual(await withComing(generation, sections), [...sections, ...blog], 'the record does not hold this one');
  await appendFile(file, '\n[{"kind":"back');
  assert.deepEqual(await withComing(generation, sections), [...sections, ...blog], 'nothing was sent');
  using next = new ComingBackends();
  next.announce(generation, shop)();
  assert.deepEqual(
    await withComing(generation, sections),
    [...sections, ...blog, ...shop],
    'of an earlier Myelin as well',
  );
  await next.recording(generation)();
  assert.deepEqual(await withComing(generation, sections), sections);
  await rm(generation.folder, { recursive: true });
  await writeSections(generation, sections);
  await next.recording(generation)();
  next.announce(generation, shop);
  assert.deepEqual(
    await withComing(generation, sections),
    [...sections, ...shop],
    'in the place of a file that was removed',
  );
});

test('records: a process of which it is not known that it is ready is so under no name', async () => {
  await using place = await tempFolder();
  const generation = generationAt(place.path, 1);
  await writeSections(generation, sections);
  await writeReady(generation, ready);
  await writeFile(join(generation.folder, 'proved'), JSON.stringify(ready));
  await removeReady(generation);
  assert.equal(await readReady(generation), null);
});

test('records: what is not as it was written is as if it were not there', async () => {
  await using place = await tempFolder();
  const generation = generationAt(place.path, 1);
  await writeSections(generation, sections);
  await writeFile(join(generation.folder, 'ready.json'), '{"pid":');
  await writeFile(join(generation.folder, 'services.json'), '[7]');
  assert.equal(await readReady(generation), null);
  assert.deepEqual(
    (await readSections(generation))?.map(({ service }) => service),
    [null],
  );
});

test('records: what cannot be read is as if it were not there, and is written anew', async () => {
  await using place = await tempFolder();
  const generation = generationAt(place.path, 1);
  const names = ['haproxy.cfg', 'ready.json', 'services.json', 'leaving', 'files.json'];
  for (const name of names) await mkdir(join(generation.folder, name), { recursive: true });
  assert.equal(await readReady(generation), null);
  assert.equal(await readSections(generation), null);
  assert.deepEqual(await readLeaving(generation), []);
  await writeSections(generation, sections);
  await writeReady(generation, ready);
  assert.deepEqual(await readReady(generation), ready);
  assert.deepEqual(await readSections(generation), sections);
});

test('records: servers that leave are known again from a record of a Myelin that recorded nothing but servers', async () => {
  await using folder = await tempFolder();
  const generation = generationAt(folder.path, 1);
  await mkdir(generation.folder);
  const server = { backend: 'web', server: 'a', options: ['check'] };
  await writeFile(join(generation.folder, 'leaving'), JSON.stringify([server]));
  assert.deepEqual(await readLeaving(generation), [{ kind: 'server', ...server }]);
});

test('records: sections in chunks are recorded as they are together', async () => {
  await using place = await tempFolder();
  const [one, other] = [generationAt(place.path, 1), generationAt(place.path, 2)];
  const map: Section = { kind: 'map', name: '/a.map', text: 'a/ web\n', service: null };
  const listed: Section = { ...(sections[0] as Section), service: 'web', queryKey: 'consul web' };
  const all = [...sections, map, listed];
  await writeSections(one, all);
  await writeSections(other, all, [], { chunks: [sections, [map], [listed]], bytes: Buffer.from(textOf(all)) });
  assert.deepEqual(await readSections(other), await readSections(one));
  const names = await readdir(one.folder);
  assert.ok(names.includes('services.json'));
  for (const name of names)
    assert.deepEqual(await readFile(join(other.folder, name)), await readFile(join(one.folder, name)), name);
});
