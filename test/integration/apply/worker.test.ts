/** A process is told of servers so that at no moment nobody is left, whatever became of what was planned. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from '../../../src/apply/runtime/worker.ts';
import { readInfo, readServersState } from '../../../src/haproxy/cli/info.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { resourceOf } from '../../../src/haproxy/resources/index.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Rendered, ServerCommand } from '../../../src/model.ts';
import { branches, type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { configOfWeb, startHaproxy } from '../../support/haproxy/process.ts';
import { tempFolder, until } from '../../support/index.ts';
import { addOf } from '../../support/values/plans.ts';

// 2.2 can neither add nor delete a server.

const [a, b] = ['a', 'b'].map((server) => ({ backend: 'web', server }) as const) as [Server, Server];
type Server = Pick<ServerCommand, 'backend' | 'server'>;

const ready = (it: Server): ServerCommand => ({ ...it, kind: 'server', action: 'ready' });
const remove = (it: Server): ServerCommand => ({ ...it, kind: 'server', action: 'remove', options: [] });
const returns = (it: Server): readonly ServerCommand[] => [
  { ...it, kind: 'server', action: 're-address', address: '127.0.0.1', port: 9 },
  { ...it, kind: 'server', action: 'weight', weight: 1 },
  ready(it),
];
const add = addOf(b);

for (const branch of branches.filter((each) => each !== '2.2')) {
  test(`HAProxy ${branch}: a server that was deleted before it could return is planned anew, and the other stays`, async () => {
    await using world = await start(branch);
    const { worker } = world;
    await applied(worker, [add, ready(b)]);
    await applied(worker, [remove(b)]);
    await until('it is deleted', async () => {
      await worker.reap(0);
      return worker.leaving.length === 0;
    });
    assert.deepEqual(await worker.applyCommands([...returns(b), remove(a)], none), { kind: 'superseded' });
    assert.deepEqual(await world.serving(), ['a']);
    await applied(worker, [add, ready(b), remove(a)]);
    assert.deepEqual(await world.serving(), ['b']);
  });

  test(`HAProxy ${branch}: nobody is taken out where those in its place did not come`, async () => {
    await using world = await start(branch);
    const { worker } = world;
    await applied(worker, [add, ready(b)]);
    await applied(worker, [remove(b)]);
    await ask(world.socket, ['del server web/b']);
    for (const takesOut of [remove(a), { ...a, kind: 'server', action: 'weight', weight: 0 } as const]) {
      const outcome = await worker.applyCommands([...returns(b), takesOut], none);
      assert.ok(outcome.kind === 'unexpected', outcome.kind);
      assert.deepEqual(
        outcome.replies.map(({ command, reply }) => `${resourceOf(command).describe(command)}: ${reply}`),
        ['re-address', 'weight', 'ready'].map((kind) => `${kind} b: No such server.`),
      );
      assert.deepEqual(await world.serving(), ['a']);
    }
  });

  test(`HAProxy ${branch}: what another process answers is credited to nobody`, async () => {
    await using leaving = await start(branch);
    await using other = await start(branch);
    let asked = leaving;
    const { pid, version } = await readInfo(leaving.socket);
    const asks = (line: string): Promise<string> => ask(asked.socket, [line]);
    const sections = splitSections(configOfWeb('', ['server a 127.0.0.1:9']), 'web');
    const worker = new Worker({ pid, version, started: null, running: { sections }, ask: asks, now: Date.now });
    const changed = splitSections(configOfWeb('', ['server a 127.0.0.1:9', 'server b 127.0.0.1:9']));
    await applied(worker, [{ ...a, kind: 'server', action: 'weight', weight: 2 }], { sections });
    asked = other;
    const outcome = await worker.applyCommands([add, ready(b)], { sections: changed });
    assert.ok(outcome.kind === 'failed', outcome.kind);
    assert.match(outcome.error.message, /answered in the place of/);
    assert.equal(worker.sections, sections);
    assert.deepEqual(await leaving.serving(), ['a']);
    await assert.rejects(worker.observe(['backend web']), /answered in the place of/);
    await assert.rejects(worker.checkAlive(), /answered in the place of/);
  });
}

const none = { sections: [] };

async function applied(worker: Worker, commands: readonly ServerCommand[], desired: Rendered = none): Promise<void> {
  const outcome = await worker.applyCommands(commands, desired);
  assert.equal(outcome.kind, 'applied', JSON.stringify(outcome));
}

async function start(branch: HaproxyBranch) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const config = configOfWeb(folder.path, ['server a 127.0.0.1:9']);
  const { socket } = stack.use(await startHaproxy(await haproxy(branch), folder.path, config));
  const { pid, version } = await readInfo(socket);
  const asks = (line: string): Promise<string> => ask(socket, [line]);
  const worker = new Worker({ pid, version, started: null, running: none, ask: asks, now: Date.now });
  const kept = stack.move();
  return {
    worker,
    socket,
    /** The servers that get new connections. */
    async serving(): Promise<readonly string[]> {
      const { rows } = await readServersState(socket);
      const isServing = (row: (typeof rows)[number]): boolean =>
        row.srv_admin_state === '0' && row.srv_op_state === '2' && row.srv_uweight !== '0';
      return rows.filter(isServing).map((row) => row.srv_name ?? '');
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
