/** What is remembered costs no more than a little, however much it is and however often it changes. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
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

test('what has been noted is there when it is closed, however long it may take otherwise', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'state', 'file.json');
  const file = new StateFile(path, assert.ifError);
  file.keep(() => listed([1, 2], String));
  await file[Symbol.asyncDispose]();
  assert.deepEqual(await new StateFile(path, assert.ifError).read((value) => value), [1, 2]);
});
