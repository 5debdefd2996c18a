/** Servers changed by commands in the real HAProxy, in each version as far as it can. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { ManagedDriver } from '../../../src/apply/driver.ts';
import { capabilitiesOf } from '../../../src/haproxy/binary/capabilities.ts';
import { readInfo, readServersState } from '../../../src/haproxy/cli/info.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import type { Rendered, ServerDrift } from '../../../src/model.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import type { Result } from '../../../src/reconcile/result.ts';
import { RuntimeUpdater } from '../../../src/reconcile/runtime/runtime-updater.ts';
import { startNodeBackend } from '../../servers/backend.ts';
import { branches, type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { never, pidOf, rendered, type Setup, setup, text } from '../../support/haproxy/apply.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { get } from '../../support/load/requests.ts';
import { serverDrift } from '../../support/values/plans.ts';

for (const branch of branches) {
  test(`endpoints of HAProxy ${branch} come and go in one process, and the file follows`, async () => {
    await using world = await start(branch);
    const { control, reconcile, web } = world;
    await using one = await startNodeBackend('one');
    await using two = await startNodeBackend('two');
    await reconcile(web(one.port));
    const before = pidOf(control);
    const canAdd = capabilitiesOf(control.version ?? assert.fail()).addServer !== 'no';

    const added = await reconcile(web(one.port, two.port));
    assert.equal(added.kind, canAdd ? 'runtime' : 'reload', JSON.stringify(added));
    await until('both answer', async () => (await get(world.port)) === 'two');
    const pid = pidOf(control);
    assert.equal(pid === before, canAdd);
    assert.equal((await reconcile(web(two.port))).kind, 'runtime');
    for (let requests = 0; requests < 4; requests++) assert.equal(await get(world.port), 'two');
    assert.equal(pidOf(control), pid);
    await until('the file has followed', async () => (await readFile(world.my.file, 'utf8')) === text(web(two.port)), {
      withinMs: 2000,
    });
    const { deleteServer } = capabilitiesOf(control.version ?? assert.fail());
    await until('nothing is left of the other', async () => {
      const { rows } = await readServersState(socketOf(control));
      return rows.length === (deleteServer === 'any' ? 1 : 2);
    });
  });

  test(`what somebody does to HAProxy ${branch} by hand is set right`, async () => {
    await using world = await start(branch);
    const { control, reconcile, web } = world;
    await using one = await startNodeBackend('one');
    await reconcile(web(one.port));
    const before = await servers(control);
    await ask(socketOf(control), [
      `set server web/s${one.port} addr 127.0.0.1 port 9`,
      `set server web/s${one.port} weight 7`,
      `set server web/s${one.port} state maint`,
    ]);
    await until('it is as it was', async () => {
      if (await world.changes.verify()) await reconcile(web(one.port));
      return String(await servers(control)) === String(before);
    });
    assert.deepEqual([...new Set(world.drift.map(({ kind }) => kind))].sort(), ['address', 'state', 'weight']);
    assert.equal(await get(world.port), 'one');
  });

  // 2.2 deletes no server.
  const skip = branch === '2.2' && 'HAProxy 2.2 refuses no command that is planned for it';
  test(`a command that HAProxy ${branch} refuses is followed by a reload from the file`, { skip }, async () => {
    await using world = await start(branch);
    const { control, reconcile } = world;
    await using one = await startNodeBackend('one');
    await using two = await startNodeBackend('two');
    const wanted = world.web(one.port, two.port);
    await reconcile(wanted);
    const before = pidOf(control);
    await ask(socketOf(control), [`set server web/s${two.port} state maint`, `del server web/s${two.port}`]);
    const place = `127.0.0.1:${two.port} weight`;
    const heavier = {
      sections: wanted.sections.map((section) => {
        return { ...section, text: section.text.replace(`${place} 1`, `${place} 5`) };
      }),
    };
    const result = await reconcile(heavier);
    assert.ok(result.kind === 'reload', JSON.stringify(result));
    const detail = `weight s${two.port}: No such server.`;
    assert.deepEqual(result.reasons[0], { code: 'reply_unexpected', section: 'backend web', detail });
    assert.notEqual(pidOf(control), before);
    assert.equal(await readFile(world.my.file, 'utf8'), text(heavier));
    assert.deepEqual(await servers(control), [`s${one.port} ${one.port} 1`, `s${two.port} ${two.port} 5`].sort());
  });

  test(`what somebody does to HAProxy ${branch} by hand never gets into the file`, async () => {
    await using world = await start(branch);
    await using one = await startNodeBackend('one');
    const wanted = world.web(one.port);
    await world.reconcile(wanted);
    await ask(socketOf(world.control), [`set server web/s${one.port} weight 7`]);
    await until('it is seen', () => world.changes.verify());
    // Whatever is still to be written is written now.
    await world.control[Symbol.asyncDispose]();
    assert.equal(await readFile(world.my.file, 'utf8'), text(wanted));
  });

  test(`a HAProxy ${branch} that leaves is told what servers do, and takes no new connections`, async () => {
    await using world = await start(branch);
    const { control, reconcile, web } = world;
    await using one = await startNodeBackend('one');
    await using two = await startNodeBackend('two');
    await reconcile(web(one.port, two.port));
    const old = socketOf(control);
    const half = connect(world.port, '127.0.0.1').setEncoding('utf8');
    half.write('GET / HTTP/1.1\r\nhost: here\r\n');
    await until('it has a connection', async () => (await readInfo(old)).currConns === 1);
    await reconcile(web(one.port, two.port), true);
    assert.equal(control.oldWorkers.length, 1);
    await reconcile(web(two.port));
    await until('the old one has taken it out', async () => {
      const { rows } = await readServersState(old);
      const states = rows.map((row) => `${row.srv_name} ${row.srv_admin_state}`);
      return String(states) === `s${one.port} 1,s${two.port} 0`;
    });
    let answer = '';
    half.on('data', (chunk: string) => {
      answer += chunk;
    });
    half.write('\r\n');
    await once(half, 'close');
    assert.match(answer, /two$/);
    await until('it is gone', () => control.oldWorkers.length === 0);
  });

  test(`a Myelin that is started again finds what HAProxy ${branch} has, and changes it without a reload`, async () => {
    await using world = await start(branch);
    await using one = await startNodeBackend('one');
    await using two = await startNodeBackend('two');
    await world.reconcile(world.web(one.port, two.port));
    const before = pidOf(world.control);
    await world.reconcile(world.web(one.port));
    // What it was killed before it could write down.
    await ask(socketOf(world.control), [`set server web/s${one.port} weight 9`]);
    await world.control[Symbol.asyncDispose]();
    await using again = await start(branch, world.my, world.port);
    const result = await again.reconcile(world.web(one.port));
    assert.equal(pidOf(again.control), before);
    assert.equal(result.kind, 'runtime', JSON.stringify(result));
    assert.deepEqual(await servers(again.control), [`s${one.port} ${one.port} 1`]);
  });
}

async function start(branch: HaproxyBranch, existing?: Setup, at?: number) {
  await using stack = new AsyncDisposableStack();
  const folder = existing === undefined ? stack.use(await tempFolder()).path : existing.folder;
  const my = existing ?? stack.use(await setup(folder));
  const port = at ?? (await freePort());
  const control = stack.use(await my.open({ haproxy: { binary: await haproxy(branch) } }));
  const drift: ServerDrift[] = [];
  const changes = new RuntimeUpdater(control, {
    now: Date.now,
    verify: () => ({ verifyInterval: 50, drift: 'repair' }),
    report: (happening) => drift.push(...serverDrift(happening.drift)),
  });
  const reconciler = new Reconciler(control, changes, () => new Map(), Date.now);
  const kept = stack.move();
  return {
    my,
    control,
    changes,
    drift,
    port,
    /** `web` at these servers. */
    web(...ports: readonly number[]): Rendered {
      const lines = ports.map((each) => `server s${each} 127.0.0.1:${each} weight 1`);
      const { sections } = rendered(my, [{ bind: `127.0.0.1:${port}`, servers: lines }]);
      // 2.2 does not know it.
      const text = (section: string): string =>
        branch === '2.2' ? section.replace('    option idle-close-on-response\n', '') : section;
      return { sections: sections.map((section) => ({ ...section, text: text(section.text) })) };
    },
    async reconcile(wanted: Rendered, reload = false): Promise<Result> {
      const requested = reload ? [{ code: 'operator_request' } as const] : [];
      return reconciler.reconcile(
        { rendered: { ...wanted, problems: [] }, requested, onMeanwhile() {}, onReload() {} },
        never,
      );
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function socketOf(control: ManagedDriver): string {
  return control.running?.process?.socket ?? assert.fail('nothing runs');
}

/** `name port weight` of those in service. */
async function servers(control: ManagedDriver): Promise<readonly string[]> {
  const { rows } = await readServersState(socketOf(control));
  return rows
    .filter((row) => row.srv_admin_state === '0')
    .map((row) => `${row.srv_name} ${row.srv_port} ${row.srv_uweight}`)
    .sort();
}
