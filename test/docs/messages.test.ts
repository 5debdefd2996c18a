import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { messages } from '../../src/report/messages.ts';

const root = new URL('../../', import.meta.url);

/** These say what there may be, and tell nothing. */
const about = ['src/report/messages.ts', 'src/report/happenings.ts', 'src/apply/driver-event.ts'];

const page = await readFile(new URL('../../docs/reference/messages.md', import.meta.url), 'utf8');

test('the reference lists every message with its level, words and how often it is told, explains it, and has no other', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\w+) \| (.+?) \| (.+?) \| (.+) \|$/gm)];
  assert.deepEqual(
    rows.map(([, kind, level, text, told]) => ({ kind, level, text, told })),
    Object.entries(messages).map(([kind, { level, text, told }]) => ({ kind, level, text, told })),
  );
  for (const [, kind, , , , meaning = ''] of rows) assert.match(meaning, /^\S.*\.$/, kind);
});

test('every message is told somewhere', () => {
  const files = globSync('src/**/*.ts', { cwd: root }).filter((file) => !about.includes(file));
  const code = files.map((file) => readFileSync(new URL(file, root), 'utf8')).join('\n');
  // Where the reporter hands on what it got, somebody else has to say it.
  const said = code.replaceAll(/^ *case '\w+':$/gm, '');
  assert.deepEqual(
    Object.keys(messages).filter((kind) => !said.includes(`'${kind}'`)),
    [],
  );
});

test('no message has the words of another one', () => {
  const texts = Object.values(messages).map(({ text }) => text);
  assert.deepEqual(
    texts.filter((text, at) => texts.some((other, place) => place !== at && other.includes(text))),
    [],
  );
});
