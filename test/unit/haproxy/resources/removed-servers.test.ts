/** When a removed server is deleted, closed or left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frame } from '../../../../src/haproxy/cli/framing.ts';
import { RemovedServers } from '../../../../src/haproxy/resources/servers/removed-servers.ts';
import type { ServerCommand } from '../../../../src/model.ts';

const done = { kind: 'done' } as const;
const limits = { drainTimeoutMs: 60_000, prefix: '' };
const deletes = { deleteServer: 'any' } as const;
const remove: ServerCommand = { backend: 'web', server: 'a', kind: 'server', action: 'remove', options: ['check'] };
const erase: ServerCommand = { backend: 'web', server: 'a', kind: 'server', action: 'delete' };

/** A HAProxy that says how many connections each server has, and the backend. */
function haproxy(sessions: Readonly<Record<string, number>>, ofBackend = 0) {
  return async (line: string): Promise<string> => {
    assert.equal(line, frame(['show stat web 6 -1']));
    const rows = Object.entries(sessions).map(([server, current]) => `web,${server},0,0,${current},2\n`);
    rows.unshift(`web,BACKEND,0,0,${ofBackend},1\n`);
    return `Version: 2.6.12\nPid: 1\n\nadmin\n# pxname,svname,qcur,qmax,scur,type\n${rows.join('')}\nadmin\n`;
  };
}

function removedServers(): { removedServers: RemovedServers; pass: (ms: number) => void } {
  let now = 0;
  return {
    removedServers: new RemovedServers(() => now),
    pass(ms) {
      now += ms;
    },
  };
}

test('a server that is idle for a second is deleted, and not before', async () => {
  const { removedServers: all, pass } = removedServers();
  all.note(remove, done, deletes);
  assert.deepEqual(
    all.list.map(({ server, options }) => [server, ...options]),
    [['a', 'check']],
  );
  assert.deepEqual((await all.look(haproxy({ a: 2 }), limits))().commands, []);
  pass(5000);
  assert.deepEqual((await all.look(haproxy({ a: 0 }), limits))().commands, []);
  pass(1000);
  assert.deepEqual((await all.look(haproxy({ a: 0 }), limits))().commands, [erase]);
  all.note(erase, done, deletes);
  assert.deepEqual(all.list, []);
  assert.equal(all.isDue, false);
});

test('the servers of a removed backend serve until it is idle, or for drainTimeout, then close what is left', async () => {
  const { removedServers: all, pass } = removedServers();
  const server = { kind: 'server', backend: 'web', server: 'a', options: ['check'], isServing: true } as const;
  const unpublish = { kind: 'backend', action: 'unpublish', backend: 'web', from: 'x', serving: [server] } as const;
  all.note(unpublish, done, deletes);
  assert.deepEqual(all.toRecord, [server]);
  assert.deepEqual((await all.look(haproxy({ a: 0 }, 1), limits))().commands, [], 'one waits for a server');
  assert.deepEqual((await all.look(haproxy({ a: 0 }, 0), limits))().commands, [remove]);
  pass(60_000);
  assert.deepEqual((await all.look(haproxy({ a: 1 }, 2), limits))().commands, [remove]);
  all.note(remove, done, deletes);
  const { commands, closed } = (await all.look(haproxy({ a: 1 }, 1), limits))();
  assert.deepEqual([commands.map((command) => 'action' in command && command.action), closed], [['shutdown'], 1]);

  const next = removedServers().removedServers;
  next.recall([{ kind: 'backend', backend: 'web', from: 'x' }, server]);
  assert.deepEqual(
    next.list.map(({ isServing }) => isServing),
    [true],
    'nobody reads a removed backend back',
  );
});

test('a server serves until the removed frontends before it have no connection, where HAProxy shows them', async () => {
  const { removedServers: all, pass } = removedServers();
  const server = { kind: 'server', backend: 'web', server: 'a', options: [], isServing: true } as const;
  const its = { ...server, frontends: ['web:in'] };
  all.note({ kind: 'backend', action: 'retire', backend: 'web', frontends: ['web:in'], serving: [its] }, done, deletes);
  assert.deepEqual(all.toRecord, [its]);
  const says = (current: string) => async (line: string) => {
    assert.equal(line, frame(['show stat web 6 -1', 'show stat web:in 1 -1']));
    const header = '# pxname,svname,qcur,qmax,scur,type\n';
    const backend = `${header}web,BACKEND,0,0,0,1\nweb,a,0,0,0,2\n`;
    return `Version: 2.6.12\nPid: 1\n\nadmin\n${backend}\nadmin\n${header}${current}\nadmin\n`;
  };
  assert.deepEqual((await all.look(says('web:in,FRONTEND,,,1,0\n'), limits))().commands, []);
  assert.equal((await all.look(says('web:in,FRONTEND,,,0,0\n'), limits))().commands.length, 1);
  assert.deepEqual((await all.look(says(''), limits))().commands, [], 'not shown');
  pass(60_000);
  assert.equal((await all.look(says(''), limits))().commands.length, 1, 'not for longer than drainTimeout');
});

