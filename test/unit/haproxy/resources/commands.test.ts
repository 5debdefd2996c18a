/** Runtime commands as HAProxy wants them said, and its answers taken apart. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { capabilitiesOf } from '../../../../src/haproxy/binary/capabilities.ts';
import { maxLineBytes } from '../../../../src/haproxy/cli/line-limit.ts';
import { cliWord, isCliWord } from '../../../../src/haproxy/cli/words.ts';
import { readBatch, toBatches } from '../../../../src/haproxy/resources/batch.ts';
import { classify, say } from '../../../../src/haproxy/resources/servers/commands.ts';
import { splitSections } from '../../../../src/haproxy/text/text.ts';
import type { ServerCommand } from '../../../../src/model.ts';
import { version } from '../../../support/values/render.ts';

const capabilities = capabilitiesOf(version('3.0.11'));
const it = { backend: 'web', server: 'a' } as const;
const done = { kind: 'done' } as const;
const add: ServerCommand = {
  ...it,
  kind: 'server',
  action: 'add',
  address: '10.0.0.1',
  port: 80,
  weight: 5,
  options: ['check', 'sni', 'str(a b)', 'id', '1073741824'],
  checks: ['health'],
  dynamicCookie: false,
};
const info = 'Name: HAProxy\nVersion: 3.0.11\nPid: 17\nUptime_sec: 3\nStopping: 0\nStart_time_sec: 1795222433\n\n';
const mark = 'admin\n\n';

test('each command is said in the words of the command line', () => {
  const lines: readonly (readonly [ServerCommand, readonly string[]])[] = [
    [add, ['add server web/a 10.0.0.1:80 weight 5 check sni str(a\\ b) id 1073741824', 'enable health web/a']],
    [
      { ...add, address: '2001:db8::1', options: [], checks: ['health', 'agent'], dynamicCookie: true },
      [
        'add server web/a [2001:db8::1]:80 weight 5',
        'enable health web/a',
        'enable agent web/a',
        'set server web/a agent up',
        'enable dynamic-cookie backend web',
      ],
    ],
    [{ ...it, kind: 'server', action: 're-address', address: '::1', port: 81 }, ['set server web/a addr ::1 port 81']],
    [
      { ...it, kind: 'server', action: 're-address', address: '10.0.0.2', port: 81, isChecked: true },
      ['set server web/a addr 10.0.0.2 port 81', 'set server web/a health up'],
    ],
    [{ ...it, kind: 'server', action: 'weight', weight: 0 }, ['set server web/a weight 0']],
    [{ ...it, kind: 'server', action: 'ready' }, ['set server web/a state ready']],
    [{ ...it, kind: 'server', action: 'maint' }, ['set server web/a state maint']],
    [{ ...it, kind: 'server', action: 'remove', options: ['check'] }, ['set server web/a state maint']],
    [{ ...it, kind: 'server', action: 'shutdown' }, ['shutdown sessions server web/a']],
    [{ ...it, kind: 'server', action: 'delete' }, ['del server web/a']],
  ];
  const hasAgent = true;
  const withAgent: readonly (readonly [ServerCommand, readonly string[]])[] = [
    [
      { ...it, kind: 'server', action: 'weight', weight: 0, hasAgent },
      ['disable agent web/a', 'set server web/a weight 0'],
    ],
    [{ ...it, kind: 'server', action: 'ready', hasAgent }, ['set server web/a state ready', 'enable agent web/a']],
    [{ ...it, kind: 'server', action: 'maint', hasAgent }, ['disable agent web/a', 'set server web/a state maint']],
    [
      { ...it, kind: 'server', action: 'remove', options: [], hasAgent },
      ['disable agent web/a', 'set server web/a state maint'],
    ],
  ];
  for (const [command, expected] of [...lines, ...withAgent]) assert.deepEqual(say(command), expected);
});

test('no value adds a command, a line or a payload', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      if (!isCliWord(text)) return assert.throws(() => cliWord(text), TypeError);
      const word = cliWord(text);
      assert.doesNotMatch(word.replace(/\\./gs, ''), /[ ;\\\n\r]/);
      assert.equal(word.replace(/\\(.)/gs, '$1'), text);
    }),
  );
  for (const bad of ['', 'a\nb', '\0', '<<', 'x<<', '<<x', '\x7f']) assert.ok(!isCliWord(bad), bad);
  assert.throws(() => say({ ...it, kind: 'server', action: 're-address', address: '10.0.0.1', port: 70_000 }), /70000/);
  assert.throws(() => say({ ...it, kind: 'server', action: 'weight', weight: 257 }), /257/);
});

test('an answer that is not known to be good is unexpected', () => {
  const cases: readonly (readonly [ServerCommand, readonly string[], ReturnType<typeof classify>['kind']])[] = [
    [add, ['New server registered.', ''], 'done'],
    [add, ['a warning\nNew server registered.', ''], 'done'],
    [add, ['New server registered.', 'No such server.'], 'unexpected'],
    [add, ['New server registered.'], 'unexpected'],
    [
      { ...it, kind: 'server', action: 'weight', weight: 1 },
      ['Backend is using a static LB algorithm …'],
      'unexpected',
    ],
    [{ ...it, kind: 'server', action: 'ready' }, ['Permission denied'], 'unexpected'],
    [{ ...it, kind: 'server', action: 'ready' }, [], 'unexpected'],
    [{ ...it, kind: 'server', action: 're-address', address: '::1', port: 1 }, ["Invalid addr '::1'"], 'unexpected'],
    [{ ...it, kind: 'server', action: 're-address', address: '::1', port: 1 }, [''], 'unexpected'],
    [{ ...it, kind: 'server', action: 're-address', address: '::1', port: 1 }, ['nothing changed'], 'done'],
    [
      { ...it, kind: 'server', action: 're-address', address: '::1', port: 1 },
      ["no need to change the addr, port changed from '1' to '2' by 'stats socket command'"],
      'done',
    ],
    [{ ...it, kind: 'server', action: 'remove', options: [] }, ['No such server.'], 'done'],
    [
      { ...it, kind: 'server', action: 'delete' },
      ['Server still has connections attached to it, cannot remove it.'],
      'busy',
    ],
    [
      { ...it, kind: 'server', action: 'delete' },
      ['This server cannot be removed at runtime due to other configuration elements pointing to it.'],
      'pinned',
    ],
    [{ ...it, kind: 'server', action: 'delete' }, ['Only servers in maintenance mode can be deleted.'], 'unexpected'],
  ];
  for (const [command, replies, kind] of cases) assert.equal(classify(command, replies).kind, kind, replies.join());
});

test('a batch says who answers and what became of each command', () => {
  const commands: readonly ServerCommand[] = [
    { ...it, kind: 'server', action: 'weight', weight: 1 },
    add,
    { ...it, kind: 'server', action: 'ready' },
  ];
  const [batch, ...others] = toBatches(commands, { capabilities });
  assert.ok(batch !== undefined && others.length === 0);
  assert.match(batch.line, /^show info;show cli level;set server web\/a weight 1;.*state ready;show cli level$/);
  const answer = [info, '\n', 'New server registered.\n', '\n', 'No such server.\n\n', ''].join(mark);
  const { from, verdicts } = readBatch(batch, answer, { capabilities });
  assert.deepEqual([from?.pid, from?.startTimeSec, from?.stopping], [17, 1_795_222_433, false]);
  assert.deepEqual(verdicts, [done, done, { kind: 'unexpected', command: commands[2], reply: 'No such server.' }]);
});

test('an answer that is cut short proves nothing of what is missing', () => {
  const commands: readonly ServerCommand[] = [
    { ...it, kind: 'server', action: 'weight', weight: 1 },
    { ...it, kind: 'server', action: 'ready' },
  ];
  const [batch] = toBatches(commands, { capabilities });
  assert.ok(batch);
  const whole = [info, '\n', '\n', ''].join(mark);
  assert.deepEqual(readBatch(batch, whole, { capabilities }).verdicts, [done, done]);
  for (let length = 0; length < whole.length - mark.length + 1; length++) {
    const { from, verdicts } = readBatch(batch, whole.slice(0, length), { capabilities });
    assert.notDeepEqual(verdicts, [done, done], `${length}`);
    assert.equal(from === null, length < info.length + 'admin\n'.length, `${length}`);
  }
  assert.equal(readBatch(batch, 'Permission denied\n\n', { capabilities }).from, null);
});

test('lines stay small, hold whole commands in their order, and never end in a semicolon', () => {
  const command = fc.constantFrom<ServerCommand>(
    add,
    { ...add, options: ['sni', `str(${'x'.repeat(3000)})`] },
    { ...it, kind: 'server', action: 'ready' },
    { ...it, kind: 'server', action: 're-address', address: '::1', port: 1 },
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 300 }), fc.constantFrom('', '@1 '), (commands, prefix) => {
      const batches = toBatches(commands, { capabilities, prefix });
      assert.deepEqual(
        batches.flatMap((batch) => batch.items),
        commands,
      );
      for (const { line } of batches) {
        assert.ok(Buffer.byteLength(line) <= 8000 && !line.endsWith(';') && !line.includes('\n'));
        for (const part of line.split(';')) assert.ok(part.startsWith(prefix), part);
      }
    }),
  );
});

test('where adding is experimental, each line that may add says so first', () => {
  const old = capabilitiesOf(version('2.5.14'));
  const [batch] = toBatches([add], { capabilities: old });
  assert.ok(batch);
  assert.match(batch.line, /^show info;show cli level;experimental-mode on;show cli level;add server /);
  const answer = [info, '\n', 'New server registered.\n', '\n', ''].join(mark);
  assert.deepEqual(readBatch(batch, answer, { capabilities: old }).verdicts, [done]);
});

test('a line takes half of a buffer, and no more than is worth it', () => {
  const limit = (...global: readonly string[]): number =>
    maxLineBytes(splitSections(`defaults\n${global.map((line) => `global\n    ${line}\n`).join('')}`));
  assert.equal(limit(), 8000);
  assert.equal(limit('tune.bufsize 32768'), 8000);
  assert.equal(limit('tune.bufsize 4096 # small'), 2048);
  assert.equal(limit('tune.bufsize 4096', 'tune.bufsize 1024'), 512);
  assert.equal(limit('# tune.bufsize 4096'), 8000);
});
