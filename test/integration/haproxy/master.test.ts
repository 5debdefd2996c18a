/** The command line of a real HAProxy's master: processes, reloads, and commands to one worker. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { capabilitiesOf } from '../../../src/haproxy/binary/capabilities.ts';
import { parseAlerts } from '../../../src/haproxy/binary/check.ts';
import {
  askingMaster,
  prefixOf,
  readProcesses,
  readWorkerInfo,
  reloadMaster,
} from '../../../src/haproxy/cli/master.ts';
import { shutDownSessions } from '../../../src/haproxy/cli/sessions.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { readBatch, toBatches } from '../../../src/haproxy/resources/batch.ts';
import { readBackends } from '../../../src/haproxy/resources/servers/read-back.ts';
import { branches, haproxy } from '../../servers/haproxy.ts';
import { startMaster } from '../../support/haproxy/master.ts';
import { configOfWeb } from '../../support/haproxy/process.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';

const patience = { timeoutMs: 20_000 };

async function place(folder: string, text: string): Promise<string> {
  const file = join(folder, 'haproxy.cfg');
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
  return file;
}

for (const branch of branches) {
  test(`HAProxy ${branch}: a reload ends with a new worker that answers`, async () => {
    await using folder = await tempFolder();
    const file = await place(folder.path, configOfWeb(folder.path, ['server a 127.0.0.1:9']));
    await using master = await startMaster(await haproxy(branch), folder.path, file);
    const before = await master.worker();
    for (const round of [1, 2, 3]) {
      const outcome = await reloadMaster(master.socket, patience);
      assert.equal(outcome.kind, 'loaded');
      const { master: row, workers } = await master.processes();
      assert.deepEqual([row.pid, row.reloads], [master.pid, round]);
      assert.equal(`${row.version?.major}.${row.version?.minor}`, branch);
      assert.deepEqual([workers[0]?.pid, workers[0]?.reloads], [outcome.kind === 'loaded' && outcome.pid, 0]);
      assert.notEqual(workers[0]?.pid, before);
      assert.equal((await readWorkerInfo(master.socket, workers[0]?.pid ?? 0))?.pid, workers[0]?.pid);
    }
  });

  test(`HAProxy ${branch}: a reload that fails says so, and the worker from before can still be told`, async () => {
    await using folder = await tempFolder();
    const good = configOfWeb(folder.path, ['server a 127.0.0.1:9']);
    const file = await place(folder.path, good);
    await using master = await startMaster(await haproxy(branch), folder.path, file);
    const pid = await master.worker();
    await place(folder.path, good.replace('\nbackend web', '\nbackend web\n    bogus here'));
    const outcome = await reloadMaster(master.socket, patience);
    assert.equal(outcome.kind, 'failed');
    const [complaint] = parseAlerts(outcome.kind === 'failed' ? outcome.words : '');
    if (!['2.2', '2.6'].includes(branch))
      assert.deepEqual(complaint, { message: "unknown keyword 'bogus' in 'backend' section", file, line: 12 });
    else assert.equal(complaint, undefined, 'it does not tell');
    assert.equal((await readWorkerInfo(master.socket, pid))?.stopping, false);
    await place(folder.path, good);
    assert.equal((await reloadMaster(master.socket, patience)).kind, 'loaded', 'the next one is as ever');
  });

  test(`HAProxy ${branch}: reloads at once, by several, all come to an end with a new worker`, async () => {
    await using folder = await tempFolder();
    const file = await place(folder.path, configOfWeb(folder.path, ['server a 127.0.0.1:9']));
    await using master = await startMaster(await haproxy(branch), folder.path, file);
    const outcomes = await Promise.all([1, 2, 3].map(() => reloadMaster(master.socket, patience)));
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['loaded', 'loaded', 'loaded'],
    );
  });

  test(`HAProxy ${branch}: commands go to the worker that they are for, and only it answers`, async () => {
    await using folder = await tempFolder();
    const servers = Array.from({ length: 300 }, (_, at) => `server s${at} 127.0.0.1:${at + 1}`);
    const file = await place(folder.path, configOfWeb(folder.path, servers));
    await using master = await startMaster(await haproxy(branch), folder.path, file);
    const pid = await master.worker();
    const prefix = prefixOf(pid);
    const sending = askingMaster(master.socket);
    const info = await readWorkerInfo(master.socket, pid);
    assert.ok(info !== null);
    const options = { capabilities: capabilitiesOf(info.version), prefix };
    const batches = toBatches(
      servers.map((_, at) => ({ kind: 'server', action: 'weight', backend: 'web', server: `s${at}`, weight: 7 })),
      options,
    );
    assert.ok(batches.length > 1, 'more than one line takes');
    for (const batch of batches) {
      const { from, verdicts } = readBatch(batch, await sending(batch.line), options);
      assert.equal(from?.pid, pid);
      assert.ok(verdicts.every(({ kind }) => kind === 'done'));
    }
    const { from, seen } = await readBackends(sending, ['web', 'nowhere'], new Set(), { prefix });
    assert.deepEqual(
      from.map((each) => each?.pid),
      [pid],
    );
    assert.equal(seen.get('backend web')?.rows.length, 300);
    assert.ok(seen.get('backend web')?.rows.every((row) => row.srv_uweight === '7'));
    assert.deepEqual(seen.get('backend nowhere')?.rows, []);
  });

  test(`HAProxy ${branch}: who asks for a worker that is gone is told so each time, and nobody else is asked`, async () => {
    await using folder = await tempFolder();
    const file = await place(folder.path, configOfWeb(folder.path, ['server a 127.0.0.1:9']));
    await using master = await startMaster(await haproxy(branch), folder.path, file);
    for (let time = 0; time < 200; time++) assert.equal(await readWorkerInfo(master.socket, 4_194_305), null);
    assert.ok((await readWorkerInfo(master.socket, await master.worker())) !== null, 'it still takes connections');
  });

  test(`HAProxy ${branch}: a worker that leaves can be told, and ends once its sessions are shut down`, async () => {
    await using folder = await tempFolder();
    const held: Socket[] = [];
    const port = await freePort();
    await using stack = new AsyncDisposableStack();
    const server = createServer((socket) => held.push(socket.on('error', () => {}))).listen(port, '127.0.0.1');
    stack.defer(() => {
      for (const socket of held) socket.destroy();
      server.close();
    });
    const file = await place(folder.path, configOfWeb(folder.path, [`server a 127.0.0.1:${port}`], 'tcp'));
    await using master = await startMaster(await haproxy(branch), folder.path, file);
    const client = connect(join(folder.path, 'web.sock')).on('error', () => {});
    await until('the server has the connection', () => held.length === 1);
    const pid = await master.worker();
    assert.equal((await reloadMaster(master.socket, patience)).kind, 'loaded');
    const { oldWorkers } = await master.processes();
    assert.deepEqual(
      oldWorkers.map((row) => row.pid),
      [pid],
    );
    const info = await until('it leaves', async () => {
      const found = await readWorkerInfo(master.socket, pid);
      return found?.stopping === true ? found : null;
    });
    assert.equal(info.currConns, 1);
    const closed = once(client, 'close');
    await shutDownSessions(askingMaster(master.socket), { prefix: prefixOf(pid) });
    await closed;
    await until('it is gone', async () => (await master.processes()).oldWorkers.length === 0);
  });
}

test('a stats socket in the place of the master’s is told from it', async () => {
  await using folder = await tempFolder();
  const file = await place(folder.path, configOfWeb(folder.path, ['server a 127.0.0.1:9']));
  await using master = await startMaster(await haproxy(), folder.path, file);
  assert.ok(master.pid > 0);
  await assert.rejects(readProcesses(join(folder.path, 'admin.sock')), {
    code: 'MYELIN_SOCKET_FAILED',
    remedy: /masterSocket must name the socket of the master/,
  });
});

test('where no master is, that is said, and nobody waits for it', async () => {
  await using folder = await tempFolder();
  const socket = join(folder.path, 'master.sock');
  await assert.rejects(reloadMaster(socket, patience), { code: 'MYELIN_SOCKET_FAILED', message: /no such socket/ });
  const file = await place(folder.path, configOfWeb(folder.path, ['server a 127.0.0.1:9']));
  const master = await startMaster(await haproxy(), folder.path, file);
  await ask(master.socket, ['show proc']);
  await master.stop();
  await assert.rejects(reloadMaster(socket, patience), { message: /nobody listens/ });
  await rm(socket);
});
