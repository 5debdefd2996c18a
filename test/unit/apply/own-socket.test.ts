import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutPrefix } from '../../../src/apply/master/own-socket.ts';
import { frame } from '../../../src/haproxy/cli/framing.ts';
import { prefixOf } from '../../../src/haproxy/cli/master.ts';

test('what a master hands on to a worker is the same to the worker itself, without the prefix of each command', () => {
  const commands = ['set weight web/a 10', 'set map x @!42 y', 'set map x \\;@!42 z'];
  assert.equal(withoutPrefix(frame(commands, { prefix: prefixOf(42) }), 42), frame(commands));
});
