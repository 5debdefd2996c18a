import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notOurs } from '../../../src/haproxy/text/own-process.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';

test('`master-worker` is found whichever template prints it, unless an `.if` may leave it out or it is a comment', () => {
  const found = (text: string): readonly string[] => notOurs(splitSections(text)).map(({ message }) => message);
  assert.match(
    found('global\n    master-worker no-exit-on-failure\n').join(),
    /^global: `master-worker`: it makes HAProxy serve/,
  );
  for (const text of [
    'global\n    .if defined(X)\n    master-worker\n    .endif\n',
    'global\n    # master-worker\n    mworker-max-reloads 3\n',
    'backend b\n    http-request set-header x master-worker\n',
  ])
    assert.deepEqual(found(text), [], text);
});
