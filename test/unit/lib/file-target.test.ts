/** What becomes of a file that a program reads, where something beside it goes wrong. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { configFile } from '../../../src/lib/files/config-file.ts';
import { type FileTarget, makeLive, recover } from '../../../src/lib/files/file-target.ts';
import { isThere } from '../../../src/lib/files/files.ts';
import { tempFolder } from '../../support/index.ts';

const never = new AbortController().signal;

/** Its reload command puts a folder where the file from before is kept, so that it cannot be removed. */
function targetIn(folder: string) {
  const file = configFile(join(folder, 'hosts'));
  const obstacle = `${file.path}.previous`;
  const live: { text: string | null } = { text: null };
  const target: FileTarget = {
    file,
    check: null,
    checked: 'candidate',
    reload: ['sh', '-c', 'rm -f "$1" && mkdir "$1"', 'sh', obstacle],
    failedReload: 'put_back',
    timeoutMs: 10_000,
    noteLive: async (text) => {
      live.text = text;
    },
    isLive: async (text) => live.text === text,
    forgetLive: async () => {
      live.text = null;
    },
  };
  return { target, live, obstacle };
}

test('FileTarget: after a good reload the new file is live, also where the old one beside it cannot be removed', async () => {
  await using folder = await tempFolder();
  const { target, live, obstacle } = targetIn(folder.path);
  await target.file.write('old');
  assert.equal(await makeLive(target, 'new', never), null);
  assert.equal(live.text, 'new');
  assert.equal(await readFile(target.file.path, 'utf8'), 'new');
  assert.ok(await isThere(obstacle), 'it could not be removed');

  assert.equal(await recover(target), false, 'after a restart the new file stays in place');
  assert.equal(await readFile(target.file.path, 'utf8'), 'new');
});

test('FileTarget: a file whose reader was not told of it gives way to the one before after a restart', async () => {
  await using folder = await tempFolder();
  const { target } = targetIn(folder.path);
  await target.file.write('old');
  await target.file.propose('new');
  await target.file.accept();
  assert.equal(await recover(target), true);
  assert.equal(await readFile(target.file.path, 'utf8'), 'old');
});

test('FileTarget: what keeps the next change from being kept beside the file is an error that names the file', async () => {
  await using folder = await tempFolder();
  const { target, obstacle } = targetIn(folder.path);
  await target.file.write('old');
  await mkdir(obstacle);
  await assert.rejects(makeLive(target, 'new', never), { code: 'MYELIN_WRITE_FAILED' });
  assert.equal(await readFile(target.file.path, 'utf8'), 'old');
  await rm(obstacle, { recursive: true });
});
