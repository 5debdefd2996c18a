/** Copies of what services name: made of what HAProxy took, and of nothing else. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { KeptFilesFolder } from '../../../src/apply/files/kept-files.ts';
import { namedFiles } from '../../../src/haproxy/text/named-files.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';
import { tempFolder } from '../../support/index.ts';

function fail(error: unknown): void {
  throw error;
}

async function place() {
  const folder = await tempFolder();
  const path = (name: string): string => `${folder.path}/${name}`;
  const sections = (...names: readonly string[]): readonly Section[] =>
    splitSections(`frontend web:in\n    bind :443 ssl${names.map((name) => ` crt ${path(name)}`).join('')}\n`, 'web');
  const open = () => KeptFilesFolder.open(path('state/files'), fail);
  return { path, sections, open, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

async function copyOf(files: KeptFilesFolder, sections: readonly Section[]): Promise<string> {
  const [copy] = namedFiles(files.withCopies(sections, 'web'));
  return readFile(copy?.path ?? '', 'utf8');
}

const taken = async (): Promise<boolean> => true;
const isTaken = (outcome: boolean): boolean => outcome;

test('what HAProxy took is kept, for Myelin alone, and is known again after a restart', async () => {
  await using my = await place();
  const sections = my.sections('a.pem');
  await writeFile(my.path('a.pem'), 'one');
  await writeFile(my.path('a.pem.key'), 'its key');
  const files = await my.open();
  assert.ok(files.lacksSome(sections));
  await files.during(sections, async () => false, isTaken);
  assert.ok(files.lacksSome(sections), 'what was refused is not kept');
  await files.during(sections, taken, isTaken);
  assert.ok(!files.lacksSome(sections));
  await writeFile(my.path('a.pem'), 'broken');
  const again = await my.open();
  assert.equal(await copyOf(again, sections), 'one');
  const [copy] = namedFiles(again.withCopies(sections, 'web'));
  assert.equal(await readFile(`${copy?.path}.key`, 'utf8'), 'its key');
  assert.equal((await stat(copy?.path ?? '')).mode & 0o777, 0o600);
  assert.equal((await stat(my.path('state/files'))).mode & 0o777, 0o700);
  assert.ok(again.areNamedBy(again.withCopies(sections, 'web')));
  assert.ok(!again.areNamedBy(sections));
});

test('a file that changes while HAProxy starts is not kept: nobody knows which of the two it read', async () => {
  await using my = await place();
  const sections = my.sections('a.pem');
  await writeFile(my.path('a.pem'), 'one');
  const files = await my.open();
  await files.during(sections, taken, isTaken);
  await writeFile(my.path('a.pem'), 'two');
  const change = async (): Promise<boolean> => {
    await writeFile(my.path('a.pem'), 'three');
    return true;
  };
  await files.during(sections, change, isTaken);
  assert.equal(await copyOf(files, sections), 'one', 'the copy from before stays');
  await files.during(sections, taken, isTaken);
  assert.equal(await copyOf(files, sections), 'three');
});

test('a copy stays as long as it is named, by its own path too, and no longer', async () => {
  await using my = await place();
  const sections = my.sections('a.pem');
  await writeFile(my.path('a.pem'), 'one');
  const files = await my.open();
  await files.during(sections, taken, isTaken);
  const copied = files.withCopies(sections, 'web');
  await writeFile(my.path('a.pem'), 'broken');
  await files.during(copied, taken, isTaken);
  assert.equal(await copyOf(await my.open(), copied), 'one');
  assert.equal(await copyOf(await my.open(), sections), 'one', 'and is found by the path that it was made from');
  await files.during([], taken, isTaken);
  assert.deepEqual(await readdir(my.path('state/files')), ['index.json']);
});

test('a folder of certificates is kept as a whole, and what is not there or cannot be read is not', async () => {
  await using my = await place();
  const sections = my.sections('certs', 'gone.pem');
  await mkdir(my.path('certs/..data'), { recursive: true });
  await writeFile(my.path('certs/a.pem'), 'a');
  await writeFile(my.path('certs/b.pem'), 'b');
  const files = await my.open();
  await files.during(sections, taken, isTaken);
  await rm(my.path('certs'), { recursive: true });
  const [copy, gone] = namedFiles(files.withCopies(sections, 'web'));
  assert.deepEqual((await readdir(copy?.path ?? '')).sort(), ['a.pem', 'b.pem']);
  assert.equal(gone?.path, my.path('gone.pem'));
});

test('what cannot be written down, or read again, is told and costs nothing else', async () => {
  await using my = await place();
  await writeFile(my.path('a.pem'), 'one');
  const told: string[] = [];
  const open = () => KeptFilesFolder.open(my.path('state/files'), (error) => told.push(String(error)));
  const files = await open();
  await writeFile(my.path('state'), 'a file in the place of the folder');
  assert.equal(await files.during(my.sections('a.pem'), taken, isTaken), true);
  await open();
  assert.match(told.join('\n'), /files cannot be written.*\n.*index\.json cannot be read/s);
});
