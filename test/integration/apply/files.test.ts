/** The config file on disks that are full, read-only or gone. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { configFile } from '../../../src/lib/files/config-file.ts';
import { writeDurably, writeInPieces } from '../../../src/lib/files/files.ts';
import type { Rendered } from '../../../src/model.ts';
import { applied, never, pidOf, reload, rendered, setup, text } from '../../support/haproxy/apply.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { get } from '../../support/load/requests.ts';

const isRoot = process.getuid?.() === 0;

test('a full disk stops no traffic, leaves the file that serves, and a change goes live once there is room', async (t) => {
  await using folder = await tempFolder();
  await using disk = await mount(t, folder.path, 'size=64k');
  if (disk === null) return;
  await using my = await setup(folder.path);
  const port = await freePort();
  const control = await my.open({ haproxy: { config: disk.file } });
  const good = rendered(my, [{ bind: `127.0.0.1:${port}` }]);
  applied(await control.apply(good, reload, never));
  const pid = pidOf(control);
  const ballast = join(disk.path, 'ballast');
  await fill(ballast);

  const next = rendered(my, [{ name: 'next', bind: `127.0.0.1:${port}` }], [`# ${'x'.repeat(9000)}`]);
  const outcome = await control.apply(next, reload, never);
  assert.equal(outcome.kind, 'failed');
  if (outcome.kind !== 'failed') return;
  assert.equal(outcome.error.code, 'MYELIN_WRITE_FAILED');
  assert.match(outcome.error.message, new RegExp(`^${disk.file} cannot be written: ENOSPC`));
  assert.equal(outcome.error.remedy, `make room on the file system of ${disk.path}`);
  assert.equal(pidOf(control), pid);
  assert.equal(await get(port), 'web');
  assert.equal(await readFile(disk.file, 'utf8'), text(good));
  assert.deepEqual((await readdir(disk.path)).sort(), ['ballast', 'haproxy.cfg']);

  await rm(ballast);
  applied(await control.apply(next, reload, never));
  // The old process may take a connection more before it hears that it is to leave.
  await until('the new one answers', async () => (await get(port)) === 'next');
});

test('maps that do not fit on a full disk leave those of before, and go live once there is room', async (t) => {
  await using folder = await tempFolder();
  await using disk = await mount(t, folder.path, 'size=96k');
  if (disk === null) return;
  await using my = await setup(folder.path);
  const port = await freePort();
  const control = await my.open({ haproxy: { config: disk.file } });
  const map = `${disk.file}.maps/public.map`;
  const withMap = (entries: string): Rendered => {
    const frontend = [`use_backend %[path,map_beg(${map},web)]`];
    const { sections } = rendered(my, [{ bind: `127.0.0.1:${port}`, frontend }]);
    return { sections: [...sections, { kind: 'map', name: map, text: entries, service: null }] };
  };
  applied(await control.apply(withMap('/a web\n'), reload, never));
  const ballast = join(disk.path, 'ballast');
  await fill(ballast);
  const many = Array.from({ length: 1000 }, (_, at) => `/path-${at} web\n`).join('');
  const outcome = await control.apply(withMap(many), reload, never);
  assert.ok(outcome.kind === 'failed' && outcome.error.code === 'MYELIN_WRITE_FAILED', JSON.stringify(outcome));
  assert.equal(await readFile(map, 'utf8'), '/a web\n');
  assert.deepEqual((await readdir(disk.path)).sort(), ['ballast', 'haproxy.cfg', 'haproxy.cfg.maps']);
  assert.deepEqual(await readdir(`${disk.file}.maps`), ['public.map']);
  assert.equal(await get(port), 'web');
  await rm(ballast);
  applied(await control.apply(withMap(many), reload, never));
  assert.equal(await readFile(map, 'utf8'), many);
});

test('a start that fails on a full disk has the proven file put back all the same', async (t) => {
  await using folder = await tempFolder();
  await using disk = await mount(t, folder.path, 'size=64k');
  if (disk === null) return;
  const file = configFile(disk.file);
  await file.write('proven\n');
  await file.propose('accepted\n');
  await file.accept();
  await fill(join(disk.path, 'ballast'));
  await file.rejectAccepted();
  assert.equal(await readFile(disk.file, 'utf8'), 'proven\n');
  assert.equal(await readFile(`${disk.file}.rejected`, 'utf8'), 'accepted\n');
});

test('where a refused file cannot be kept, the proven one is put back all the same', async () => {
  await using folder = await tempFolder();
  const file = configFile(join(folder.path, 'haproxy.cfg'));
  await file.write('proven\n');
  await file.propose('accepted\n');
  await file.accept();
  await mkdir(`${file.path}.rejected`);
  await assert.rejects(file.rejectAccepted(), { code: 'MYELIN_WRITE_FAILED' });
  assert.equal(await file.read(), 'proven\n');
  assert.equal(await file.isUncommitted(), false);
});

test('a read-only folder stops no traffic, and the message says what to do', async (t) => {
  await using folder = await tempFolder();
  await using disk = await mount(t, folder.path, 'size=1m');
  if (disk === null) return;
  await using my = await setup(folder.path);
  const port = await freePort();
  const control = await my.open({ haproxy: { config: disk.file } });
  applied(await control.apply(rendered(my, [{ bind: `127.0.0.1:${port}` }]), reload, never));
  execFileSync('mount', ['-o', 'remount,ro', disk.path]);
  const next = rendered(my, [{ name: 'next', bind: `127.0.0.1:${port}` }]);
  const outcome = await control.apply(next, reload, never);
  assert.equal(
    outcome.kind === 'failed' && outcome.error.remedy,
    `mount ${disk.path} writable, or move the file to a folder that is`,
  );
  assert.equal(await get(port), 'web');
  // What runs is recognised although its file cannot be written.
  await control[Symbol.asyncDispose]();
  const again = await my.open({ haproxy: { config: disk.file } });
  assert.equal(again.running?.generation, 1);
  execFileSync('mount', ['-o', 'remount,rw', disk.path]);
  applied(await again.apply(next, reload, never));
  // The old process may take a connection more before it hears that it is to leave.
  await until('the new one answers', async () => (await get(port)) === 'next');
});

test('what is in place already is proposed, accepted and kept in a read-only folder, and anything else is refused', async (t) => {
  await using folder = await tempFolder();
  await using disk = await mount(t, folder.path, 'size=1m');
  if (disk === null) return;
  const maps = join(disk.path, 'maps');
  const open = () => configFile(disk.file, { folders: [maps] });
  const [same, other] = ['same', 'other'].map((text) => [{ path: join(maps, 'a'), text, mode: 0o640 }] as const);
  const names = 'names maps/a\n';
  await open().write(names, same);
  execFileSync('mount', ['-o', 'remount,ro', disk.path]);
  const file = open();
  await assert.rejects(file.propose('another\n', same), { code: 'MYELIN_WRITE_FAILED' });
  await assert.rejects(file.propose(names, other), { code: 'MYELIN_WRITE_FAILED' });
  for (const decision of ['commit', 'rejectAccepted', 'putBack'] as const) {
    await file.propose(names, same);
    assert.equal(await readFile(file.candidate, 'utf8'), names);
    await file.accept();
    await file[decision]();
  }
  await file.propose(names, same);
  await file.reject();
  assert.deepEqual([await readFile(disk.file, 'utf8'), await readFile(join(maps, 'a'), 'utf8')], [names, 'same']);
  execFileSync('mount', ['-o', 'remount,rw', disk.path]);
  await file.propose('another\n', other);
  await file.accept();
  assert.equal(await readFile(disk.file, 'utf8'), 'another\n');
});

test('a file is written whole with mode 0640, and equal bytes are not written again', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'file');
  assert.equal(await writeDurably(path, 'one\n'), true);
  const before = await stat(path);
  assert.equal(before.mode & 0o777, 0o640);
  assert.equal(await writeDurably(path, 'one\n'), false);
  const after = await stat(path);
  assert.deepEqual([after.ino, after.mtimeMs, after.ctimeMs], [before.ino, before.mtimeMs, before.ctimeMs]);
  assert.equal(await writeDurably(path, 'two\n'), true);
  assert.equal(await readFile(path, 'utf8'), 'two\n');
  assert.deepEqual(await readdir(folder.path), ['file']);
});

test('a long file is written piece by piece, between which others have their turn', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'file');
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 0);
  const before: number[] = [];
  function* parts(): Generator<string> {
    for (let at = 0; at < 200; at += 1) {
      before.push(turns);
      yield 'ä'.repeat(50_000);
    }
  }
  const bytes = await writeInPieces(path, parts());
  clearInterval(timer);
  assert.equal(bytes, 20_000_000);
  assert.equal(await readFile(path, 'utf8'), 'ä'.repeat(10_000_000));
  assert.ok(new Set(before).size > 10, `${new Set(before).size} turns`);
  assert.deepEqual(await readdir(folder.path), ['file']);
});

test('a folder that is missing is named with its remedy', async () => {
  await using folder = await tempFolder();
  await assert.rejects(writeDurably(join(folder.path, 'no/file'), ''), {
    code: 'MYELIN_WRITE_FAILED',
    remedy: `create the folder ${folder.path}/no`,
  });
});

/** A small file system of its own; needs root, and says so where that is missing. */
async function mount(t: TestContext, folder: string, options: string) {
  if (!isRoot) {
    t.skip('needs root to mount a small file system');
    return null;
  }
  const path = join(folder, 'disk');
  await mkdir(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
  return {
    path,
    file: join(path, 'haproxy.cfg'),
    [Symbol.asyncDispose]: async () => {
      execFileSync('umount', ['--lazy', path]);
    },
  };
}

async function fill(path: string): Promise<void> {
  await assert.rejects(writeFile(path, Buffer.alloc(1024 * 1024)), { code: 'ENOSPC' });
}
