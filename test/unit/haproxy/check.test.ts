/** HAProxy's complaints, as its versions print them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAlerts } from '../../../src/haproxy/binary/check.ts';

test('alerts of 2.6 give message, file and line, without notices, warnings and summaries', () => {
  const output = [
    '[NOTICE]   (16672) : haproxy version is 2.6.12-1+deb12u4',
    "[ALERT]    (16672) : config : parsing [/run/bad.cfg:2] : unknown keyword 'bogus' in 'global' section",
    "[ALERT]    (16672) : config : [/run/bad.cfg:10] : 'server b/s' : invalid port '99999'",
    "[WARNING]  (16672) : config : missing timeouts for backend 'b'.",
    '   | While not properly invalid, you will certainly encounter various problems',
    "[ALERT]    (16672) : config : Proxy 'f': unable to find required default_backend: 'nope'.",
    '[ALERT]    (16672) : config : parsing [/run/bad.cfg:8]: Missing LF on last line, file might have been truncated at position 23.',
    '[ALERT]    (16672) : config : Error(s) found in configuration file : bad.cfg',
    '[ALERT]    (16672) : config : Fatal errors found in configuration.',
  ].join('\n');
  assert.deepEqual(parseAlerts(output), [
    { message: "unknown keyword 'bogus' in 'global' section", file: '/run/bad.cfg', line: 2 },
    { message: "'server b/s' : invalid port '99999'", file: '/run/bad.cfg', line: 10 },
    { message: "Proxy 'f': unable to find required default_backend: 'nope'." },
    {
      message: 'Missing LF on last line, file might have been truncated at position 23.',
      file: '/run/bad.cfg',
      line: 8,
    },
  ]);
});

test('of a long list of what HAProxy would take the beginning is told', () => {
  const known = Array.from({ length: 20 }, (_, at) => `'word-${at}'`).join(', ');
  const output = `[ALERT]    (1) : config : parsing [/f.cfg:2] : 'http-request' expects ${known}, but got 'wrod'. Did you mean 'word-1' maybe ?`;
  assert.equal(
    parseAlerts(output)[0]?.message,
    "'http-request' expects 'word-0', 'word-1', 'word-2' and 17 more, but got 'wrod'. Did you mean 'word-1' maybe ?",
  );
});

test('alerts of 2.2 carry a date, those of 3.2 no prefix, and both may go on over several lines', () => {
  assert.deepEqual(
    parseAlerts("[ALERT] 323/111428 (99) : parsing [a.cfg:3] : unknown keyword 'x' in 'listen' section"),
    [{ message: "unknown keyword 'x' in 'listen' section", file: 'a.cfg', line: 3 }],
  );
  assert.deepEqual(
    parseAlerts("[ALERT]    (7) : [a.cfg:12] : 'server b/s' : not\n   | that way\n[NOTICE]   (7) : bye\n   | not this"),
    [{ message: "'server b/s' : not that way", file: 'a.cfg', line: 12 }],
  );
});

test('a bind that fails at the start is told with its frontend', () => {
  const output =
    '[ALERT]    (1) : Binding [/run/b.cfg:12] for frontend web: cannot bind socket (Address already in use) for [0.0.0.0:80]\n' +
    '[ALERT]    (1) : [haproxy.main()] Some protocols failed to start their listeners! Exiting.\n';
  assert.deepEqual(parseAlerts(output), [
    {
      message: 'Binding for frontend web: cannot bind socket (Address already in use) for [0.0.0.0:80]',
      file: '/run/b.cfg',
      line: 12,
    },
  ]);
});
