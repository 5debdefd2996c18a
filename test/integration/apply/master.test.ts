/** Control `master`: HAProxy runs elsewhere, and Myelin shares with it a socket and the folder of its config. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ManagedDriver } from '../../../src/apply/driver.ts';
import { type Info, parseServersState, type ServerStateRow } from '../../../src/haproxy/cli/info.ts';
import { readProcesses, readWorkerInfo, reloadMaster } from '../../../src/haproxy/cli/master.ts';
import { ask, nobodyListens } from '../../../src/haproxy/cli/socket.ts';
import type { SeenServers } from '../../../src/haproxy/resources/servers/read-back.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import { configFile } from '../../../src/lib/files/config-file.ts';
import type { Plan, Rendered, ServerCommand } from '../../../src/model.ts';
import { planChange } from '../../../src/plan/plan.ts';
import { startBackends } from '../../servers/backend.ts';
import { branches, type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { ab } from '../../servers/load.ts';
import { steadyLoad } from '../../servers/steady.ts';
import {
  applied,
  never,
  pidOf,
  reload,
  rendered,
  type Setup,
  setup,
  text,
  type Web,
} from '../../support/haproxy/apply.ts';
import { type Master, startMaster } from '../../support/haproxy/master.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { get, probe } from '../../support/load/requests.ts';
import { gone } from '../../support/machine/processes.ts';

/** What is planned where nobody is known to serve. */
const first: Plan = { kind: 'reload', reasons: [{ code: 'first_start' }] };

/** The worker's own socket refuses what changes a server. */
function operatorOnly({ sections }: Rendered): Rendered {
  return {
    sections: sections.map((section) => ({ ...section, text: section.text.replace('level admin', 'level operator') })),
  };
}

class Place implements AsyncDisposable {
  readonly my: Setup;
  readonly branch: HaproxyBranch;
  readonly binary: string;
  readonly port: number;
  readonly #atEnd: AsyncDisposableStack;

  constructor(
    { my, branch, binary, port }: Pick<Place, 'my' | 'branch' | 'binary' | 'port'>,
    atEnd: AsyncDisposableStack,
  ) {
    this.my = my;
    this.branch = branch;
    this.binary = binary;
    this.port = port;
    this.#atEnd = atEnd;
  }

  get socket(): string {
    return join(this.my.folder, 'master.sock');
  }

  /** `binary` is HAProxy's executable on Myelin's side; by default the same as that of the master. */
  open({ binary = this.binary }: { readonly binary?: string } = {}): Promise<ManagedDriver> {
    return this.my.open({ haproxy: { control: 'master', masterSocket: this.socket, binary } });
  }

  async start(): Promise<Master> {
    return this.#atEnd.use(await startMaster(this.binary, this.my.folder, this.my.file));
  }

  /** The worker that is not about to leave, wherever its master lists it. */
  async serves(): Promise<Info> {
    const { workers, oldWorkers } = await readProcesses(this.socket);
    for (const { pid } of [...workers, ...oldWorkers]) {
      const info = await readWorkerInfo(this.socket, pid);
      if (info?.stopping === false) return info;
    }
    throw new Error('nobody serves');
  }

  web(name: string, servers?: readonly string[], backend?: readonly string[]): Rendered {
    const bind = `127.0.0.1:${this.port}`;
    const more = { ...(servers !== undefined && { servers }), ...(backend !== undefined && { backend }) };
    return this.config([{ name, bind, ...more }]);
  }

  /** HAProxy 2.2 does not know the option, and does not need it. */
  config(services: readonly Web[]): Rendered {
    const { sections } = rendered(this.my, services);
    if (this.branch !== '2.2') return { sections };
    const option = '    option idle-close-on-response\n';
    return { sections: sections.map((section) => ({ ...section, text: section.text.replace(option, '') })) };
  }

  /** As an operator would, or somebody’s tool: not through Myelin. */
  async write(wanted: Rendered): Promise<void> {
    await writeFile(`${this.my.file}.new`, text(wanted));
    await rename(`${this.my.file}.new`, this.my.file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#atEnd.disposeAsync();
  }
}

async function place(branch: HaproxyBranch = '2.6'): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const my = stack.use(await setup(folder.path));
  return new Place({ my, branch, binary: await haproxy(branch), port: await freePort() }, stack.move());
}

/** A place where HAProxy serves what Myelin has reloaded it with. */
async function serving(branch: HaproxyBranch, wanted: (place: Place) => Rendered) {
  const place_ = await place(branch);
  await place_.write(place_.web('before'));
  const master = await place_.start();
  const control = await place_.open();
  applied(await control.apply(wanted(place_), reload, never));
  return { place: place_, master, control };
}

