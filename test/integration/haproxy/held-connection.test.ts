/** Connections to a real HAProxy's runtime API that stay open. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { frame, unframe } from '../../../src/haproxy/cli/framing.ts';
import { AdminSession, HeldConnection } from '../../../src/haproxy/cli/held-connection.ts';
import { readInfo } from '../../../src/haproxy/cli/info.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { branches, haproxy } from '../../servers/haproxy.ts';
import { configOfWeb, startHaproxy } from '../../support/haproxy/process.ts';
import { tempFolder, until } from '../../support/index.ts';

const servers = Array.from({ length: 500 }, (_, at) => `server s${at} 127.0.0.1:${at + 1}`);

for (const branch of branches) {
  test(`HAProxy ${branch} answers over a connection that is held as over a new one each time`, async () => {
    await using folder = await tempFolder();
    await using started = await startHaproxy(await haproxy(branch), folder.path, configOfWeb(folder.path, servers));
    const held = new HeldConnection(started.socket);
    const lines = [
      ['show servers state web'],
      ['set server web/s0 weight 7', 'set server web/nobody weight 7', 'nonsense', 'show servers state nowhere'],
      [],
    ].map((commands) => frame(commands));
    for (const line of lines) {
      const [fresh, kept] = [unframe(await ask(started.socket, [line])), unframe(await held.ask(line))];
      assert.equal(kept.from?.pid, fresh.from?.pid);
      assert.deepEqual(kept.replies.map(withoutTimes), fresh.replies.map(withoutTimes));
    }
    held.close();
  });

  test(`a connection that HAProxy ${branch} has ended is made anew by the next question`, async () => {
    await using folder = await tempFolder();
    await using started = await startHaproxy(await haproxy(branch), folder.path, configOfWeb(folder.path, servers));
    const held = new HeldConnection(started.socket);
    for (let time = 0; time < 3; time++) {
      assert.equal(unframe(await held.ask(frame([]))).from?.stopping, false);
      const ended = await AdminSession.open(started.socket);
      await endConnections(started.socket);
      await until('HAProxy has ended what was opened after it', () => !ended.isOpen);
    }
    held.close();
    await assert.rejects(held.ask(frame([])), { code: 'MYELIN_SOCKET_FAILED' }, 'after close nobody is asked');
  });

  test(`who asks HAProxy ${branch} at the same time shares one connection that is held`, async () => {
    await using folder = await tempFolder();
    await using started = await startHaproxy(await haproxy(branch), folder.path, configOfWeb(folder.path, servers));
    const held = new HeldConnection(started.socket);
    const answers = await Promise.all([1, 2, 3].map(() => held.ask(frame(['show servers state web']))));
    assert.ok(answers.every((answer) => unframe(answer).replies.length === 1));
    // HAProxy lists those for a moment still that asked whether it had started.
    await until(
      'that one is left, and the one that asks here',
      async () => (await connectionsTo(started.socket)).length === 1 + 1,
    );
    held.close();
  });

  test(`HAProxy ${branch} leaves only when the connection that is held is closed, and answers over it until then`, async () => {
    await using folder = await tempFolder();
    await using started = await startHaproxy(await haproxy(branch), folder.path, configOfWeb(folder.path, servers));
    const held = new HeldConnection(started.socket);
    await held.ask(frame([]));
    process.kill((await readInfo(started.socket)).pid, 'SIGUSR1');
    await until('it says that it leaves', async () => unframe(await held.ask(frame([]))).from?.stopping === true);
    held.close();
    await until('it has ended', () => started.hasEnded());
  });
}

test('where nobody listens that is said, and once somebody does the next question is answered', async () => {
  await using folder = await tempFolder();
  const held = new HeldConnection(join(folder.path, 'admin.sock'));
  await assert.rejects(held.ask(frame([])), { code: 'MYELIN_SOCKET_FAILED', message: /there is no such socket/ });
  const config = configOfWeb(folder.path, servers);
  await using _ = await startHaproxy(await haproxy(), folder.path, config);
  assert.equal(unframe(await held.ask(frame([]))).from?.stopping, false);
  held.close();
});

/** As `stats timeout` does, but at once. */
async function endConnections(socket: string): Promise<void> {
  const ids = await connectionsTo(socket);
  await ask(
    socket,
    ids.map((id) => `shutdown session ${id}`),
  );
}

async function connectionsTo(socket: string): Promise<readonly string[]> {
  const sessions = await ask(socket, ['show sess']);
  return [...sessions.matchAll(/^(0x[0-9a-f]+): .*\bfe=GLOBAL\b/gm)].map(([, id]) => id ?? '');
}

/** The seconds since a server last changed go on. */
function withoutTimes(reply: string): string {
  return reply.replace(/^((?:\S+ ){9})\d+/gm, '$1–');
}
