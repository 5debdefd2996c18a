import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { reloadCodes } from '../../src/model.ts';
import { reloadReasons } from '../../src/report/text/reload-reasons.ts';

const page = await readFile(new URL('../../docs/reference/reloads.md', import.meta.url), 'utf8');

test('the reference lists every reason for a reload with its words and what avoids it, and no other', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| (.+?) \| (.+) \|$/gm)].map(([, ...cells]) => cells);
  const told = reloadCodes.map((code) => [code, reloadReasons[code].words, reloadReasons[code].avoid]);
  assert.deepEqual(rows, told);
});