async function rowsOf({ runtime: process }: ManagedDriver): Promise<readonly ServerStateRow[] | undefined> {
  const seen = await process?.observe(['backend web']);
  return (seen?.get('server')?.get('backend web') as SeenServers | undefined)?.rows;
}

function runtime(commands: readonly ServerCommand[]): Plan {
  return { kind: 'runtime', commands };
}

/** HAProxy tells its time of start in whole seconds: what is started after this is later than what was written before. */
async function nextSecond(): Promise<void> {
  const second = Math.floor(Date.now() / 1000);
  await until('the next second', () => Math.floor(Date.now() / 1000) > second);
}

for (const branch of branches) {
  test(`HAProxy ${branch}: entries of maps change over the master, and what is refused leaves the map as it was`, async () => {
    const withMap = (here: Place, entries: string, lines: readonly string[] = []): Rendered => {
      const map = `${here.my.file}.maps/public.map`;
      // No such backend leads to the default one.
      const frontend = [`use_backend %[path,map_beg(${map},nowhere)]`, ...lines];
      const { sections } = here.config([
        { name: 'web', bind: `127.0.0.1:${here.port}`, frontend },
        { name: 'other', bind: join(here.my.folder, 'other.sock') },
      ]);
      return { sections: [...sections, { kind: 'map', name: map, text: entries, service: null }] };
    };
    const { place: here, control } = await serving(branch, (each) => withMap(each, '/a other\n'));
    await using _ = here;
    const map = `${here.my.file}.maps/public.map`;
    await until('the new one alone answers', async () => (await get(here.port, '/a')) === 'other');
    const pid = pidOf(control);
    const about = { kind: 'map', map } as const;
    const change: Plan = {
      kind: 'runtime',
      commands: [
        { ...about, action: 'add', key: '/b', value: 'other' },
        { ...about, action: 'delete', copies: 1, key: '/a' },
      ],
    };
    applied(await control.apply(withMap(here, '/b other\n'), change, never));
    assert.deepEqual([await get(here.port, '/a'), await get(here.port, '/b')], ['web', 'other']);
    const seen = await control.runtime?.observe([`map ${map}`]);
    assert.equal(seen?.get('map')?.get(`map ${map}`)?.said, '/b other\n');
    await until('the map follows', async () => (await readFile(map, 'utf8')) === '/b other\n');

    const many = Array.from({ length: 1000 }, (_, at) => `/a-path-that-is-longer-${at} web\n`).join('');
    const text = `${many}/b other\n`;
    if (branch !== '2.2') {
      const all: Plan = { kind: 'runtime', commands: [{ ...about, action: 'version', text }] };
      applied(await control.apply(withMap(here, text), all, never));
      const shown = await control.runtime?.observe([`map ${map}`]);
      assert.equal(shown?.get('map')?.get(`map ${map}`)?.said, text);
      applied(
        await control.apply(
          withMap(here, '/b other\n'),
          { ...all, commands: [{ ...about, action: 'version', text: '/b other\n' }] },
          never,
        ),
      );
      await until('the map follows', async () => (await readFile(map, 'utf8')) === '/b other\n');
    }

    const refused = await control.apply(withMap(here, '/c other\n', ['no such line']), reload, never);
    assert.equal(refused.kind, 'refused');
    assert.equal(await readFile(map, 'utf8'), '/b other\n');
    assert.equal(pidOf(control), pid);
  });

  test(`HAProxy ${branch}: the first reload makes it Myelin’s, and servers then change without one`, async () => {
    await using backends = await startBackends(['a', 'b']);
    const { a, b } = backends;
    const one = (here: Place): Rendered => here.web('web', [`server s 127.0.0.1:${a.port}`]);
    const { place: here, master, control } = await serving(branch, one);
    await using _ = here;
    await until('the new one alone answers', async () => (await get(here.port)) === 'a');
    const pid = pidOf(control);
    assert.equal(pid, await master.worker());
    assert.equal(control.running?.process?.socket, here.socket);
    assert.equal(`${control.version?.major}.${control.version?.minor}`, branch);

    const two = here.web('web', [`server s 127.0.0.1:${b.port}`]);
    const change = runtime([
      { kind: 'server', action: 're-address', backend: 'web', server: 's', address: '127.0.0.1', port: b.port },
    ]);
    applied(await control.apply(two, change, never));
    await until('the other one answers', async () => (await get(here.port)) === 'b');
    assert.equal(await master.worker(), pid, 'without a reload');
    const rows = await rowsOf(control);
    assert.equal(rows?.[0]?.srv_port, `${b.port}`);
    await until('the file follows', async () => (await readFile(here.my.file, 'utf8')) === text(two));
  });

  test(`HAProxy ${branch}: a reload under load fails no request`, async () => {
    const { place: here, control } = await serving(branch, (each) => each.web('web'));
    await using _ = here;
    await using load = steadyLoad(here.port);
    for (const name of ['one', 'two', 'three']) {
      applied(await control.apply(here.web(name), reload, never));
      await load.answeredBy(name);
    }
    await load.endsWithoutFailure();
  });

  test(`HAProxy ${branch}: what it refuses costs nothing: the old one serves on, and its file is in its place`, async () => {
    const { place: here, master, control } = await serving(branch, (each) => each.web('web'));
    await using _ = here;
    const pid = await master.worker();
    const bad = here.web('bad', undefined, ['bogus']);
    const outcome = await control.apply(bad, reload, never);
    assert.equal(outcome.kind, 'refused', 'the executable here is of its branch and says so beforehand');
    assert.equal(await master.worker(), pid);
    assert.equal(await get(here.port), 'web');
    assert.equal(await readFile(here.my.file, 'utf8'), text(here.web('web')));
  });

  test(`HAProxy ${branch}: with no executable here the reload itself is the proof`, async () => {
    await using here = await place(branch);
    await here.write(here.web('before'));
    const master = await here.start();
    const control = await here.open({ binary: '/nowhere/haproxy' });
    applied(await control.apply(here.web('web'), reload, never));
    const bad = here.web('bad', undefined, ['bogus']);
    const line = text(bad).split('\n').indexOf('    bogus') + 1;
    for (const attempt of [1, 2]) {
      const outcome = await control.apply(bad, reload, never);
      assert.equal(outcome.kind, 'failed');
      const told = outcome.kind === 'failed' ? outcome.problems : [];
      const words = { message: "unknown keyword 'bogus' in 'backend' section", service: 'bad', line };
      assert.deepEqual(told, ['2.2', '2.6'].includes(branch) ? [] : [words], 'from 2.7 on it says why');
      assert.equal(await readFile(here.my.file, 'utf8'), text(here.web('web')));
      assert.equal(await readFile(`${here.my.file}.rejected`, 'utf8'), text(bad));
      assert.equal(await get(here.port), 'web', `attempt ${attempt}`);
      assert.deepEqual(control.running?.sections, here.web('web').sections);
    }
    assert.deepEqual(await rowsOf(control), [], 'the one that serves can be asked');
    applied(await control.apply(here.web('web2'), reload, never));
    assert.equal(await get(here.port), 'web2');
    assert.equal((await master.processes()).master.pid, master.pid, 'the master has lived through all of it');
  });

  test(`HAProxy ${branch}: failures of different kinds in a row end nothing`, async () => {
    await using here = await place(branch);
    await here.write(here.web('before'));
    const master = await here.start();
    const control = await here.open({ binary: '/nowhere/haproxy' });
    applied(await control.apply(here.web('web'), reload, never));
    const unreadable = here.web('bad', undefined, ['bogus']);
    const unbindable = here.config([{ name: 'bad', bind: join(here.my.folder, 'nowhere/in.sock') }]);
    for (const bad of [unreadable, unbindable, unreadable]) {
      assert.equal((await control.apply(bad, reload, never)).kind, 'failed');
      assert.equal(await get(here.port), 'web');
      assert.equal(control.running?.process?.pid, (await here.serves()).pid);
    }
    assert.equal((await master.processes()).master.pid, master.pid);
    applied(await control.apply(here.web('web2'), reload, never));
    await until('the new one alone answers', async () => (await get(here.port)) === 'web2');
  });

  test(`HAProxy ${branch}: a port that somebody holds is refused beforehand, and nobody is interrupted`, async () => {
    const { place: here, control } = await serving(branch, (each) => each.web('web'));
    await using _ = here;
    const taken = await freePort();
    const foreign = createServer().listen(taken, '127.0.0.1');
    await once(foreign, 'listening');
    await using probing = probe(here.port);
    const both = here.config([
      { name: 'web', bind: `127.0.0.1:${here.port}` },
      { name: 'other', bind: `127.0.0.1:${taken}` },
    ]);
    const outcome = await control.apply(both, reload, never);
    assert.deepEqual(outcome.kind === 'refused' && outcome.problems.map(({ code, service }) => [code, service]), [
      ['MYELIN_PORT_TAKEN', 'other'],
    ]);
    foreign.close();
    await once(foreign, 'close');
    applied(await control.apply(both, reload, never));
    assert.equal(await get(taken), 'other');
    assert.ok(probing.asked() > 5, `${probing.asked()} requests`);
    assert.deepEqual(probing.failures, []);
  });

  test(`HAProxy ${branch}: when Myelin restarts nothing changes, also where servers were changed by commands`, async () => {
    const { place: here, master, control } = await serving(branch, (each) => each.web('web', ['server s 127.0.0.1:9']));
    await using _ = here;
    const weighted = here.web('web', ['server s 127.0.0.1:9 weight 7']);
    const change = runtime([{ kind: 'server', action: 'weight', backend: 'web', server: 's', weight: 7 }]);
    applied(await control.apply(weighted, change, never));
    const pid = pidOf(control);
    await control[Symbol.asyncDispose]();
    const again = await here.open();
    assert.deepEqual(again.running?.sections, weighted.sections);
    assert.deepEqual(again.forced, []);
    assert.equal(pidOf(again), pid);
    assert.equal(await master.worker(), pid);
    const news = here.my.events.filter(({ kind }) => kind !== 'haproxy_answered');
    assert.deepEqual(news.at(-1), { kind: 'adopted', pid, generation: 1 });
    applied(await again.apply(weighted, { kind: 'none' }, never));
    assert.equal((await master.processes()).master.reloads, 1, 'but for the first reload there was none');
  });

  test(`HAProxy ${branch}: a reload by somebody else is noticed, and what it loaded is known`, async () => {
    const { place: here, master, control } = await serving(branch, (each) => each.web('web', ['server s 127.0.0.1:9']));
    await using _ = here;
    const before = pidOf(control);
    await nextSecond();
    // 2.2 says only how long it has run.
    if (branch === '2.2') for (const _ of [1, 2]) await nextSecond();
    assert.equal((await reloadMaster(master.socket, { timeoutMs: 20_000 })).kind, 'loaded');
    await until('Myelin knows the new one', () => control.running?.process?.pid !== before && control.running !== null);
    assert.equal(pidOf(control), await master.worker());
    assert.deepEqual(control.forced, []);
    assert.deepEqual(control.running?.sections, here.web('web', ['server s 127.0.0.1:9']).sections);
    assert.ok(here.my.changes() > 0, 'a look at what it has is asked for');
  });

  test(`HAProxy ${branch}: a reload by somebody else from another file is put right by a reload`, async () => {
    const { place: here, master, control } = await serving(branch, (each) => each.web('web'));
    await using _ = here;
    await here.write(here.web('foreign'));
    assert.equal((await reloadMaster(master.socket, { timeoutMs: 20_000 })).kind, 'loaded');
    await until('Myelin does not know what runs', () => control.running === null);
    const [reason] = control.forced;
    assert.equal(reason?.code, 'haproxy_exited');
    assert.match(reason?.detail ?? '', /^process \d+ was started by somebody else$/);
    assert.equal(control.reloadAt(here.web('web'), 5).because, 'nothing');
    applied(await control.apply(here.web('web'), reload, never));
    assert.equal(await get(here.port), 'web');
  });

  test(`HAProxy ${branch}: its worker is killed, HAProxy is started again by others, and Myelin takes it as it is`, async () => {
    const { place: here, master, control } = await serving(branch, (each) => each.web('web'));
    await using _ = here;
    await nextSecond();
    if (branch === '2.2') for (const _ of [1, 2]) await nextSecond();
    const before = pidOf(control);
    process.kill(before, 'SIGKILL');
    await master.ended;
    await until('that is noticed', () => control.running === null);
    assert.deepEqual(control.forced, [{ code: 'haproxy_exited' }]);
    assert.ok(here.my.events.some((event) => event.kind === 'exited' && event.pid === before));
    const next = await here.start();
    await until('the new one is known', () => control.running !== null);
    assert.equal(pidOf(control), await next.worker());
    assert.deepEqual(control.running?.sections, here.web('web').sections);
    assert.equal((await next.processes()).master.reloads, 0, 'without a reload');
    assert.equal(await get(here.port), 'web');
  });

  test(`HAProxy ${branch}: one that was told to leave by others is left in peace`, async (t) => {
    await using backends = await startBackends(['a']);
    const wanted = (here: Place): Rendered => here.web('web', [`server s 127.0.0.1:${backends.a.port}`]);
    const { place: here, master, control } = await serving(branch, wanted);
    await using _ = here;
    // It waits for whoever is in the middle of a request.
    const client = connect(here.port, '127.0.0.1').on('error', () => {});
    t.after(() => client.destroy());
    await once(client, 'connect');
    client.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n');
    const pid = pidOf(control);
    await until('it has the request', async () => (await readWorkerInfo(here.socket, pid))?.currConns === 1);
    process.kill(master.pid, 'SIGUSR1');
    await until('that is noticed', () => control.running === null);
    assert.ok(here.my.events.some((event) => event.kind === 'stopped_externally' && event.pid === pid));
    const outcome = await control.apply(here.web('web'), reload, never);
    assert.match(
      outcome.kind === 'failed' ? outcome.error.message : '',
      /^HAProxy is stopping on an order that is not Myelin’s/,
    );
    assert.equal((await master.processes()).master.reloads, 1);
    client.destroy();
    await master.ended;
  });

  test(`HAProxy ${branch}: started after Myelin, it serves what Myelin has written for it`, async () => {
    await using here = await place(branch);
    const control = await here.open();
    const wanted = here.web('web');
    const outcome = await control.apply(wanted, reload, never);
    assert.match(
      outcome.kind === 'failed' ? outcome.error.message : '',
      /^no HAProxy serves yet: .* is written for it$/,
    );
    assert.equal(await readFile(here.my.file, 'utf8'), text(wanted));
    await nextSecond();
    if (branch === '2.2') for (const _ of [1, 2]) await nextSecond();
    const master = await here.start();
    await until('it is known', () => control.running !== null);
    assert.deepEqual(control.running?.sections, wanted.sections);
    assert.equal((await master.processes()).master.reloads, 0);
    assert.deepEqual(control.forced, []);
  });

  test(`HAProxy ${branch}: one that comes up while it is to be told is taken as it is, without a reload`, async () => {
    await using here = await place(branch);
    const control = await here.open();
    const wanted = here.web('web');
    assert.equal((await control.apply(wanted, first, never)).kind, 'failed', 'nobody serves yet');
    const starting = here.start();
    const told = await until('there is a master to be told', async () => {
      const outcome = await control.apply(wanted, first, never);
      return outcome.kind === 'failed' ? null : outcome;
    });
    const master = await starting;
    assert.equal(told.kind, 'superseded');
    assert.deepEqual(control.running?.sections, wanted.sections);
    assert.equal(pidOf(control), await master.worker());
    assert.equal((await master.processes()).master.reloads, 0);
  });

  if (branch !== '2.2')
    test(`HAProxy ${branch}: started in the second in which its file was replaced, it is known by which one it serves`, async () => {
      await using here = await place(branch);
      let control = await here.open();
      assert.equal((await control.apply(here.web('before'), first, never)).kind, 'failed');
      await nextSecond();
      const wanted = here.web('web');
      assert.equal((await control.apply(wanted, first, never)).kind, 'failed');
      assert.equal(await readFile(here.my.file, 'utf8'), text(wanted));
      const placedAt = (await configFile(here.my.file).placedAt()) ?? 0;
      // Files tell their time by a clock that goes by ticks.
      await until('the file is the older one for sure', () => Date.now() > placedAt + 25, { everyMs: 5 });
      const master = await here.start();
      await until('it is known', () => control.running !== null);
      assert.deepEqual(control.running?.sections, wanted.sections);
      await control[Symbol.asyncDispose]();
      await master.stop();

      await nextSecond();
      await rm(here.my.state, { recursive: true });
      await using _ = await here.start();
      await here.write(here.web('web', undefined, ['timeout queue 7s']));
      control = await here.open();
      assert.deepEqual(control.forced, [{ code: 'first_start' }], 'it has read the file from before');
    });

  test(`HAProxy ${branch}: the oldest of the old workers are ended when there are too many`, async (t) => {
    await tooManyOldWorkers(branch, t);
  });
}

