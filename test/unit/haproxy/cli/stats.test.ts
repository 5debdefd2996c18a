import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readStats } from '../../../../src/haproxy/cli/stats.ts';

test('a cell of `show stat` with commas and quotes in it is one cell', () => {
  const reply = '# pxname,svname,last_chk,addr\nweb,web-1,"closed, ""by peer""",10.0.0.1:80\n';
  assert.deepEqual(readStats(reply, ['svname', 'last_chk', 'addr']), [['web-1', 'closed, "by peer"', '10.0.0.1:80']]);
});

test('what a health check met is read as HAProxy wrote it, whatever stands in it', () => {
  const cell = fc.string({ unit: 'grapheme-ascii' });
  fc.assert(
    fc.property(fc.array(cell, { minLength: 1, maxLength: 6 }), (cells) => {
      const names = cells.map((_, at) => `f${at}`);
      const line = cells.map((text) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(',');
      assert.deepEqual(readStats(`# ${names.join(',')}\n${line}`, names), [cells]);
    }),
  );
});

test('an answer without the wanted fields has no rows', () => {
  assert.deepEqual(readStats('No such proxy.', ['svname']), []);
  assert.deepEqual(readStats('# pxname,svname\nweb,web-1', ['svname', 'addr']), []);
});
