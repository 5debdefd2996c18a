import assert from 'node:assert/strict';
import test from 'node:test';
import { docsOf, type ErrorCode, errorCodes, exitCodes } from '../../src/errors.ts';
import { anchorsOf, page as pageAt } from './pages.ts';

const page = pageAt('docs/reference/errors.md').text;

const all = { ...errorCodes, MYELIN_UNEXPECTED: exitCodes.unexpected };

test('the reference of errors has a heading for every code, with its exit code and what to do, and no other', () => {
  const documented = [...page.matchAll(/^### (MYELIN_\w+)\n\n_Exit code (\d+)\._ \S/gm)].map(([, code, exit]) => [
    code,
    Number(exit),
  ]);
  assert.deepEqual(documented.toSorted(), Object.entries(all).sort());
  assert.equal(page.match(/^\*\*What to do\.\*\* [A-Z`]/gm)?.length, documented.length);
});

test('where an error points to in the documentation, there is the heading of its code', () => {
  for (const code of Object.keys(all) as ErrorCode[]) {
    const [path = '', anchor = ''] = docsOf(code).split('#');
    assert.ok(anchorsOf(pageAt(path)).has(anchor), code);
  }
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
