/** What is remembered costs no more than a little, however much it is and however often it changes. */
import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { lagOf, listed, StateFile } from '../../../src/lib/files/state-file.ts';
import { tempFolder } from '../../support/index.ts';

test('what is little is written within a second, what is much a part of a megabyte a second, and all within two minutes', () => {
  assert.equal(lagOf(0), 1000);
  assert.equal(lagOf(100_000), 1000);
  assert.equal(lagOf(14_000_000), 112_000);
  assert.equal(lagOf(10 ** 9), 120_000);
});

test('a list is written in parts, an entry a line', () => {
  assert.equal([...listed([], String)].join(''), '[]\n');
  assert.equal([...listed([1, 'a'], (one) => JSON.stringify(one))].join(''), '[1,\n"a"]\n');
});

test('what is damaged, or cannot be read at all, counts as not there and is told, with its path', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'file.json');
  const damages = {
    empty: () => writeFile(path, ''),
    cut: () => writeFile(path, '[1, 2'),
    'of another format': () => writeFile(path, '{"a":1}'),
    'a folder': async () => {
      await rm(path);
      await mkdir(path);
    },
  };
  for (const [what, damage] of Object.entries(damages)) {
    await damage();
    const told: unknown[] = [];
    const file = new StateFile(path, (error) => told.push(error));
    assert.equal(await file.read((value) => z.array(z.number()).parse(value)), null, what);
    assert.match(told.map(String).join('; '), new RegExp(`^AppError: ${path} `), what);
    file.keep(() => listed([1], String));
    await file[Symbol.asyncDispose]();
    assert.equal(told.length, 1, `${what} gives way to what is written anew`);
    await file.read((value) => z.array(z.number()).parse(value));
    assert.equal(told.length, 1, what);
  }
});

test('what has been noted is there when it is closed, however long it may take otherwise', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'state', 'file.json');
  const file = new StateFile(path, assert.ifError);
  file.keep(() => listed([1, 2], String));
  await file[Symbol.asyncDispose]();
  assert.deepEqual(await new StateFile(path, assert.ifError).read((value) => value), [1, 2]);
});
