/** Health survives a reload: what was down stays down until its checks say otherwise, and nothing else is carried over. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedDriver } from '../../../src/apply/driver.ts';
import { readServersState } from '../../../src/haproxy/cli/info.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Rendered } from '../../../src/model.ts';
import { type Backend, startBackends, startNodeBackend } from '../../servers/backend.ts';
import {
  applied,
  never,
  reload,
  rendered as renderedWith,
  type Setup,
  setup,
  type Web,
} from '../../support/haproxy/apply.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { get } from '../../support/load/requests.ts';

const checks = ['option httpchk GET /health', 'balance roundrobin'];
const fast = 'check inter 100ms fall 2 rise 2';
/** Otherwise HAProxy spreads the first checks over the longest interval. */
const soon = ['max-spread-checks 50'];
/** So slow that within a test only what was carried over counts. */
const slow = 'check inter 20s fall 2 rise 1';

test('a server that its checks marked down gets no request in 20 reloads', async () => {
  await using world = await start();
  const { my, control, port, good, sick } = world;
  await sick.setHealthy(false);
  const config = (options: string, name: string): Rendered =>
    renderedWith(my, [
      {
        name,
        bind: `127.0.0.1:${port}`,
        backend: checks,
        servers: [line('good', good, options), line('sick', sick, options)],
      },
    ]);
  applied(await control.apply(config(fast, 'web'), reload, never));
  await down(control, 'sick');
  const before = sick.requests.length;
  for (let round = 0; round < 20; round++) {
    // Only the frontend differs. Its checks are so rare that a server that starts as up stays up.
    applied(await control.apply(withComment(config(slow, 'web'), round), reload, never));
    for (let request = 0; request < 4; request++) assert.equal(await get(port), 'good');
  }
  assert.equal(sick.requests.length, before);
});

test('without the carried state, a reload sends requests to a server that is down', async () => {
  await using world = await start();
  const { my, control, port, good, sick } = world;
  await sick.setHealthy(false);
  const config = (options: string, extra = ''): Rendered =>
    withoutState(
      renderedWith(my, [
        {
          bind: `127.0.0.1:${port}`,
          backend: [...checks, extra],
          servers: [line('good', good, options), line('sick', sick, options)],
        },
      ]),
    );
  applied(await control.apply(config(fast), reload, never));
  await down(control, 'sick');
  applied(await control.apply(config(slow, '# another'), reload, never));
  const answers = await Promise.all(Array.from({ length: 4 }, () => get(port)));
  assert.ok(answers.includes('sick'), answers.join(' '));
});

test('a server that was down comes up by its checks after a reload', async () => {
  await using world = await start();
  const { control, port, sick } = world;
  await reloadedWhileDown(world);
  assert.equal(await stateOf(control, 'sick'), '0');
  await sick.setHealthy(true);
  await until('it gets requests', async () => (await get(port)) === 'sick');
});

test('whatever a server is reached by, and wherever its checks are asked for, it stays down over a reload', async () => {
  await using world = await start();
  const { my, control, port } = world;
  const nobody = await freePort();
  const places = {
    ip: `127.0.0.1:${nobody}`,
    name: `localhost:${nobody}`,
    prefixed: `ipv4@127.0.0.1:${nobody}`,
    v6: `[0:0:0:0:0:0:0:1]:${nobody}`,
    mapped: `[::ffff:127.0.0.1]:${nobody}`,
    portless: `127.0.0.1 port ${nobody}`,
    unix: `unix@${join(my.folder, 'no.sock')}`,
    path: join(my.folder, 'none.sock'),
  };
  const servers = Object.entries(places).map(([name, place]) => `    server ${name} ${place}\n`);
  const version = (inter: string, comment: string): Rendered => {
    const base = rendered(my, [{ bind: `127.0.0.1:${port}` }]);
    const legacy = `defaults slow\n    mode http\n    timeout connect 2s\n    timeout server 2s\n    load-server-state-from-file global\n    default-server check inter ${inter} fall 1\ndefaults\n    mode http\n    load-server-state-from-file global\n    timeout connect 2s\n    timeout server 2s\nbackend legacy from slow\n    # ${comment}\n${servers.join('')}`;
    return { sections: [...base.sections, ...splitSections(legacy)] };
  };
  applied(await control.apply(version('100ms', 'one'), reload, never));
  for (const name of Object.keys(places)) await down(control, name);
  // Its checks are so rare that a server that starts as up stays up.
  applied(await control.apply(version('20s', 'two'), reload, never));
  for (const name of Object.keys(places)) assert.equal(await stateOf(control, name), '0', name);
});

test('what somebody sets of servers in hand-written sections outlives reloads', async () => {
  await using world = await start();
  const { my, control, port, good } = world;
  const version = (comment: string): Rendered => {
    const { sections } = rendered(my, [{ bind: `127.0.0.1:${port}` }]);
    const servers = ['taken', 'drained', 'heavy', 'left'].map((name) => `    server ${name} 127.0.0.1:${good.port}\n`);
    return { sections: [...sections, ...splitSections(`backend legacy\n    # ${comment}\n${servers.join('')}`)] };
  };
  const tell = (command: string): Promise<string> => ask(control.running?.process?.socket ?? '', [command]);
  applied(await control.apply(version('one'), reload, never));
  await tell('set server legacy/taken state maint');
  await tell('set server legacy/drained state drain');
  await tell('set server legacy/heavy weight 50');
  for (const comment of ['two', 'three']) {
    applied(await control.apply(version(comment), reload, never));
    const { rows } = await readServersState(control.running?.process?.socket ?? '');
    assert.deepEqual(
      rows
        .filter(({ be_name }) => be_name === 'legacy')
        .map(({ srv_name, srv_admin_state, srv_uweight }) => [srv_name, srv_admin_state, srv_uweight]),
      [
        ['taken', '1', '1'],
        ['drained', '8', '1'],
        ['heavy', '0', '50'],
        ['left', '0', '1'],
      ],
    );
  }
});