async function tooManyOldWorkers(branch: HaproxyBranch, t: TestContext): Promise<void> {
  await using here = await place(branch);
  const held: Socket[] = [];
  const server = createServer((socket) => held.push(socket.on('error', () => {}))).listen(
    await freePort(),
    '127.0.0.1',
  );
  t.after(() => {
    for (const socket of held) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const tcp = (name: string): Rendered =>
    here.web(name, [`server s 127.0.0.1:${port}`, `server t 127.0.0.1:${port} weight 2`], ['mode tcp']);
  const asTcp = (wanted: Rendered): Rendered => ({
    sections: wanted.sections.map((section) => ({
      ...section,
      text: section.text.replace('    mode http\n', '    mode tcp\n'),
    })),
  });
  await here.write(asTcp(tcp('before')));
  await here.start();
  const control = await here.my.open({
    haproxy: { control: 'master', masterSocket: here.socket, binary: here.binary },
    reload: { maxOldWorkers: 2 },
  });
  const pids: number[] = [];
  for (const name of ['one', 'two', 'three', 'four']) {
    applied(await control.apply(asTcp(tcp(name)), reload, never));
    pids.push(pidOf(control));
    const count = held.length;
    const client = connect(here.port, '127.0.0.1').on('error', () => {});
    t.after(() => client.destroy());
    await until('the server has the connection', () => held.length > count);
  }
  await until('there are two that leave', () => control.oldWorkers.length === 2);
  assert.deepEqual(
    control.oldWorkers.map(({ pid }) => pid),
    pids.slice(1, 3),
  );
  assert.deepEqual(
    here.my.events.flatMap((event) => (event.kind === 'connections_closed' ? [event] : [])),
    [{ kind: 'connections_closed', limit: 'max_old_workers', pid: pids[0], connections: 1 }],
  );
  // One that leaves refuses what changes a server: nothing is tried.
  assert.match(await ask(here.socket, [`@!${pids[2]} set weight three/t 3`]), /^Proxy is disabled\./);
  assert.deepEqual(control.followers, []);
}

// 2.2 hands its sockets on as well, and now and then fails to.
for (const branch of branches.filter((each) => each !== '2.2')) {
  test(`HAProxy ${branch}: reloads back to back under 200 connections fail none of 100,000 requests`, async (t) => {
    const { place: here, control } = await serving(branch, (each) => each.web('web'));
    await using _ = here;
    const url = `http://127.0.0.1:${here.port}/`;
    const ended = new AbortController();
    // All names are of one length, as the answers have to be.
    const loading = ab({ url, concurrency: 200, requests: 100_000, keepAlive: false }).finally(() => ended.abort());
    let reloads = 0;
    while (!ended.signal.aborted) {
      applied(await control.apply(here.web(reloads % 2 === 0 ? 'one' : 'two'), reload, never));
      reloads += 1;
    }
    const load = await loading;
    assert.equal(load.failed, 0, load.output);
    assert.equal(load.complete, 100_000);
    assert.ok(reloads >= 3, `${reloads} reloads`);
    t.diagnostic(`${reloads} reloads`);
  });
}

test('a backend that HAProxy leaves out, because it stands in an `.if`, keeps no reload from being done', async () => {
  const left =
    'backend left\n.if defined(NOBODY_SETS_THIS)\nbackend out\n    mode http\n.endif\nbackend last\n    mode http\n';
  const wanted = (here: Place, name: string): Rendered => {
    const { sections } = here.web(name);
    return { sections: [...sections, ...splitSections(left)] };
  };
  const { place: here, master, control } = await serving('2.6', (each) => wanted(each, 'web'));
  await using _ = here;
  assert.equal(pidOf(control), await master.worker());
  applied(await control.apply(wanted(here, 'next'), reload, never));
  await until('the new one alone answers', async () => (await get(here.port)) === 'next');
  // Found again after a restart of Myelin.
  await control[Symbol.asyncDispose]();
  const again = await here.open();
  assert.equal(pidOf(again), await master.worker());
  assert.deepEqual(again.forced, []);
});

test('a file from before gives way, while nobody serves, only to one that was checked', async () => {
  await using here = await place();
  await here.write(here.web('before'));
  const blind = await here.open({ binary: '/nowhere/haproxy' });
  const outcome = await blind.apply(here.web('web'), reload, never);
  assert.match(outcome.kind === 'failed' ? outcome.error.message : '', /stays as it was, for nothing here can check$/);
  assert.equal(await readFile(here.my.file, 'utf8'), text(here.web('before')));
  await blind[Symbol.asyncDispose]();

  const control = await here.open();
  const refused = await control.apply(here.web('bad', undefined, ['bogus']), reload, never);
  assert.equal(refused.kind, 'refused');
  assert.equal(await readFile(here.my.file, 'utf8'), text(here.web('before')));
  const written = await control.apply(here.web('web'), reload, never);
  assert.equal(written.kind, 'failed', 'nobody serves it yet');
  assert.equal(await readFile(here.my.file, 'utf8'), text(here.web('web')));
});

test('a HAProxy that was started from another file is told from one that serves ours', async () => {
  await using here = await place();
  const other = join(here.my.folder, 'other.cfg');
  await writeFile(other, text(here.web('other')));
  await using master = await startMaster(here.binary, here.my.folder, other);
  const control = await here.open();
  const outcome = await control.apply(here.web('web'), reload, never);
  assert.match(
    outcome.kind === 'failed' ? outcome.error.message : '',
    /reloaded, but not from .*: it has no backend web$/,
  );
  assert.match(outcome.kind === 'failed' ? (outcome.error.remedy ?? '') : '', /start HAProxy with -f/);
  assert.equal(control.running, null);
  assert.equal(await get(here.port), 'other');
  assert.ok((await master.worker()) > 0);
});

test('a port that is taken here is none of the business of a HAProxy in another network', async () => {
  await using here = await place();
  await here.write(here.web('before'));
  await using master = await startMaster(here.binary, here.my.folder, here.my.file, { isInOwnNetwork: true });
  const control = await here.open();
  applied(await control.apply(here.web('web'), reload, never));
  const taken = await freePort();
  const mine = createServer().listen(taken, '127.0.0.1');
  await once(mine, 'listening');
  const both = here.config([
    { name: 'web', bind: `127.0.0.1:${here.port}` },
    { name: 'other', bind: `127.0.0.1:${taken}` },
  ]);
  applied(await control.apply(both, reload, never));
  assert.equal(pidOf(control), await master.worker());
  mine.close();
});

test('Myelin killed while HAProxy reloaded tells it again, and from the previous file where it could not', async () => {
  const { place: here, control } = await serving('2.6', (each) => each.web('web'));
  await using _ = here;
  await control[Symbol.asyncDispose]();
  // As far as the one before had come: the file is accepted, HAProxy was told, nothing is written down of it.
  const file = configFile(here.my.file);
  await file.propose(text(here.web('next')));
  await file.accept();
  await reloadMaster(here.socket, { timeoutMs: 20_000 });
  const again = await here.open();
  assert.equal(again.running, null);
  assert.equal(again.forced[0]?.code, 'haproxy_exited');
  assert.equal(await readFile(here.my.file, 'utf8'), text(here.web('web')));
  assert.deepEqual(again.found, here.web('web').sections, 'with its owners');
  applied(await again.apply(here.web('next'), reload, never));
  assert.equal(await get(here.port), 'next');
});

test('Myelin killed before it told HAProxy finds what serves, and its file is put back', async () => {
  const { place: here, control } = await serving('2.6', (each) => each.web('web'));
  await using _ = here;
  await control[Symbol.asyncDispose]();
  const file = configFile(here.my.file);
  await file.propose(text(here.web('next')));
  await file.accept();
  const again = await here.open();
  assert.deepEqual(again.running?.sections, here.web('web').sections);
  assert.equal(await readFile(here.my.file, 'utf8'), text(here.web('web')));
  await assert.rejects(readFile(`${here.my.file}.previous`), { code: 'ENOENT' });
});

test('a file that somebody has changed is put right without a reload', async () => {
  const { place: here, master, control } = await serving('2.6', (each) => each.web('web'));
  await using _ = here;
  await until('it has been looked at', async () => control.running !== null);
  await here.write(here.web('edited'));
  await until('it is as before', async () => (await readFile(here.my.file, 'utf8')) === text(here.web('web')));
  assert.equal((await master.processes()).master.reloads, 1);
});

test('a second Myelin with the same state is locked out', async () => {
  await using here = await place();
  await here.open();
  await assert.rejects(here.open(), { code: 'MYELIN_LOCKED' });
});

test('a master that takes no command is reported, and nothing is touched', async () => {
  await using here = await place();
  await here.write(here.web('before'));
  await here.start();
  const control = await here.my.open({
    haproxy: { control: 'master', masterSocket: join(here.my.folder, 'admin.sock'), binary: here.binary },
  });
  const outcome = await control.apply(here.web('web'), reload, never);
  assert.match(outcome.kind === 'failed' ? outcome.error.message : '', /this is no answer to "show proc"/);
  assert.equal(await readFile(here.my.file, 'utf8'), text(here.web('before')));
});

test('a master that cuts its answers short is told of once, and its worker not given up before it has ended', async () => {
  const { place: here, master, control } = await serving('2.6', (each) => each.web('web'));
  await using _ = here;
  const pid = pidOf(control);
  const troubles = (): number => here.my.events.filter(({ kind }) => kind === 'trouble').length;
  const before = troubles();
  let cuts = 0;
  const cutting = createServer((socket) => {
    cuts += 1;
    socket.destroy();
  });
  await rename(here.socket, `${here.socket}.away`);
  cutting.listen(here.socket);
  await until('that is told', () => troubles() > before);
  const cutsThen = cuts;
  await until('it was asked again', () => cuts > cutsThen + 1);
  assert.equal(troubles(), before + 1);
  assert.equal(pidOf(control), pid);
  // Its socket goes with it: nobody listens there, and the worker answers at its own.
  cutting.close();
  await until('nobody listens', async () => ask(here.socket, ['show proc']).then(() => false, nobodyListens));
  applied(await control.apply(here.web('web'), { kind: 'runtime', commands: [] }, never));
  assert.equal(pidOf(control), pid);
  await master.stop();
  await until('it is given up', () => control.running === null);
  assert.ok(here.my.events.some((event) => event.kind === 'exited' && event.pid === pid));
  await rm(`${here.socket}.away`);
  await here.start();
  await until('the next one is known', () => control.running !== null);
  assert.notEqual(pidOf(control), pid);
});

test('a stats socket that takes no commands teaches nothing while the master is silent: afterwards servers are added', async () => {
  const {
    place: here,
    master,
    control,
  } = await serving('2.6', (each) => operatorOnly(each.web('web', ['server a 127.0.0.1:9'])));
  await using _ = here;
  const worker = pidOf(control);
  const wanted = operatorOnly(here.web('web', ['server a 127.0.0.1:9', 'server b 127.0.0.1:9']));
  const add = (): ReturnType<ManagedDriver['apply']> => {
    assert.ok(control.runtime !== null);
    const plan = planChange(control.runtime.running, wanted, control.runtime);
    assert.equal(plan.kind, 'runtime');
    return control.apply(wanted, plan, never);
  };
  process.kill(master.pid, 'SIGSTOP');
  try {
    await until('that is known', () => control.masterTrouble !== null);
    assert.match(
      control.masterTrouble?.reason ?? '',
      /its servers cannot follow, because its own socket is not of level admin/,
    );
    const outcome = await add();
    assert.match(outcome.kind === 'failed' ? outcome.error.message : '', /admin\.sock is not of level admin/);
    assert.equal(control.unresponsive, null, 'it serves');
  } finally {
    process.kill(master.pid, 'SIGCONT');
  }
  await until('the master answers again', () => control.masterTrouble === null);
  applied(await add());
  assert.equal(pidOf(control), worker);
});

test('a worker that hangs is told once, though its master answers, and so is that it answers again', async () => {
  const { place: here, master, control } = await serving('2.6', (each) => each.web('web'));
  await using _ = here;
  const pid = await master.worker();
  const told = (): readonly string[] =>
    here.my.events.map(({ kind }) => kind).filter((kind) => kind === 'unresponsive' || kind === 'responsive');
  for (let times = 1; times <= 2; times++) {
    process.kill(pid, 'SIGSTOP');
    try {
      await until('it is noticed', () => control.unresponsive !== null, { withinMs: 40_000 });
      assert.equal(control.running?.process?.pid, pid, 'it is there still');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until('it answers again', () => control.unresponsive === null);
  }
  assert.deepEqual(told(), ['unresponsive', 'responsive', 'unresponsive', 'responsive']);
  assert.equal(await get(here.port), 'web');
  applied(await control.apply(here.web('next'), reload, never));
  await until('the new one alone answers', async () => (await get(here.port)) === 'next');
});

test('a server that is down stays down over a reload', async () => {
  const state = (wanted: Rendered, here: Place): Rendered => ({
    sections: wanted.sections.map((section) => ({
      ...section,
      text: section.text.replace(join(here.my.state, 'servers.state'), `${here.my.file}.servers`),
    })),
  });
  const server = ['server s 127.0.0.1:9 check inter 60s'];
  const { place: here, control } = await serving('2.6', (each) => state(each.web('web', server), each));
  await using _ = here;
  const isDown = async (): Promise<boolean> => {
    const state = await ask(here.socket, [`@!${pidOf(control)} show servers state web`]);
    return parseServersState(state).rows[0]?.srv_op_state === '0';
  };
  await ask(here.socket, [`@!${pidOf(control)} set server web/s health down`]);
  await until('it is down', isDown);
  const before = pidOf(control);
  applied(await control.apply(state(here.web('web', server, ['option http-keep-alive']), here), reload, never));
  assert.ok(await isDown());
  assert.notEqual(pidOf(control), before);
  assert.doesNotMatch(await readFile(`${here.my.file}.servers`, 'utf8'), / web /, 'and is forgotten in the file');
});

test('the workers of a HAProxy that ended are gone with it', async () => {
  const { place: here, master, control } = await serving('2.6', (each) => each.web('web'));
  await using _ = here;
  const pid = pidOf(control);
  await control[Symbol.asyncDispose]();
  await control.stop();
  assert.equal((await readWorkerInfo(here.socket, pid))?.pid, pid, 'Myelin ends nobody that it did not start');
  await master.stop();
  await gone(pid);
  await rm(here.socket, { force: true });
});
