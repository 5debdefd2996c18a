/** Whose a HAProxy is, where its command line says little: of another container, with its files removed, not yet proved. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { generationAt, livingGenerations } from '../../../src/apply/state/generation.ts';
import { removeReady } from '../../../src/apply/state/records.ts';
import { commandLines, identifyProcess } from '../../../src/apply/system/processes.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { askSlowly } from '../../servers/steady.ts';
import { applied, never, pidOf, reload, rendered, serveWeb, setup, text } from '../../support/haproxy/apply.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { get, probe } from '../../support/load/requests.ts';
import { gone, isRunning } from '../../support/machine/processes.ts';

const canUnshare = spawnSync('unshare', ['-rm', 'true']).status === 0;

test('the HAProxy of another container with the same paths is neither recognised, nor counted, nor ended', {
  skip: canUnshare ? false : 'this needs `unshare -rm` (Linux, user namespaces)',
}, async () => {
  await using my = await setup();
  const [port, theirPort] = [await freePort(), await freePort()];
  const wanted = (name: string) => rendered(my, [{ name, bind: `127.0.0.1:${port}` }]);
  const first = await my.open();
  applied(await first.apply(wanted('one'), reload, never));
  applied(await first.apply(wanted('two'), reload, never));
  const ours = pidOf(first);
  await until('the old one is gone', () => first.oldWorkers.length === 0);
  await first[Symbol.asyncDispose]();

  // Theirs are of the same generation, of an older and of a newer one.
  const theirs: ChildProcess[] = [];
  try {
    for (const number of [1, 2, 3]) {
      const theirState = join(my.folder, `theirs-${number}`);
      const generation = join(theirState, `g${number}`);
      await mkdir(generation, { recursive: true });
      const config = rendered({ folder: generation, state: theirState }, [{ bind: `127.0.0.1:${theirPort + number}` }]);
      await writeFile(join(generation, 'haproxy.cfg'), text(config));
      await writeFile(join(generation, 'socket.cfg'), `global\n    stats socket ${generation}/s level admin\n`);
      const own = generationAt(my.state, number);
      const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
      const command = [await haproxy(), '-db', '-f', own.config, '-f', own.socketConfig];
      const child = spawn('unshare', ['-rm', 'sh', '-c', script, 'sh', theirState, my.state, ...command], {
        stdio: 'ignore',
      });
      theirs.push(child);
      await until('theirs serves', async () => (await get(theirPort + number)) === 'web');
    }
    const second = await my.open({ reload: { maxOldWorkers: 1, startTimeout: 2000 } });
    assert.equal(pidOf(second), ours);
    assert.deepEqual(second.oldWorkers, []);
    for (const name of ['three', 'four']) applied(await second.apply(wanted(name), reload, never));
    assert.equal(await get(port), 'four');
    for (const { exitCode, signalCode } of theirs) assert.deepEqual([exitCode, signalCode], [null, null]);
    for (const number of [1, 2, 3]) assert.equal(await get(theirPort + number), 'web');
    await second[Symbol.asyncDispose]();
  } finally {
    for (const child of theirs) child.kill('SIGKILL');
  }
});

const removals: readonly (readonly [string, (state: string) => string])[] = [
  ['folder', (state) => generationAt(state, 1).folder],
  ['`state`', (state) => state],
];

for (const [what, pathOf] of removals)
  test(`a HAProxy whose ${what} is removed while Myelin runs gives way to another, without a lost request`, async () => {
    await using my = await setup();
    const { control, port, wanted, pid } = await serveWeb(my);
    await using load = probe(port);
    await rm(pathOf(my.state), { recursive: true });
    await until('a reload is wanted', () => control.forced[0]?.code === 'socket_removed');
    assert.ok(my.changes() > 0);
    applied(await control.apply(wanted, reload, never));
    assert.deepEqual(control.forced, []);
    assert.notEqual(pidOf(control), pid);
    await gone(pid);
    assert.equal(await get(port), 'web');
    await load[Symbol.asyncDispose]();
    assert.deepEqual(load.failures, []);
    await until('its folder is not left', async () => !(await readdir(my.state)).includes('g1'));
  });

for (const [what, pathOf] of removals)
  test(`a HAProxy whose ${what} was removed while Myelin was away gives way to another, without a lost request`, async () => {
    await using my = await setup();
    const { control: first, port, wanted, pid } = await serveWeb(my);
    await first[Symbol.asyncDispose]();
    await using load = probe(port);
    await rm(pathOf(my.state), { recursive: true });

    const second = await my.open({ reload: { maxOldWorkers: 1 } });
    assert.equal(second.running, null);
    assert.ok(isRunning(pid), 'it serves on');
    assert.match(JSON.stringify(my.events), new RegExp(`kill -USR1 ${pid}`));
    applied(await second.apply(wanted, reload, never));
    assert.notEqual(pidOf(second), pid);
    assert.equal(second.oldWorkers.length, 1);
    await gone(pid);
    await until('it is forgotten', () => second.oldWorkers.length === 0);
    await load[Symbol.asyncDispose]();
    assert.deepEqual(load.failures, []);
  });

test('a HAProxy that was started, has connections and does not answer is told to leave, and finishes them', async () => {
  await using my = await setup();
  const { control: first, port, wanted, pid } = await serveWeb(my);
  await first[Symbol.asyncDispose]();
  // As on a full disk: it serves, and that could not be written down.
  await removeReady(generationAt(my.state, 1));
  await rm(generationAt(my.state, 1).socket);
  const slow = askSlowly(port, 1500);
  const second = await my.open({ reload: { startTimeout: 1000 } });
  assert.equal(second.running, null);
  assert.equal(await slow, 'web');
  await gone(pid);
  await until('it is forgotten', () => second.oldWorkers.length === 0);
  applied(await second.apply(wanted, reload, never));
  assert.equal(await get(port), 'web');
});

test('a child of HAProxy that has yet to become another program, as an external check, is not taken for HAProxy', async () => {
  await using folder = await tempFolder();
  const { config, socketConfig } = generationAt(folder.path, 7);
  // A subshell has the command line of its shell, and lasts until its input ends.
  const shell = spawn('sh', ['-c', 'exec 3<&0; (read end <&3) & wait', 'sh', '-db', '-f', config, '-f', socketConfig], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(shell, 'exit');
  try {
    await until(
      'both are there',
      () => commandLines().filter(({ command }) => command.includes(socketConfig)).length > 1,
    );
    assert.deepEqual(await livingGenerations(folder.path), new Map([[7, identifyProcess(shell.pid ?? 0)]]));
  } finally {
    shell.stdin.end();
    await ended;
  }
});
