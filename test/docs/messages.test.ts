import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { messages } from '../../src/report/messages.ts';

const page = await readFile(new URL('../../docs/reference/messages.md', import.meta.url), 'utf8');

test('the reference lists every message with its level, words and how often it is told, explains it, and has no other', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\w+) \| (.+?) \| (.+?) \| (.+) \|$/gm)];
  assert.deepEqual(
    rows.map(([, kind, level, text, told]) => ({ kind, level, text, told })),
    Object.entries(messages).map(([kind, { level, text, told }]) => ({ kind, level, text, told })),
  );
  for (const [, kind, , , , meaning = ''] of rows) assert.match(meaning, /^\S.*\.$/, kind);
});

test('no message has the words of another one', () => {
  const texts = Object.values(messages).map(({ text }) => text);
  assert.deepEqual(
    texts.filter((text, at) => texts.some((other, place) => place !== at && other.includes(text))),
    [],
  );
});
