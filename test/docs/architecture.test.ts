import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import test from 'node:test';

const root = resolve(import.meta.dirname, '../..');

test('the page about the architecture says of every folder of src what is in it', async () => {
  const page = await readFile(resolve(root, 'docs/architecture.md'), 'utf8');
  const [, table = ''] = /## Where things are\n([\s\S]*?)\n## /.exec(page) ?? [];
  const told = table.split('\n').map((row) => row.split('|')[1] ?? '');
  const folders = globSync('src/*/', { cwd: root }).map((folder) => folder.replace(/\/?$/, '/'));
  assert.ok(folders.length > 10);
  for (const folder of folders)
    assert.ok(
      told.some((rooms) => rooms.includes(`\`${folder}\``)),
      folder,
    );
});
