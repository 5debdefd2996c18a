import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatLine } from '../../../src/report/log-line.ts';

test('whatever the secret, no spelling of it is left, and the line is still JSON', () => {
  const secrets = fc.string({ unit: 'binary' }).map((_text) => `s"\${text}#`);
  fc.assert(
    fc.property(secrets, fc.json(), (secret, json) => {
      const texts = [`x${secret}y`, JSON.stringify({ secret }), `?token=${encodeURIComponent(secret.toWellFormed())}`];
      const line = JSON.stringify({ level: 'info', msg: texts[0], texts, deep: [{ [secret]: { secret } }], json });
      const style = { secrets: [secret], isColoured: false };
      const { msg, texts: masked, deep } = JSON.parse(formatLine(line, { ...style, format: 'json' }));
      assert.deepEqual(
        [msg, masked, deep],
        ['x***y', ['x***y', '{"secret":"***"}', '?token=***'], [{ '***': { secret: '***' } }]],
      );
      formatLine(line, { ...style, format: 'pretty' });
    }),
  );
});

test('a line for people has the time of day, the level, the message and the facts', () => {
  const line = JSON.stringify({
    level: 'info',
    time: '2026-01-02T03:04:05.678Z',
    app: 'myelin',
    kind: 'reload',
    service: 'web',
    watcher: 'consul',
    reasons: ['proxy_added'],
    text: 'two words',
    tookMs: 41,
    msg: 'reloaded HAProxy',
  });
  const style = { secrets: [], format: 'pretty' } as const;
  assert.equal(
    formatLine(line, { ...style, isColoured: false }),
    '03:04:05.678 INFO  reloaded HAProxy service=web watcher=consul reasons=["proxy_added"] text="two words" tookMs=41',
  );
  assert.match(formatLine(line, { ...style, isColoured: true }), /\u001b\[32mINFO \u001b\[39m reloaded/);
});

test('no control character of a name reaches the terminal', () => {
  const line = JSON.stringify({ level: 'info', time: '', msg: 'a\u001b[2Jb\nc', name: '\u009b2J\u2028\u202e' });
  const text = formatLine(line, { secrets: [], format: 'pretty', isColoured: false });
  assert.doesNotMatch(text, /[\p{Cc}\u2028\u202e]/u);
  assert.match(text, /a\\u001b\[2Jb\\u000ac name="\\u009b2J\\u2028\\u202e"/);
});
