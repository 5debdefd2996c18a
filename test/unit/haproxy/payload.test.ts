/** Texts of several lines that commands carry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { frame } from '../../../src/haproxy/cli/framing.ts';
import { maxPayloadBytes } from '../../../src/haproxy/cli/line-limit.ts';
import {
  isPayload,
  promptsAfter,
  withoutPayload,
  withoutPayloadPrompts,
  withPayload,
} from '../../../src/haproxy/cli/payload.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';

const set = withPayload('set ssl cert a.pem', 'one\ntwo\n');

test('a payload has whole lines, none of them empty, and opens no other', () => {
  for (const text of [
    '',
    '\n',
    'a',
    'a\n\nb\n',
    'a\n \nb\n',
    '\na\n',
    'a\n\n',
    'a <<\nb\n',
    'a\r\nb\n',
    'ä\n',
    'a\0\n',
  ]) {
    assert.equal(isPayload(text), false, JSON.stringify(text));
    assert.throws(() => withPayload('set ssl cert a.pem', text), TypeError);
  }
  assert.ok(isPayload('-----BEGIN X-----\nAA==\n-----END X-----\n'));
});

test('the commands behind a payload stand on the next line, each with the prefix', () => {
  assert.equal(
    frame([set, 'commit ssl cert a.pem'], { prefix: '@1 ' }),
    '@1 show info;@1 show cli level;@1 set ssl cert a.pem <<\none\ntwo\n\n@1 show cli level;@1 commit ssl cert a.pem;@1 show cli level',
  );
});

test('HAProxy answers each command with a prompt, or each line, and a payload with none', () => {
  const query = frame([set, 'commit ssl cert a\\;b.pem', set]);
  assert.equal(promptsAfter(query, true), 8);
  assert.equal(promptsAfter(query, false), 3);
  assert.equal(promptsAfter('show info', false), 1);
  fc.assert(
    fc.property(fc.array(fc.constantFrom('show info', set)), (commands) => {
      assert.equal(promptsAfter(frame(commands), true), 2 * (1 + commands.length));
      assert.equal(promptsAfter(frame(commands), false), 1 + commands.filter((command) => command === set).length);
    }),
  );
});

test('what answers the lines of a payload is no part of the reply', () => {
  assert.equal(
    withoutPayloadPrompts(frame([set]), 'admin\n\n+ + + Transaction created'),
    'admin\n\nTransaction created',
  );
  assert.equal(withoutPayloadPrompts('show map x', '+ a'), '+ a');
});

test('a command is shown without its payload, which may hold a key', () => {
  assert.equal(withoutPayload(set), 'set ssl cert a.pem <<');
  assert.equal(withoutPayload('show info'), 'show info');
});

test('a payload takes what every command line takes, and less where the config says so', () => {
  const limit = (...global: readonly string[]): number =>
    maxPayloadBytes(splitSections(`global\n${global.map((line) => `    ${line}\n`).join('')}`));
  assert.deepEqual([limit(), limit('tune.bufsize 8192'), limit('tune.bufsize 64k')], [12_000, 6144, 12_000]);
});