test('of a server that a Myelin before this one removed the recorded options hold, until it is added anew', () => {
  const { removedServers: all } = removedServers();
  const found = (server: string) => ({ kind: 'server', backend: 'web', server, options: ['?'] }) as const;
  all.recall(['a', 'b'].map((server) => ({ ...found(server), options: ['check', server] })));
  assert.deepEqual(all.list, [], 'whether they are there is not known');
  assert.equal(all.toRecord.length, 2);
  all.note(
    {
      backend: 'web',
      server: 'b',
      kind: 'server',
      action: 'add',
      address: '10.0.0.2',
      port: 80,
      weight: 1,
      options: [],
      checks: [],
      dynamicCookie: false,
    },
    done,
    deletes,
  );
  for (const server of ['a', 'b', 'c']) all.found(found(server));
  const expected = [
    ['a', 'check', 'a'],
    ['b', '?'],
    ['c', '?'],
  ];
  assert.deepEqual(
    all.list.map(({ server, options }) => [server, ...options]),
    expected,
  );
  assert.deepEqual(
    all.toRecord.map(({ server, options }) => [server, ...options]),
    expected,
  );
});

test('a removed server that has connections again when it is to be deleted is waited for', async () => {
  const { removedServers: all, pass } = removedServers();
  all.note(remove, done, deletes);
  (await all.look(haproxy({ a: 0 }), limits))();
  pass(1000);
  (await all.look(haproxy({ a: 0 }), limits))();
  all.note(erase, { kind: 'busy' }, deletes);
  pass(1000);
  assert.deepEqual((await all.look(haproxy({ a: 0 }), limits))().commands, [], 'its second begins anew');
});

test('what a removed server still has after drainTimeout is closed, and counted', async () => {
  const { removedServers: all, pass } = removedServers();
  all.note(remove, done, deletes);
  pass(59_999);
  assert.equal((await all.look(haproxy({ a: 3 }), limits))().closed, 0);
  pass(1);
  const { commands, closed } = (await all.look(haproxy({ a: 3 }), limits))();
  assert.deepEqual([commands, closed], [[{ kind: 'server', action: 'shutdown', backend: 'web', server: 'a' }], 3]);
});

test('a removed server that cannot be deleted stays in maintenance, and nobody asks for it any more once it is idle', async () => {
  const { removedServers: all, pass } = removedServers();
  all.note(remove, done, { deleteServer: 'no' });
  (await all.look(haproxy({ a: 0 }), limits))();
  pass(10_000);
  assert.equal(all.isDue, false);
  assert.equal(all.list.length, 1, 'its name may come back');

  const pinned = removedServers();
  pinned.removedServers.note(remove, done, deletes);
  (await pinned.removedServers.look(haproxy({ a: 0 }), limits))();
  pinned.removedServers.note(erase, { kind: 'pinned' }, deletes);
  pinned.pass(10_000);
  assert.equal(pinned.removedServers.isDue, false);
});

test('a removed server that comes back is not leaving, and one that is gone already is forgotten', async () => {
  const { removedServers: all } = removedServers();
  all.note(remove, done, deletes);
  all.note({ backend: 'web', server: 'a', kind: 'server', action: 'ready' }, done, deletes);
  assert.deepEqual(all.list, []);
  all.note(remove, done, deletes);
  (await all.look(haproxy({}), limits))();
  assert.deepEqual(all.list, []);
});

test('what is said of a server that comes back, or leaves once more, before it is decided on counts no more', async () => {
  const { removedServers: all, pass } = removedServers();
  all.note(remove, done, deletes);
  (await all.look(haproxy({ a: 0 }), limits))();
  pass(1000);
  const decide = await all.look(haproxy({ a: 0 }), limits);
  all.note({ backend: 'web', server: 'a', kind: 'server', action: 'ready' }, done, deletes);
  assert.deepEqual(decide().commands, []);
  all.note(remove, done, deletes);
  assert.deepEqual(decide().commands, []);
  assert.equal(all.list.length, 1);
});

test('a removal that did not succeed makes nothing leave', () => {
  const { removedServers: all } = removedServers();
  all.note(remove, { kind: 'unexpected', command: remove, reply: 'no' }, deletes);
  assert.deepEqual(all.list, []);
});

test('HAProxy is asked once a second at most', async () => {
  const { removedServers: all, pass } = removedServers();
  assert.equal(all.isDue, false);
  all.note(remove, done, deletes);
  assert.equal(all.isDue, true);
  (await all.look(haproxy({ a: 1 }), limits))();
  assert.equal(all.isDue, false);
  pass(1000);
  assert.equal(all.isDue, true);
});
