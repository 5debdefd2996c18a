/** What is believed of one HAProxy process, without one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from '../../../src/apply/runtime/worker.ts';
import { parseVersion } from '../../../src/haproxy/binary/version.ts';
import type { Rendered, RuntimeCommand } from '../../../src/model.ts';

test('a process that hangs is missed after 5 s each time it is looked at, whatever else was asked before', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const asked: string[] = [];
  const ask = (line: string): Promise<string> => {
    asked.push(line);
    return new Promise(() => {});
  };
  const worker = new Worker({
    pid: 1,
    version: parseVersion('2.6.12') ?? assert.fail(),
    started: null,
    running: { sections: [] },
    ask,
    now: () => 0,
  });
  for (let look = 1; look <= 3; look++) {
    const missed = assert.rejects(worker.checkAlive(), {
      code: 'MYELIN_SOCKET_FAILED',
      message: 'HAProxy’s runtime API: no answer within 5000 ms',
    });
    t.mock.timers.tick(5000);
    await missed;
  }
  assert.equal(asked.length, 1, 'nothing is asked again before it is answered');
});

const shop = { backend: 'shop' } as const;
/** In any order: the resources know which comes first. */
const shopComes: readonly RuntimeCommand[] = [
  { kind: 'map', map: 'public.map', action: 'add', key: '*/shop/', value: 'shop' },
  { ...shop, kind: 'backend', action: 'publish' },
  {
    ...shop,
    kind: 'server',
    action: 'add',
    ...{ server: 'a', address: '192.0.2.1', port: 80, weight: 1, options: [] },
    checks: [],
    dynamicCookie: false,
  },
  { ...shop, kind: 'server', action: 'ready', server: 'a' },
  { ...shop, kind: 'backend', action: 'add', from: 'http-roundrobin' },
];

/** A HAProxy 3.4 that refuses what stands in `refused`, each with its reply, and notes the commands of each line. */
function startProcess(refused: Readonly<Record<string, string>> = {}) {
  const lines: (readonly string[])[] = [];
  const held = new Map<string, { readonly answer: Promise<void>; readonly reply: string }>();
  const done: Readonly<Record<string, string>> = {
    'add backend': 'New backend registered.',
    'add server': 'New server registered.',
    'publish backend': 'Backend published.',
  };
  const replyTo = (command: string): string => {
    const words = command.split(' ').slice(0, 2).join(' ');
    return refused[words] ?? held.get(command)?.reply ?? done[words] ?? '';
  };
  const info = 'Name: HAProxy\nVersion: 3.4.7\nPid: 1\nUptime_sec: 3\nStopping: 0\nStart_time_sec: 1795222433\n';
  const ask = async (line: string): Promise<string> => {
    const commands = line.split(';').filter((each) => each !== 'show cli level');
    lines.push(commands.slice(1));
    for (const command of commands) await held.get(command)?.answer;
    return [info, ...commands.slice(1).map(replyTo)].map((reply) => `${reply}\nadmin\n\n`).join('');
  };
  const version = parseVersion('3.4.7') ?? assert.fail();
  const worker = new Worker({ pid: 1, version, started: null, running: { sections: [] }, ask, now: () => 0 });
  return {
    worker,
    lines,
    /** Answers this command with that, once released. */
    hold(command: string, reply: string): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      held.set(command, { answer: promise, reply });
      return resolve;
    },
  };
}

const desired: Rendered = { sections: [] };

test('a backend comes with its servers in one go, and the route to it once all of that was answered', async () => {
  const { worker, lines } = startProcess();
  assert.equal((await worker.applyCommands(shopComes, desired)).kind, 'applied');
  assert.deepEqual(lines, [
    [
      'add backend shop from http-roundrobin',
      'add server shop/a 192.0.2.1:80 weight 1',
      'set server shop/a state ready',
      'publish backend shop',
    ],
    ['add map public.map */shop/ shop'],
  ]);
});

test('no route leads to a backend of which anything was refused, and what follows from a refusal is none of its own', async () => {
  const unknown = 'No such backend.';
  for (const [refused, replies] of [
    [{ 'publish backend': unknown }, [unknown]],
    [{ 'add server': 'Cannot alloc.', 'set server': 'No such server.' }, ['Cannot alloc.', 'No such server.']],
    [
      { 'add backend': 'no', 'add server': 'Unknown command', 'set server': unknown, 'publish backend': unknown },
      ['no'],
    ],
  ] as const) {
    const { worker, lines } = startProcess(refused);
    const outcome = await worker.applyCommands(shopComes, desired);
    assert.deepEqual(outcome.kind === 'unexpected' && outcome.replies.map(({ reply }) => reply), replies);
    assert.equal(lines.length, 1, 'the entry of the map is not sent');
    assert.equal(worker.capabilities.addServer, 'yes', 'nothing is learnt from what had to fail');
  }
});

test('a change does not wait for what is asked about leaving servers, and one that it brings back is not deleted', async () => {
  const { worker, lines, hold } = startProcess();
  const server = { ...shop, kind: 'server', server: 'a' } as const;
  const leaves = { ...server, action: 'remove', options: [] } as const;
  await worker.applyCommands([leaves], desired);
  const drainTimeoutMs = 0;
  const release = hold('show stat shop 6 -1', '# pxname,svname,scur,type\nshop,a,2,2\nshop,BACKEND,0,1');
  const reaped = worker.reap(drainTimeoutMs);
  assert.equal((await worker.applyCommands([{ ...server, action: 'ready' }], desired)).kind, 'applied');
  release();
  assert.deepEqual(await reaped, { closed: 0, unexpected: [] });
  assert.deepEqual(lines.at(-1), ['set server shop/a state ready'], 'nothing is closed');
});
