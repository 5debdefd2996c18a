import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { errorCodes, exitCodes } from '../../src/errors.ts';

const page = await readFile(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8');

test('the reference of errors has every code with its exit code, and no other', () => {
  const documented = [...page.matchAll(/^\| `(MYELIN_\w+)` \| (\d+) \|/gm)].map(([, code, exit]) => [
    code,
    Number(exit),
  ]);
  assert.deepEqual(documented.toSorted(), Object.entries(errorCodes).sort());
});

test('the reference of errors has every exit code, and no other', () => {
  const documented = [...page.matchAll(/^\| (\d+) \|/gm)].map(([, exit]) => Number(exit));
  assert.deepEqual(
    documented,
    Object.values(exitCodes).toSorted((a, b) => a - b),
  );
});

test('every exit code but those of success and surprise belongs to an error, or says that changes are pending', () => {
  const used = new Set<number>([
    ...Object.values(errorCodes),
    exitCodes.ok,
    exitCodes.changesPending,
    exitCodes.notWell,
  ]);
  assert.deepEqual(
    Object.values(exitCodes).filter((exit) => !used.has(exit)),
    [],
  );
});
