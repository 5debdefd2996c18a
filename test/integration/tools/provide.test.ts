/** `npm test -- FILE` waits for no server that the file does not need, and for each that it does. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { test } from 'node:test';
import { serversOf } from '../../tools/provide.ts';

const folder = resolve(import.meta.dirname, '../..');
const namesOf = (...files: readonly string[]): readonly string[] =>
  serversOf(files.map((file) => resolve(folder, file))).map((path) => basename(path, '.ts'));

test('a unit test needs no server', () => {
  assert.deepEqual(namesOf(...globSync('unit/**/*.test.ts', { cwd: folder })), []);
});

test('a test needs the servers that what it imports does, and of a module of which it takes types alone it needs none', () => {
  const needed = namesOf('deploy/chart.test.ts');
  assert.ok(needed.includes('helm'), `${needed}`);
  assert.ok(!needed.includes('kubernetes'), `${needed}`);
});

test('a test needs the servers of the programs that it runs', () => {
  const needed = namesOf('e2e/heavy/benchmarks.test.ts');
  for (const name of ['consul', 'consul-template', 'haproxy', 'kubernetes', 'load'])
    assert.ok(needed.includes(name), `${name}: ${needed}`);
});
