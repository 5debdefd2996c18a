/** Processes that were told to leave: they finish what they have, are counted, and are never more than was allowed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedDriver } from '../../../src/apply/driver.ts';
import { applied, never, pidOf, reload, rendered, type Setup, setup } from '../../support/haproxy/apply.ts';
import { freePort, until } from '../../support/index.ts';
import { get } from '../../support/load/requests.ts';
import { gone, isRunning } from '../../support/machine/processes.ts';

test('an open connection outlives reloads, and its process goes when it ends', async () => {
  await using my = await setup();
  const port = await freePort();
  const control = await my.open();
  await change(my, control, port, 0);
  const first = pidOf(control);
  const client = await hold(port);
  await change(my, control, port, 1);
  await change(my, control, port, 2);
  await until('only the process with the connection is left', () => control.oldWorkers.length === 1);
  const [old] = control.oldWorkers;
  assert.deepEqual([old?.pid, old?.connections], [first, 1]);

  client.write('Host: x\r\n\r\n');
  const [answer] = (await once(client, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
  await gone(first);
  await until('that it is gone is noticed', () => control.oldWorkers.length === 0);
  // A reload that waited for room is told: two old workers went, one after the other.
  await until('a reconcile was asked for', () => my.changes() === 2);
  assert.deepEqual(
    my.events.filter(({ kind }) => kind === 'connections_closed'),
    [],
  );
});

test('an old worker that somebody else tells to leave as well ends with its last connection', async () => {
  await using my = await setup();
  const port = await freePort();
  const control = await my.open();
  await change(my, control, port, 0);
  const first = pidOf(control);
  const client = await hold(port);
  await change(my, control, port, 1);
  process.kill(first, 'SIGUSR1');
  await until('its connection is seen', () => control.oldWorkers[0]?.connections === 1);
  client.destroy();
  await gone(first);
  await until('that it is gone is noticed', () => control.oldWorkers.length === 0);
});

test('an old worker that did not answer for a while can be told again, and a reconcile is asked for that does', async (t) => {
  await using my = await setup();
  const port = await freePort();
  const control = await my.open();
  await change(my, control, port, 0);
  const first = pidOf(control);
  t.after(() => resume(first));
  const client = await hold(port);
  await change(my, control, port, 1);
  const followers = (): number => control.followers.length;
  assert.equal(followers(), 1);
  process.kill(first, 'SIGSTOP');
  await until('it is given up for now', () => followers() === 0);
  const before = my.changes();
  resume(first);
  await until('it can be told again', () => followers() === 1);
  await until('a reconcile is asked for', () => my.changes() === before + 1);
  client.destroy();
  await gone(first);
});

test('a reload waits while there are too many old workers; then the oldest is retired and its connections counted', async () => {
  await using my = await setup();
  const port = await freePort();
  const control = await my.open({ reload: { maxOldWorkers: 2, maxDelay: 60_000 } });
  const clients: Socket[] = [];
  const pids: number[] = [];
  for (let round = 0; round < 3; round++) {
    await change(my, control, port, round);
    pids.push(pidOf(control));
    clients.push(await hold(port));
  }
  assert.deepEqual(
    control.oldWorkers.map(({ pid }) => pid),
    pids.slice(0, 2),
  );
  // It passes `haproxy -c` and the preflight, and fails at its start: it costs nobody a connection.
  const missing = { name: 'b', bind: join(my.folder, 'missing/socket') };
  const failing = rendered(my, [{ bind: `127.0.0.1:${port}` }, missing]);
  assert.equal((await control.apply(failing, reload, never)).kind, 'failed');
  assert.ok(pids.every(isRunning));
  const since = Date.now();
  assert.deepEqual(control.reloadAt(rendered(my, []), since), {
    at: since + 60_000,
    because: 'old_workers',
    retires: true,
  });

  await change(my, control, port, 3);
  await gone(pids[0] ?? 0);
  assert.ok(pids.slice(1).every(isRunning));
  assert.deepEqual(
    control.oldWorkers.map(({ pid }) => pid),
    pids.slice(1),
  );
  assert.deepEqual(
    my.events.filter(({ kind }) => kind === 'connections_closed'),
    [{ kind: 'connections_closed', limit: 'max_old_workers', pid: pids[0], connections: 1 }],
  );
  for (const client of clients) client.destroy();
});

test('old workers are found again after a restart of Myelin', async () => {
  await using my = await setup();
  const port = await freePort();
  const first = await my.open();
  await change(my, first, port, 0);
  const pid = pidOf(first);
  const client = await hold(port);
  await change(my, first, port, 1);
  await first[Symbol.asyncDispose]();
  const second = await my.open();
  assert.deepEqual(
    second.oldWorkers.map((worker) => worker.pid),
    [pid],
  );
  client.destroy();
  await until('it goes', () => second.oldWorkers.length === 0);
  assert.equal(await get(port), 'web1');
});

async function change(my: Setup, control: ManagedDriver, port: number, round: number): Promise<void> {
  applied(await control.apply(rendered(my, [{ name: `web${round}`, bind: `127.0.0.1:${port}` }]), reload, never));
}

/** A connection in the middle of a request. */
async function hold(port: number): Promise<Socket> {
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  client.on('error', () => {});
  client.write('GET / HTTP/1.1\r\n');
  // Connections are taken in order: once this one is answered, the other is HAProxy's.
  await get(port);
  return client;
}

/** Of a process that was stopped; nothing happens where it is gone. */
function resume(pid: number): void {
  if (isRunning(pid)) process.kill(pid, 'SIGCONT');
}
