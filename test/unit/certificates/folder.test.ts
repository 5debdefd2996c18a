/** What is said of a folder of certificates that cannot be read. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { readFolder } from '../../../src/certificates/folder.ts';
import { tempFolder } from '../../support/index.ts';

test('a folder of certificates that is missing, or no folder, is told in words that stand behind its path', async () => {
  await using folder = await tempFolder();
  const missing = await readFolder(join(folder.path, 'certs'));
  assert.deepEqual([missing.entries, missing.problem], [[], 'there is no such folder']);
  const file = join(folder.path, 'file');
  await writeFile(file, '');
  assert.match((await readFolder(file)).problem ?? '', /^it cannot be read: ENOTDIR/);
});
