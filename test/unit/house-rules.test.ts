/** Rules of this house that no linter knows. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

test('no list is spread into the arguments of a call, where one of 125,000 overflows the stack', () => {
  const spread = /(\.(push|unshift|concat|splice|fromCharCode)|Math\.(min|max))\(((?![{[]).)*?\.\.\.(?!.*\[)/;
  const found = globSync('{src,watchers}/**/*.ts', { cwd: new URL('../..', import.meta.url) }).flatMap((path) =>
    readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
      .split('\n')
      .flatMap((line, at) => (spread.test(line) ? [`${path}:${at + 1}: ${line.trim()}`] : [])),
  );
  assert.deepEqual(found, []);
});
