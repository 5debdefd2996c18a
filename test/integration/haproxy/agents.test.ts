/** An agent beside a server says how much it takes; what Myelin has told a server to be, its agent does not undo. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { readServersState, type ServerStateRow } from '../../../src/haproxy/cli/info.ts';
import { silencedAgents } from '../../../src/haproxy/resources/servers/plan/planner.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';
import { branches, type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { configOfWeb, startHaproxy } from '../../support/haproxy/process.ts';
import { tempFolder, until } from '../../support/index.ts';
import { planChange } from '../../support/values/plans.ts';

// 2.2 cannot add a server.

for (const branch of branches.filter((each) => each !== '2.2')) {
  test(`HAProxy ${branch}: a removed server stays out whatever its agent says`, async () => {
    await using world = await start(branch, ['a', 'b']);
    world.agent.word = 'up ready 100%';
    await world.change(['b']);
    await world.agent.isAsked();
    assert.equal((await world.row('a')).srv_admin_state, '1');
  });

  test(`HAProxy ${branch}: a server that drains gets nothing however much its agent says that it takes`, async () => {
    await using world = await start(branch, ['a', 'b']);
    world.agent.word = '100%';
    await world.change(['a weight 0', 'b']);
    await world.agent.isAsked();
    assert.equal((await world.row('a')).srv_uweight, '0');
  });

  test(`HAProxy ${branch}: what an operator takes out stays out, and its agent is heard again afterwards`, async () => {
    await using world = await start(branch, ['a', 'b']);
    const it = { backend: 'web', server: 'a', hasAgent: true } as const;
    world.agent.word = 'up ready 100%';
    for (const [command, field, value] of [
      [{ ...it, kind: 'server', action: 'maint' }, 'srv_admin_state', '1'],
      [{ ...it, kind: 'server', action: 'weight', weight: 0 }, 'srv_uweight', '0'],
    ] as const) {
      assert.deepEqual(await world.haproxy.run([command]), [{ kind: 'done' }]);
      await world.agent.isAsked();
      assert.equal((await world.row('a'))[field], value);
    }
    assert.deepEqual(await world.haproxy.run([{ ...it, kind: 'server', action: 'ready' }]), [{ kind: 'done' }]);
    world.agent.word = 'down';
    await until('its agent is heard', async () => (await world.row('a')).srv_op_state === '0');
  });

  test(`HAProxy ${branch}: no agent brings back a server that the file takes out, once the process is told`, async () => {
    await using world = await start(branch, ['a weight 100 disabled', 'b']);
    world.agent.word = 'up ready 100%';
    // HAProxy by itself believes the agent.
    await until('it is back', async () => (Number((await world.row('a')).srv_admin_state) & 1) === 0);
    const told = silencedAgents({ sections: world.running });
    assert.equal(told.length, 1);
    await world.haproxy.run(told);
    await world.agent.isAsked();
    assert.equal(Number((await world.row('a')).srv_admin_state) & 1, 1);
  });

  test(`HAProxy ${branch}: an added server is up until its agent calls it down, as one of the file is`, async () => {
    await using world = await start(branch, ['a']);
    await world.change(['a', 'b']);
    assert.equal((await world.row('b')).srv_op_state, '2');
    await until('its agent is heard', async () => (await world.row('b')).srv_uweight === '75');
    assert.equal((await world.row('b')).srv_op_state, '2');
    world.agent.word = 'down';
    await until('it is down', async () => (await world.row('b')).srv_op_state === '0');
  });
}

async function start(branch: HaproxyBranch, names: readonly string[]) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const agent = stack.use(await startAgent());
  const backend = (servers: readonly string[]): readonly string[] => [
    'balance roundrobin',
    ...servers.map((server) => {
      const [name, weight = '100'] = server.split(' weight ');
      return `server ${name} 127.0.0.1:${agent.port} weight ${weight} agent-check agent-port ${agent.port} agent-inter 50ms`;
    }),
  ];
  const sections = (servers: readonly string[]): readonly Section[] =>
    splitSections(configOfWeb(folder.path, backend(servers)), 'web');
  const process = stack.use(
    await startHaproxy(await haproxy(branch), folder.path, configOfWeb(folder.path, backend(names))),
  );
  let running = sections(names);
  const kept = stack.move();
  return {
    agent,
    haproxy: process,
    running,
    async row(name: string): Promise<ServerStateRow> {
      const { rows } = await readServersState(process.socket);
      return rows.find(({ srv_name }) => srv_name === name) ?? assert.fail(`no server ${name}`);
    },
    /** By commands, as a plan says. */
    async change(servers: readonly string[]): Promise<void> {
      const wanted = sections(servers);
      const { capabilities } = process;
      const plan = planChange(running, wanted, { forced: [], capabilities, leaving: [], started: running });
      assert.ok(plan.kind === 'runtime', JSON.stringify(plan));
      const verdicts = await process.run(plan.commands);
      assert.ok(
        verdicts.every(({ kind }) => kind === 'done'),
        JSON.stringify(verdicts),
      );
      running = wanted;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Says of every server the same. */
async function startAgent() {
  let asked = 0;
  const state = { word: '75%' };
  const server = createServer((socket) => {
    asked += 1;
    socket.on('error', () => socket.destroy()).end(`${state.word}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return Object.assign(state, {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    /** So often that each server's would have been. */
    async isAsked(): Promise<void> {
      const before = asked;
      await until('the agent is asked', () => asked >= before + 20);
    },
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  });
}
