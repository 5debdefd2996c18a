import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readAgain, readOnce } from '../../../src/lib/files/read-file.ts';
import { tempFolder } from '../../support/index.ts';

test('a pipe is read at the start, and refused when it is to be read again', async () => {
  await using folder = await tempFolder();
  const pipe = join(folder.path, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const [text] = await Promise.all([readOnce(pipe), writeFile(pipe, 'text')]);
  assert.equal(String(text), 'text');
  await assert.rejects(readAgain(pipe), /it is no regular file.*put a file in its place/);
  await assert.rejects(readAgain('/dev/zero'), /it is no regular file/);
});

test('a file is read again, a folder is none', async () => {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, 'file'), 'text');
  assert.equal(String(await readAgain(join(folder.path, 'file'))), 'text');
  await assert.rejects(readAgain(folder.path), { code: 'EISDIR' });
  await assert.rejects(readAgain(join(folder.path, 'none')), { code: 'ENOENT' });
});
