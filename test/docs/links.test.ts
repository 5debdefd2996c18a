import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import test from 'node:test';
import { anchorsOf, linksOf, page, pages } from './pages.ts';

const root = resolve(import.meta.dirname, '../..');

test('each link of a page leads to a file that is there, and to a heading in it', () => {
  const broken = pages.flatMap((from) =>
    linksOf(from).flatMap(({ path, anchor }) => {
      if (!existsSync(resolve(root, path))) return [`${from.path}: there is no ${path}`];
      return anchor === null || anchorsOf(page(path)).has(anchor) ? [] : [`${from.path}: ${path} has no #${anchor}`];
    }),
  );
  assert.deepEqual(broken, []);
});

test('the index leads to every other page of the documentation', () => {
  const index = page('docs/README.md');
  const linked = linksOf(index).map(({ path }) => path);
  assert.deepEqual(
    pages
      .map(({ path }) => path)
      .filter((path) => path.startsWith('docs/') && path !== index.path && !linked.includes(path)),
    [],
  );
});
