import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { isThere, writeDurably } from '../../../src/lib/files/files.ts';
import { tempFolder } from '../../support/index.ts';

test('a file is there or not; in a folder that may not be searched neither is known, which is an error', {
  skip: process.getuid?.() !== 0 && 'needs root to be another user for a moment',
}, async () => {
  await using folder = await tempFolder();
  const state = join(folder.path, 'state');
  await mkdir(state);
  await writeFile(join(state, 'haproxy.cfg'), '');
  assert.equal(await isThere(join(state, 'haproxy.cfg')), true);
  assert.equal(await isThere(join(state, 'other')), false);
  assert.equal(await isThere(join(state, 'haproxy.cfg', 'below')), false);
  await chmod(folder.path, 0o755);
  await chmod(state, 0);
  process.seteuid?.(65_534);
  try {
    await assert.rejects(isThere(join(state, 'haproxy.cfg')), {
      code: 'MYELIN_WRITE_FAILED',
      remedy: `give the user that runs Myelin the right to read and write in ${state}`,
    });
  } finally {
    process.seteuid?.(0);
  }
});

test('a file is written in the place of one that may not be read, and of an empty folder, but not of one with something in it', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'file');
  await writeFile(path, 'text', { mode: 0 });
  assert.equal(await writeDurably(path, 'other'), true);
  assert.equal(await readFile(path, 'utf8'), 'other');
  const empty = join(folder.path, 'empty');
  await mkdir(empty);
  assert.equal(await writeDurably(empty, 'text'), true);
  assert.equal(await readFile(empty, 'utf8'), 'text');
  const full = join(folder.path, 'full');
  await mkdir(full);
  await writeFile(join(full, 'notes'), 'mine');
  await assert.rejects(writeDurably(full, 'text'), { code: 'MYELIN_WRITE_FAILED' });
  assert.equal(await readFile(join(full, 'notes'), 'utf8'), 'mine');
});
