/** Rules of this house that no linter knows. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const root = new URL('../..', import.meta.url);

test('no list is spread into the arguments of a call, where one of 125,000 overflows the stack', () => {
  const spread = /(\.(push|unshift|concat|splice|fromCharCode)|Math\.(min|max))\(((?![{[]).)*?\.\.\.(?!.*\[)/;
  const found = textsOf('{src,watchers}/**/*.{ts,tsx}').flatMap(([path, text]) =>
    text.split('\n').flatMap((line, at) => (spread.test(line) ? [`${path}:${at + 1}: ${line.trim()}`] : [])),
  );
  assert.deepEqual(found, []);
});

// A test within another one has that one's title above its own.
test('each title of a test names its subject: none begins with a pronoun for something that stands elsewhere', () => {
  const titles = /^ *test\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/gm;
  const pronoun =
    /^(it|its|they|their|he|his|both|these|those|such|others|another one|the others|the same (from|with|as|for|is|of)|(this|one) (that|who|whose|of|may|is|has|can))\b/;
  const found = textsOf('test/**/*.test.ts').flatMap(([path, text]) =>
    [...text.matchAll(titles)].flatMap(([, , title = '']) =>
      pronoun.test(title) || (!title.startsWith('${') && title.split(' ').length < 4) ? [`${path}: ${title}`] : [],
    ),
  );
  assert.deepEqual(found, []);
});

test('unit tests share values and models alone: what starts a server, a process or a load is for other tests', () => {
  const found = textsOf('test/unit/**/*.ts').flatMap(([path, text]) =>
    [...text.matchAll(/'(?:\.\.\/)+(servers|support)\/([^'/]+)[^']*'/g)].flatMap(([, where, part = '']) =>
      where === 'support' && ['index.ts', 'models', 'values'].includes(part) ? [] : [`${path}: ${where}/${part}`],
    ),
  );
  assert.deepEqual(found, []);
});

function textsOf(pattern: string): readonly (readonly [path: string, text: string])[] {
  return globSync(pattern, { cwd: root }).map((path) => [path, readFileSync(new URL(path, root), 'utf8')]);
}
