import assert from 'node:assert/strict';
import test from 'node:test';
import { pages } from './pages.ts';

/** Words that many readers of English as a second language do not know, or that say less than a plain one. */
const unusual = /\b(anew|amiss|whoever|whomever|heeds?|of (its|their) own accord|(is|are) told|gives? back)\b/i;

test('the pages are in plain words', () => {
  const found = pages
    .filter(({ path }) => !path.startsWith('deploy/'))
    .flatMap(({ path, text }) =>
      text
        .replaceAll(/\([^)\s]*\)/g, '()')
        .split('\n')
        .flatMap((line, at) => (unusual.test(line) ? [`${path}:${at + 1}: ${unusual.exec(line)?.[0]}`] : [])),
    );
  assert.deepEqual(found, []);
});
