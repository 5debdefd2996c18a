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

test('the issuers that other programs write beside a certificate are passed over; with a key they are certificates', async () => {
  await using folder = await tempFolder();
  for (const name of [
    'tls.crt',
    'tls.key',
    'ca.crt',
    'chain.pem',
    'a.test.crt',
    'a.test.key',
    'a.test.issuer.crt',
    'b.pem',
  ])
    await writeFile(join(folder.path, name), name === 'ca.crt' ? '' : 'text');
  const namesIn = async () => (await readFolder(folder.path)).entries.map(({ name }) => name);
  assert.deepEqual(await namesIn(), ['a.test', 'b', 'tls']);
  await writeFile(join(folder.path, 'ca.crt'), '-----BEGIN PRIVATE KEY-----');
  await writeFile(join(folder.path, 'chain.key'), '-----BEGIN RSA PRIVATE KEY-----');
  assert.deepEqual(await namesIn(), ['a.test', 'b', 'ca', 'chain', 'tls']);
});