test('a server with another address, port or name, or without checks, inherits nothing', async () => {
  await using world = await start();
  const { my, control, port, good, sick } = world;
  await using other = await startBackends(['moved']);
  await sick.setHealthy(false);
  const config = (servers: readonly string[], render = rendered): Rendered =>
    render(my, [{ bind: `127.0.0.1:${port}`, backend: checks, servers: [line('good', good, slow), ...servers] }]);
  const sickLine = line('sick', sick, fast);
  const applyDown = async (): Promise<void> => {
    applied(await control.apply(config([sickLine]), reload, never));
    await down(control, 'sick');
  };
  await applyDown();
  applied(await control.apply(config([line('sick', other.moved, slow)], renderedWith), reload, never));
  const { rows } = await readServersState(control.running?.process?.socket ?? '');
  const row = rows.find((each) => each.srv_name === 'sick');
  assert.deepEqual([row?.srv_port, row?.srv_op_state], [`${other.moved.port}`, '2']);

  await applyDown();
  applied(await control.apply(config([line('renamed', sick, slow)], renderedWith), reload, never));
  assert.equal(await stateOf(control, 'renamed'), '2');

  await applyDown();
  applied(await control.apply(config([`server sick 127.0.0.1:${sick.port}`]), reload, never));
  assert.equal(await stateOf(control, 'sick'), '2');
});

test('a weight that changed, a check on another port and maintenance are taken from the config, not from before', async () => {
  await using world = await start();
  const { my, control, port, good, sick } = world;
  await sick.setHealthy(false);
  const config = (options: string): Rendered =>
    rendered(my, [
      { bind: `127.0.0.1:${port}`, backend: checks, servers: [line('good', good, slow), line('sick', sick, options)] },
    ]);
  applied(await control.apply(config(`${fast} weight 10 port ${sick.port}`), reload, never));
  await down(control, 'sick');
  applied(await control.apply(config(`${fast} weight 20 port ${good.port}`), reload, never));
  const { rows } = await readServersState(control.running?.process?.socket ?? '');
  const row = rows.find((each) => each.srv_name === 'sick');
  assert.equal(row?.srv_uweight, '20');
  // Checked at the healthy one's port now, it comes up.
  await until('it is up', async () => (await stateOf(control, 'sick')) === '2');
});

test('the state file holds nothing between reloads, so that a crash brings nothing old back', async () => {
  await using world = await start();
  await reloadedWhileDown(world);
  const file = await readFile(join(world.my.state, 'servers.state'), 'utf8');
  assert.match(file, /^1\n# be_id [^\n]+\n$/);
});

/** One of its two servers is down by its checks when it is reloaded. */
async function reloadedWhileDown({ my, control, port, good, sick }: World): Promise<void> {
  await sick.setHealthy(false);
  const config = rendered(my, [
    { bind: `127.0.0.1:${port}`, backend: checks, servers: [line('good', good, fast), line('sick', sick, fast)] },
  ]);
  applied(await control.apply(config, reload, never));
  await down(control, 'sick');
  applied(await control.apply(config, reload, never));
}

function rendered(my: Setup, services: readonly Web[]): Rendered {
  return renderedWith(my, services, soon);
}

type World = AsyncDisposable & {
  readonly my: Setup;
  readonly control: ManagedDriver;
  readonly port: number;
  readonly good: Backend & { readonly requests: readonly string[] };
  readonly sick: Backend & { readonly requests: readonly string[] };
};

async function start(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const good = stack.use(await startNodeBackend('good'));
  const sick = stack.use(await startNodeBackend('sick'));
  const my = stack.use(await setup(folder.path));
  const control = await my.open();
  const kept = stack.move();
  return { my, control, port: await freePort(), good, sick, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

function line(name: string, { port }: Backend, options: string): string {
  return `server ${name} 127.0.0.1:${port} ${options}`;
}

function withComment({ sections }: Rendered, round: number): Rendered {
  return {
    sections: sections.map((each) =>
      each.kind === 'frontend' ? { ...each, text: `${each.text}    # ${round}\n` } : each,
    ),
  };
}

function withoutState({ sections }: Rendered): Rendered {
  return {
    sections: sections.map((each) => ({
      ...each,
      text: each.text.replace(/^ *(server-state-file|load-server-state).*\n/gm, ''),
    })),
  };
}

async function stateOf(control: ManagedDriver, server: string): Promise<string | undefined> {
  const { rows } = await readServersState(control.running?.process?.socket ?? '');
  return rows.find((row) => row.srv_name === server)?.srv_op_state;
}

async function down(control: ManagedDriver, server: string): Promise<void> {
  await until(`${server} is down`, async () => (await stateOf(control, server)) === '0');
}
