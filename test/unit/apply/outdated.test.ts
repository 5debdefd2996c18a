/** Why a HAProxy that serves what is wanted is to be replaced all the same. */
import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Outdated } from '../../../src/apply/process/outdated.ts';
import { type Serving, serving } from '../../../src/apply/process/serving.ts';
import { generationAt } from '../../../src/apply/state/generation.ts';
import { parseVersion } from '../../../src/haproxy/binary/version.ts';
import { tempFolder } from '../../support/index.ts';

const binary = { path: '/usr/sbin/haproxy', inode: 1, mtimeMs: 2, size: 3 };

test('Outdated: another executable is news once, and a reason for as long as it is another', () => {
  const outdated = new Outdated();
  const current = servingFrom('/nowhere', 1);
  assert.equal(outdated.compareBinary(current, binary), false);
  assert.equal(outdated.compareBinary(current, { ...binary, inode: 9 }), true);
  assert.equal(outdated.compareBinary(current, { ...binary, inode: 9 }), false);
  assert.deepEqual(outdated.reasons(current), [{ code: 'binary_changed' }]);
  outdated.compareBinary(current, binary);
  assert.deepEqual(outdated.reasons(current), []);
});

test('Outdated: a socket that was removed is a reason where another process can take over from it', async () => {
  await using place = await tempFolder();
  const outdated = new Outdated();
  const current = servingFrom(place.path, 1);
  const handedOn = join(place.path, 'kept');
  assert.equal(await outdated.losesSocket(current, handedOn), false, 'nothing can be handed over');
  await writeFile(handedOn, '');
  assert.equal(await outdated.losesSocket(current, handedOn), true);
  assert.equal(await outdated.losesSocket(current, handedOn), false);
  assert.deepEqual(outdated.reasons(current), [{ code: 'socket_removed', detail: current.generation.socket }]);
  await mkdir(current.generation.folder, { recursive: true });
  await writeFile(current.generation.socket, '');
  assert.equal(await outdated.losesSocket(current, handedOn), false);
  assert.deepEqual(outdated.reasons(current), []);
  await rm(place.path, { recursive: true });
});

test('Outdated: what was so of one process says nothing of the next', () => {
  const outdated = new Outdated();
  const [first, next] = [servingFrom('/nowhere', 1), servingFrom('/nowhere', 2)];
  outdated.compareBinary(first, { ...binary, inode: 9 });
  assert.deepEqual(outdated.reasons(next), []);
  assert.equal(outdated.compareBinary(next, { ...binary, inode: 9 }), true);
});

function servingFrom(root: string, number: number): Serving {
  return serving(
    generationAt(root, number),
    { pid: 4_000_000 + number, startTime: '1' },
    {
      sections: [],
      started: null,
      version: parseVersion('2.6.12') ?? assert.fail(),
      binary,
      since: 0,
      now: () => 0,
    },
  );
}
