/** Connections that HAProxy keeps to where a server was, once the server has another address. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, get } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import { readServersState } from '../../../src/haproxy/cli/info.ts';
import { branches, haproxy } from '../../servers/haproxy.ts';
import { configOfWeb, type HaproxyProcess, startHaproxy } from '../../support/haproxy/process.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';

/** Here the tested release takes a connection for one to wherever its server is now (5fda64e87). */
const confused: readonly string[] = ['2.2', '2.6'];

for (const branch of branches) {
  test(`HAProxy ${branch} closes its idle connections to the former address of a server`, async () => {
    await using folder = await tempFolder();
    await using former = await startServer('former');
    await using present = await startServer('present');
    const config = configOfWeb(folder.path, ['http-reuse always', `server a 127.0.0.1:${former.port}`]);
    await using started = await startHaproxy(await haproxy(branch), folder.path, config);
    const client = clientOf(folder.path);
    for (let times = 0; times < 3; times++) assert.deepEqual(await client.answers(), ['former', 'former']);
    await move(started, present.port);
    for (let times = 0; times < 20; times++) assert.deepEqual(await client.answers(), ['present', 'present']);
  });

  const isConfused = confused.includes(branch);
  const subject = `HAProxy ${branch}${isConfused ? ' with option http-server-close' : ''}`;
  test(`once a server has moved, ${subject} sends nothing new over a connection that was in use meanwhile`, async () => {
    await using folder = await tempFolder();
    await using former = await startServer('former');
    await using present = await startServer('present');
    const lines = ['http-reuse always', ...(isConfused ? ['option http-server-close'] : [])];
    const config = configOfWeb(folder.path, [...lines, `server a 127.0.0.1:${former.port}`]);
    await using started = await startHaproxy(await haproxy(branch), folder.path, config);
    const client = clientOf(folder.path);
    const answer = former.hold();
    const under = Promise.all([client.answers(), client.answers(), client.answers()]);
    await until('they wait for their answers', () => former.waiting() === 4);
    await move(started, present.port);
    answer();
    // The kept connection of the client has one request after the other.
    assert.equal((await under).flat().filter((each) => each === 'former').length, 4);
    for (let times = 0; times < 20; times++) assert.deepEqual(await client.answers(), ['present', 'present']);
  });
}

/** As Myelin does, and until HAProxy has it. */
async function move(started: HaproxyProcess, port: number): Promise<void> {
  const it = { kind: 'server', backend: 'web', server: 'a' } as const;
  assert.deepEqual(await started.run([{ ...it, action: 're-address', address: '127.0.0.1', port }]), [
    { kind: 'done' },
  ]);
  await until('it is read back', async () => (await readServersState(started.socket)).rows[0]?.srv_port === `${port}`);
}

type Client = { answers(): Promise<readonly string[]> };

/** Asks over a connection of its own, and over one that is kept. */
function clientOf(folder: string): Client {
  const kept = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async (agent: Agent | false): Promise<string> => {
    const request = get({ socketPath: join(folder, 'web.sock'), agent });
    const [response] = await once(request, 'response');
    return text(response);
  };
  return { answers: () => Promise.all([ask(false), ask(kept)]) };
}

type HoldingServer = AsyncDisposable & {
  readonly port: number;
  readonly waiting: () => number;
  /** Requests wait for their answers until the returned function is called. */
  hold(): () => void;
};

/** Answers its name and keeps connections open. */
async function startServer(name: string): Promise<HoldingServer> {
  const port = await freePort();
  let waiting: (() => void)[] | null = null;
  const server = createServer({ keepAliveTimeout: 60_000 }, (_, response) => {
    const answer = (): void => void response.end(name);
    if (waiting === null) answer();
    else waiting.push(answer);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port,
    waiting: () => waiting?.length ?? 0,
    hold() {
      const held: (() => void)[] = [];
      waiting = held;
      return () => {
        waiting = null;
        for (const answer of held) answer();
      };
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
