/** One Myelin takes the listening sockets of another's HAProxy: what it relies on, and what it leaves alone. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readInfo } from '../../../src/haproxy/cli/info.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { applied, never, pidOf, reload, rendered, setup } from '../../support/haproxy/apply.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { get, probe } from '../../support/load/requests.ts';
import { listenersOf } from '../../support/machine/listeners.ts';
import { gone, isRunning } from '../../support/machine/processes.ts';

const at = (shared: string, name: string) => ({ haproxy: { onExit: 'stop', handover: join(shared, name) } }) as const;

test('two HAProxys of a handover take connections until one of them ends, whichever that is', async () => {
  await using shared = await tempFolder();
  await using one = await tempFolder();
  await using two = await tempFolder();
  await using first = await setup(one.path);
  await using second = await setup(two.path);
  const port = await freePort();
  const before = await first.open(at(shared.path, 'a'));
  applied(await before.apply(rendered(first, [{ bind: `127.0.0.1:${port}` }]), reload, never));
  const after = await second.open(at(shared.path, 'b'));
  const wanted = rendered(second, [{ bind: `127.0.0.1:${port}` }]);
  await using watching = probe(port);
  applied(await after.apply(wanted, reload, never));
  const [firstPid, secondPid] = [pidOf(before), pidOf(after)];
  assert.deepEqual(
    await listenersOf(port),
    [firstPid, secondPid].sort((a, b) => a - b),
  );
  assert.deepEqual(
    second.events.filter(({ kind }) => kind === 'taken_over'),
    [{ kind: 'taken_over', folder: join(shared.path, 'a/g1') }],
  );
  const own = await readdir(second.state);
  assert.deepEqual(own, ['lock', 'servers.state'], 'only what is its own alone is in `state`');

  // What ends by itself gets the sockets back from the one that is still there.
  assert.deepEqual(watching.failures, []);
  process.kill(secondPid, 'SIGKILL');
  await until('its end is noticed', () => after.forced[0]?.code === 'haproxy_exited');
  applied(await after.apply(wanted, reload, never));
  const again = pidOf(after);
  // One that is killed takes along what it has accepted: of five clients a request each at most.
  const lost = watching.failures.length;
  assert.ok(lost <= 5, watching.failures.join());
  assert.deepEqual(
    await listenersOf(port),
    [firstPid, again].sort((a, b) => a - b),
  );

  await before.stop();
  await gone(firstPid);
  assert.deepEqual(await listenersOf(port), [again]);
  assert.equal(await get(port), 'web');
  const asked = watching.asked();
  await until('requests are still answered', () => watching.asked() > asked + 20);
  assert.equal(watching.failures.length, lost, watching.failures.join());
  assert.deepEqual(await readdir(shared.path), ['b'], 'nothing is left of the one that has ended');
  await after.stop();
  assert.deepEqual(await readdir(shared.path), []);
});

test('a folder in which the HAProxy of somebody else answers is not used, and nothing in it is touched', async () => {
  await using shared = await tempFolder();
  await using my = await setup();
  const generation = join(shared.path, 'a/g7');
  await mkdir(generation, { recursive: true });
  const socket = join(generation, 's');
  // As of a Myelin in another container, whose processes cannot be seen from here.
  const foreign = join(my.folder, 'foreign.cfg');
  await writeFile(foreign, `global\n    stats socket ${socket} level admin expose-fd listeners\n`);
  const child = spawn(await haproxy(), ['-db', '-f', foreign], { stdio: 'ignore' });
  try {
    await until('it answers', () => readInfo(socket));
    await assert.rejects(my.open(at(shared.path, 'a')), {
      code: 'MYELIN_LOCKED',
      message: /a is in use by another Myelin/,
    });
    assert.ok((await readInfo(socket)).pid > 0);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

test('what killed Myelins have left goes once it is old; what is young, or answers, or is none of Myelin’s, stays', async () => {
  await using shared = await tempFolder();
  await using one = await tempFolder();
  await using two = await tempFolder();
  await using first = await setup(one.path);
  await using second = await setup(two.path);
  const serving = await first.open(at(shared.path, 'serving'));
  applied(await serving.apply(rendered(first, [{ bind: `127.0.0.1:${await freePort()}` }]), reload, never));
  for (const name of ['old/g1', 'young/g1', 'other/g1', 'empty'])
    await mkdir(join(shared.path, name), { recursive: true });
  for (const name of ['old', 'young']) await writeFile(join(shared.path, name, 'g1/socket.cfg'), '');
  await writeFile(join(shared.path, 'note'), '');
  const longAgo = new Date(Date.now() - 2 * 3_600_000);
  for (const name of ['old/g1', 'old', 'other/g1', 'other', 'empty', 'serving/g1', 'serving', 'note'])
    await utimes(join(shared.path, name), longAgo, longAgo);
  await second.open(at(shared.path, 'second'));
  assert.deepEqual((await readdir(shared.path)).sort(), ['empty', 'note', 'other', 'second', 'serving', 'young']);
  assert.deepEqual(await readdir(join(shared.path, 'young')), ['g1']);
  assert.deepEqual(await readdir(join(shared.path, 'other')), ['g1']);
  assert.ok(isRunning(pidOf(serving)));
  assert.ok((await readdir(join(shared.path, 'serving/g1'))).includes('s'));
  assert.ok(second.events.every(({ kind }) => kind !== 'trouble'));
});
