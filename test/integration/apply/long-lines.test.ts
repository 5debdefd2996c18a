/** However much there is to say, each line is one that HAProxy takes, whatever its buffers hold. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFrontends } from '../../../src/apply/process/start/frontends.ts';
import { Worker } from '../../../src/apply/runtime/worker.ts';
import { readInfo, readServersState } from '../../../src/haproxy/cli/info.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { ServerCommand } from '../../../src/model.ts';
import { startEcho } from '../../servers/echo.ts';
import { branches, type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { configOfWeb, startHaproxy } from '../../support/haproxy/process.ts';
import { tempFolder, until } from '../../support/index.ts';

// 2.2 can neither add nor delete a server.
const names = Array.from({ length: 400 }, (_, at) => `server-${at}`);

for (const branch of branches.filter((each) => each !== '2.2')) {
  test(`HAProxy ${branch}: what hundreds of removed servers still have is closed after drainTimeout, and they are deleted`, async () => {
    await using echo = await startEcho();
    await using world = await start(
      branch,
      ['balance roundrobin', ...names.map((name) => `server ${name} 127.0.0.1:${echo.port}`)],
      'tcp',
    );
    const sessions = await Promise.all(names.map(() => openSession(join(world.folder, 'web.sock'))));
    const closed = sessions.map((session) => once(session, 'close'));
    const remove = names.map(
      (server): ServerCommand => ({ backend: 'web', server, kind: 'server', action: 'remove', options: [] }),
    );
    assert.equal((await world.worker.applyCommands(remove, { sections: [] })).kind, 'applied');
    assert.deepEqual(await world.worker.reap(0), { closed: names.length, unexpected: [] });
    await Promise.all(closed);
    await until('they are deleted', async () => {
      assert.deepEqual((await world.worker.reap(0)).unexpected, []);
      return world.worker.leaving.length === 0;
    });
    assert.deepEqual((await readServersState(world.socket)).rows, []);
  });

  for (const bufsize of [4096, 1024])
    test(`HAProxy ${branch}: hundreds of servers come at once also with buffers of ${bufsize} bytes`, async () => {
      await using world = await start(branch, ['balance roundrobin'], 'http', [`tune.bufsize ${bufsize}`]);
      const { forgottenDefaults } = world.worker.capabilities;
      const commands = names.flatMap((server, at): readonly ServerCommand[] => {
        const it = { backend: 'web', server };
        const place = { address: '127.0.0.1', port: 9, weight: 1, checks: [], dynamicCookie: false };
        const options = [...forgottenDefaults, 'id', `${1000 + at}`];
        return [
          { ...it, ...place, kind: 'server', action: 'add', options },
          { ...it, kind: 'server', action: 'ready' },
        ];
      });
      assert.equal(
        (await world.worker.applyCommands(commands, { sections: splitSections('backend web\n', 'web') })).kind,
        'applied',
      );
      assert.equal(
        (await world.worker.observe(['backend web'])).get('server')?.get('backend web')?.said.split('\n').length,
        names.length,
      );
    });
}

for (const branch of branches)
  test(`HAProxy ${branch}: hundreds of frontends let go of their addresses and take them again`, async () => {
    await using folder = await tempFolder();
    const config = [
      configOfWeb(folder.path, []),
      ...names.map((name) => `frontend ${name}\n    bind ${join(folder.path, name)}`),
      '',
    ].join('\n');
    await using process = await startHaproxy(await haproxy(branch), folder.path, config);
    const statuses = async (): Promise<ReadonlySet<string>> => {
      const rows = (await ask(process.socket, ['show stat -1 1 -1'])).split('\n').map((line) => line.split(','));
      const at = rows[0]?.indexOf('status') ?? -1;
      return new Set(rows.filter(([name = '']) => names.includes(name)).map((row) => row[at] ?? ''));
    };
    await setFrontends(['disable'], process.socket, names);
    assert.ok(!(await statuses()).has('OPEN'));
    await setFrontends(['enable'], process.socket, names);
    assert.deepEqual(await statuses(), new Set(['OPEN']));
    await ask(process.socket, ['shutdown frontend server-399']);
    await setFrontends(['disable'], process.socket, ['nobody', 'server-399']);
  });

async function start(
  branch: HaproxyBranch,
  backend: readonly string[],
  mode: 'http' | 'tcp',
  global: readonly string[] = [],
) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await tempFolder());
  const config = configOfWeb(folder.path, backend, mode).replace('global\n', ['global', ...global, ''].join('\n'));
  const { socket } = stack.use(await startHaproxy(await haproxy(branch), folder.path, config));
  const { pid, version } = await readInfo(socket);
  const worker = new Worker({
    pid,
    version,
    started: null,
    running: { sections: splitSections(config) },
    ask: (line) => ask(socket, [line]),
    now: () => performance.now(),
  });
  const kept = stack.move();
  return { worker, socket, folder: folder.path, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Its server has answered. */
async function openSession(path: string): Promise<Socket> {
  const client = connect(path);
  client.on('error', () => client.destroy());
  client.write('hello');
  await once(client, 'data');
  return client;
}
