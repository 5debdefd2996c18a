/** What a new Myelin finds and does after the last one was stopped or killed, at whatever moment. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import timers from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { generationAt } from '../../../src/apply/state/generation.ts';
import { writeReplaces } from '../../../src/apply/state/records.ts';
import { identifyProcess } from '../../../src/apply/system/processes.ts';
import { filesIn } from '../../../src/haproxy/text/layout/files.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { applied, never, pidOf, reload, rendered, serveWeb, setup, text } from '../../support/haproxy/apply.ts';
import { freePort, until } from '../../support/index.ts';
import { accepts, get, probe } from '../../support/load/requests.ts';
import { programOf } from '../../support/machine/listeners.ts';
import { gone, isRunning } from '../../support/machine/processes.ts';

test('a restart of Myelin recognises what runs, with its sections and their services, and reloads nothing', async () => {
  await using my = await setup();
  const { control: first, port, wanted } = await serveWeb(my);
  const before = first.running;
  await first[Symbol.asyncDispose]();

  const second = await my.open();
  const { since = 0 } = before ?? {};
  assert.deepEqual({ ...second.running, since }, before);
  assert.ok(Math.abs((second.running?.since ?? 0) - since) < 1000);
  assert.deepEqual(second.running?.sections, wanted.sections);
  assert.deepEqual(second.forced, []);
  assert.equal(second.found, null);
  assert.deepEqual(my.events.at(-1), { kind: 'adopted', pid: pidOf(second), generation: 1 });
  assert.equal(await get(port), 'web');

  applied(await second.apply(rendered(my, [{ name: 'next', bind: `127.0.0.1:${port}` }]), reload, never));
  assert.equal(await get(port), 'next');
  await gone(before?.process?.pid ?? 0);
});

test('an upgrade recognises what runs by the names that an older Myelin gave its files, and reloads nothing', async () => {
  await using my = await setup();
  const { control: first, wanted, pid } = await serveWeb(my);
  await first[Symbol.asyncDispose]();
  const { folder } = generationAt(my.state, 1);
  await rename(join(folder, 'ready.json'), join(folder, 'proved'));
  await rename(join(folder, 'services.json'), join(folder, 'owners'));

  const second = await my.open();
  assert.equal(pidOf(second), pid);
  assert.deepEqual(second.running?.sections, wanted.sections, 'with their services');
  assert.deepEqual(second.forced, []);
  assert.equal(second.found, null);
});

test('an adopted HAProxy that ends is noticed', async () => {
  await using my = await setup();
  const { control: first } = await serveWeb(my);
  await first[Symbol.asyncDispose]();
  const second = await my.open();
  process.kill(pidOf(second), 'SIGKILL');
  await until('the exit is noticed', () => second.running === null);
  assert.deepEqual(second.forced, [{ code: 'haproxy_exited' }]);
});

test('a process that was started but not yet seen to answer is recognised, and the older one told to leave', async () => {
  await using my = await setup();
  const { control: first, port, pid: old } = await serveWeb(my, 'old');
  const oldSocket = first.running?.process?.socket ?? '';
  await first[Symbol.asyncDispose]();

  const next = rendered(my, [{ name: 'new', bind: `127.0.0.1:${port}` }]);
  const started = await startByHand(my.state, my.file, text(next), oldSocket);
  const second = await my.open();
  assert.equal(pidOf(second), started);
  assert.equal(second.running?.generation, 2);
  assert.equal(text({ sections: second.running?.sections ?? [] }), text(next));
  assert.equal(await get(port), 'new');
  assert.equal(await readFile(my.file, 'utf8'), text(next));
  await gone(old);
});

test('who was to give way to a process is told to leave where Myelin was killed before it did that', async () => {
  await using my = await setup();
  const { control: first } = await serveWeb(my);
  await first[Symbol.asyncDispose]();
  const byHand = spawn('sleep', ['60'], { stdio: 'ignore' });
  const ended = once(byHand, 'exit');
  await once(byHand, 'spawn');
  await writeReplaces(generationAt(my.state, 1), identifyProcess(byHand.pid ?? 0) ?? assert.fail());
  const second = await my.open();
  assert.deepEqual(await ended, [null, 'SIGUSR1']);
  await until('it is forgotten', () => second.oldWorkers.length === 0);
});

test('a start that nobody saw the end of, and that failed, leaves the proven file', async () => {
  await using my = await setup();
  const { control: first, wanted: good } = await serveWeb(my);
  await first[Symbol.asyncDispose]();
  // Killed between the rename and the start.
  await writeFile(`${my.file}.previous`, text(good));
  await writeFile(my.file, 'not proven\n');
  await mkdir(join(my.state, 'g2'));
  const second = await my.open();
  assert.equal(await readFile(my.file, 'utf8'), text(good));
  assert.equal(second.running?.generation, 1);
  assert.deepEqual(await readdir(my.state), ['g1', 'lock', 'servers.state']);
  assert.ok(my.events.some(({ kind }) => kind === 'file_restored'));
});

test('with everything gone, the file from before an unproven start is what a cold start finds', async () => {
  await using my = await setup();
  const { control: first, port, wanted: good, pid } = await serveWeb(my);
  await first[Symbol.asyncDispose]();
  process.kill(pid, 'SIGKILL');
  await gone(pid);
  await writeFile(`${my.file}.previous`, text(good));
  await writeFile(my.file, 'not proven\n');
  await mkdir(join(my.state, 'g2'));

  const second = await my.open();
  assert.equal(second.running, null);
  assert.equal(text({ sections: second.found ?? [] }), text(good));
  applied(await second.apply({ sections: second.found ?? [] }, reload, never));
  assert.equal(await get(port), 'web');
});

test('a HAProxy whose sockets were all taken away is neither ended nor joined by a second one', async () => {
  await using my = await setup();
  const { control: first, port, wanted, pid } = await serveWeb(my);
  await first[Symbol.asyncDispose]();
  await rm(my.state, { recursive: true });
  await rm(join(my.folder, 'admin.sock.kept'));

  const second = await my.open();
  assert.equal(second.running, null);
  const outcome = await second.apply(wanted, reload, never);
  assert.equal(outcome.kind, 'refused');
  assert.match(JSON.stringify(outcome), new RegExp(`${await programOf(pid)} \\(pid ${pid}\\)`));
  assert.equal(await get(port), 'web');
  process.kill(pid, 'SIGTERM');
  await gone(pid);
});

test('a second Myelin on the same state is refused, naming the first and the folder', async () => {
  await using my = await setup();
  const first = await my.open();
  await assert.rejects(my.open(), {
    code: 'MYELIN_LOCKED',
    message: `the state folder ${my.state} is in use by another Myelin (pid ${process.pid})`,
  });
  await first[Symbol.asyncDispose]();
  await my.open();
});

test('Myelin killed at any moment of its reloads costs no request, and the next one goes on from there', async () => {
  await using my = await setup();
  const port = await freePort();
  const loop = fileURLToPath(new URL('../../support/haproxy/apply-loop.ts', import.meta.url));
  let watching: ReturnType<typeof probe> | null = null;
  try {
    for (let round = 0; round < 12; round++) {
      const child = spawn(process.execPath, [loop, my.folder, `127.0.0.1:${port}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
      await until('it reloads', () => output.includes('.'));
      watching ??= probe(port);
      // Another moment each round, over the length of two reloads.
      await timers.setTimeout(round * 17);
      child.kill('SIGKILL');
      await once(child, 'exit');
      assert.match(output, /^ready\n\.+$/);
    }
    const control = await my.open();
    const serving = pidOf(control);
    assert.equal(await readFile(my.file, 'utf8'), text({ sections: control.running?.sections ?? [] }));
    const name = (await readFile(my.file, 'utf8')).includes('odd') ? 'odd' : 'even';
    assert.equal(await readFile(`${my.file}.maps/routes.map`, 'utf8'), `/ ${name}\n`);
    assert.deepEqual(
      filesIn(control.running?.sections ?? []).map((file) => file.text),
      [`/ ${name}\n`],
    );
    assert.equal(await get(port), name);
    await until('only the serving one is left', async () => {
      return (
        control.oldWorkers.length === 0 && (await readdir(my.state)).filter((name) => /^g/.test(name)).length === 1
      );
    });
    assert.ok(isRunning(serving));
    assert.ok((watching?.asked() ?? 0) > 100);
    assert.deepEqual(watching?.failures, []);
  } finally {
    await watching?.[Symbol.asyncDispose]();
  }
  assert.equal(await accepts(port), true);
});

/** The second generation as a Myelin leaves it that is killed right after the start. */
async function startByHand(state: string, file: string, config: string, from: string): Promise<number> {
  const generation = join(state, 'g2');
  await mkdir(generation);
  await writeFile(file, config);
  await writeFile(join(generation, 'haproxy.cfg'), config);
  await writeFile(
    join(generation, 'socket.cfg'),
    `global\n    stats socket ${generation}/s level admin expose-fd listeners\n`,
  );
  const args = ['-db', '-f', file, '-f', join(generation, 'socket.cfg'), '-x', from];
  const child = spawn(await haproxy(), args, { stdio: 'ignore', detached: true });
  await once(child, 'spawn');
  child.unref();
  return child.pid ?? 0;
}
