/** The real HAProxy reads what the encoders write, and reads lines as our tokeniser does: byte for byte. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { tokenise } from '../../../src/haproxy/text/text.ts';
import { anywhere, logFormat, quote, word } from '../../../src/render/templates/encode.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';

/** One answer that HAProxy is told to give, and what it must be. */
type Case = { readonly directive: string; readonly expected: string };

const piece = fc.constantFrom(
  '\n',
  '\r',
  '\t',
  '\v',
  '\x01',
  '\x7f',
  ' ',
  '"',
  "'",
  '\\',
  '#',
  '$',
  '${HOME}',
  '$HOME',
  '%',
  '%%',
  '%[src]',
  '%[env(HOME)]',
  '{',
  '}',
  '{{x}}',
  ';',
  '&',
  '|',
  '`',
  '(',
  ')',
  ',',
  '-f',
  '--',
  '\\n',
  '\\x41',
  '\\"',
  'é',
  '日本',
  '\u00a0',
  '\u2028',
  'server evil 1.2.3.4:80',
  'a',
);
const hostile = fc.oneof(
  fc.array(piece, { minLength: 1, maxLength: 12 }).map((pieces) => pieces.join('')),
  fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 30 }).filter((text) => !text.includes('\0')),
);

test('hundreds of hostile texts come through every encoder unchanged', async () => {
  const texts = ["'x'\n    server evil 1.2.3.4:80 #'", '-', '"', '\\', '$', '%', ...fc.sample(hostile, 250)];
  await ask(
    texts.flatMap((text): Case[] => [
      { directive: `string ${word(text)}`, expected: text },
      { directive: `string ${quote(text)}`, expected: text },
      { directive: `lf-string ${logFormat(text)}`, expected: text },
      { directive: `lf-string ${anywhere(text)}`, expected: text },
      { directive: `lf-string "${anywhere(text)}"`, expected: text },
    ]),
  );
});

test('a line is read by HAProxy as it is by the tokeniser', async () => {
  const raw = fc
    .array(
      fc.constantFrom(
        'a',
        ' ',
        '"',
        "'",
        '\\',
        '\\\\',
        '\\x41',
        '\\x20',
        '\\n',
        '\\"',
        "\\'",
        '\\ ',
        '\\#',
        '\\$',
        '$',
        '#',
        '\t',
        'é',
        '{',
        '%',
      ),
      { minLength: 1, maxLength: 10 },
    )
    .map((pieces) => pieces.join(''));
  const readable = raw
    .map((text) => ({ text, line: tokenise(text) }))
    .filter(({ line: { words, isExact } }) => isExact && words.length === 1);
  await ask(
    fc.sample(readable, 400).map(({ text, line }) => ({ directive: `string ${text}`, expected: line.words[0] ?? '' })),
  );
});

/** Has a HAProxy give all the answers, and compares. */
async function ask(cases: readonly Case[]): Promise<void> {
  await using folder = await tempFolder();
  const port = await freePort();
  const file = join(folder.path, 'haproxy.cfg');
  const answer = 'http-request return status 200 content-type text/plain';
  await writeFile(
    file,
    [
      'defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s',
      `frontend in\n    bind 127.0.0.1:${port}\n    use_backend %[path,field(2,/)]`,
      ...cases.map(({ directive }, at) => `backend ${at}\n    ${answer} ${directive}`),
      '',
    ].join('\n'),
  );
  const child = spawn(await haproxy(), ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  const exited = once(child, 'exit');
  try {
    const get = async (at: number): Promise<Buffer> =>
      Buffer.from(await (await fetch(`http://127.0.0.1:${port}/${at}`)).arrayBuffer());
    await until('HAProxy answers', async () => {
      if (child.exitCode !== null) assert.fail(output);
      return (await get(0)).length > 0;
    });
    for (const [at, { directive, expected }] of cases.entries())
      assert.deepEqual(await get(at), Buffer.from(expected), JSON.stringify(directive));
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}
