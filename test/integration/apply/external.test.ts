/** Controls `command` and `none`: somebody else runs HAProxy, and Myelin hands it a file that it keeps good. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { isThere } from '../../../src/lib/files/files.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { applied, never, reload, rendered, setup, text } from '../../support/haproxy/apply.ts';
import { tempFolder, until } from '../../support/index.ts';
import { mountDisk } from '../../support/machine/disk.ts';

const node = process.execPath;

test('the check sees the candidate, the reload sees the file in its place, and both are run without a shell', async () => {
  await using my = await setup();
  const log = join(my.folder, 'log');
  const note = `require('fs').appendFileSync(process.argv[1], process.argv.slice(2).join(' ') + '\\n')`;
  const control = await my.open({
    haproxy: {
      control: 'command',
      checkCommand: [node, '-e', note, log, 'check', '{file}', '$HOME;'],
      reloadCommand: [node, '-e', note, log, 'reload', '{file}'],
    },
  });
  assert.deepEqual(control.forced, [{ code: 'first_start' }]);
  const wanted = rendered(my, [{ bind: '127.0.0.1:1' }]);
  applied(await control.apply(wanted, reload, never));
  assert.equal(await readFile(log, 'utf8'), `check ${my.file}.candidate $HOME;\nreload ${my.file}\n`);
  assert.equal(await readFile(my.file, 'utf8'), text(wanted));

  await control[Symbol.asyncDispose]();
  const again = await my.open({ haproxy: { control: 'command' } });
  assert.deepEqual(again.running?.sections, wanted.sections, 'a restart finds it applied');
  assert.deepEqual(again.forced, []);

  await again[Symbol.asyncDispose]();
  await rename(join(my.state, 'g0', 'services.json'), join(my.state, 'g0', 'owners'));
  const upgraded = await my.open({ haproxy: { control: 'command' } });
  assert.deepEqual(upgraded.running?.sections, wanted.sections, 'so does one that comes after an older Myelin');
});

test('what the check command says in HAProxy’s words is told with line and service, and nothing goes live', async () => {
  await using my = await setup();
  const checkCommand = [await haproxy(), '-c', '-f', '{file}'];
  const control = await my.open({ haproxy: { control: 'command', checkCommand, reloadCommand: ['false'] } });
  const bad = rendered(my, [{ bind: '127.0.0.1:1', backend: ['bogus'] }]);
  const line = text(bad).split('\n').indexOf('    bogus') + 1;
  assert.deepEqual(await control.apply(bad, reload, never), {
    kind: 'refused',
    problems: [{ message: "unknown keyword 'bogus' in 'backend' section", service: 'web', line, text: 'bogus' }],
  });
  await assert.rejects(readFile(my.file), { code: 'ENOENT' });
});

test('a reload command that fails has its output reported and the previous file put back', async () => {
  await using my = await setup();
  const fails = `if (require('fs').readFileSync(process.argv[1], 'utf8').includes('bad')) { console.error('no way'); process.exit(3) }`;
  const control = await my.open({ haproxy: { control: 'command', reloadCommand: [node, '-e', fails, '{file}'] } });
  const good = rendered(my, [{ bind: '127.0.0.1:1' }]);
  applied(await control.apply(good, reload, never));
  const bad = rendered(my, [{ name: 'bad', bind: '127.0.0.1:1' }]);
  const outcome = await control.apply(bad, reload, never);
  assert.match(
    outcome.kind === 'failed' ? outcome.error.message : '',
    /^haproxy.reloadCommand failed: .*: exit status 3: no way$/,
  );
  assert.equal(await readFile(my.file, 'utf8'), text(good));
  assert.equal(await readFile(`${my.file}.rejected`, 'utf8'), text(bad));
  assert.deepEqual(control.running?.sections, good.sections);
});

test('where state has no room HAProxy is told once, and once more after a restart', async (t) => {
  await using folder = await tempFolder();
  const disk = await mountDisk(t, join(folder.path, 'state'), '512k');
  if (disk === null) return;
  await using _ = disk;
  await using my = await setup(folder.path);
  const log = join(folder.path, 'log');
  const note = `require('fs').appendFileSync(process.argv[1], 'reload ')`;
  const reloadCommand = [node, '-e', note, log];
  const control = await my.open({ haproxy: { control: 'command', reloadCommand } });
  applied(await control.apply(rendered(my, [{ bind: '127.0.0.1:1' }]), reload, never));
  await disk.fill();
  // More than what may be free on a disk that is called full.
  const backend = Array.from({ length: 2000 }, (_, number) => `# a line of some length, which is number ${number}`);
  const wanted = rendered(my, [{ bind: '127.0.0.1:2', backend }]);
  applied(await control.apply(wanted, reload, never));
  assert.deepEqual(control.running?.sections, wanted.sections);
  assert.equal(await readFile(log, 'utf8'), 'reload reload ');
  assert.deepEqual(
    my.events.map(({ kind }) => kind),
    ['trouble'],
  );
  await control[Symbol.asyncDispose]();
  const again = await my.open({ haproxy: { control: 'command', reloadCommand } });
  assert.equal(again.running, null);
  assert.equal(text({ sections: again.found ?? [] }), text(wanted));
});

test('a reload command that hangs is ended after the start timeout', async () => {
  await using my = await setup();
  const reloadCommand = [node, '-e', 'setInterval(() => {}, 1000)'];
  const control = await my.open({ haproxy: { control: 'command', reloadCommand }, reload: { startTimeout: 300 } });
  const outcome = await control.apply(rendered(my, [{ bind: '127.0.0.1:1' }]), reload, never);
  assert.match(outcome.kind === 'failed' ? outcome.error.message : '', /did not end in time/);
});

test('a program that is not there is named', async () => {
  await using my = await setup();
  const control = await my.open({ haproxy: { control: 'command', reloadCommand: ['/nowhere/reload'] } });
  const outcome = await control.apply(rendered(my, [{ bind: '127.0.0.1:1' }]), reload, never);
  assert.equal(outcome.kind === 'failed' && outcome.error.code, 'MYELIN_HAPROXY_UNAVAILABLE');
  assert.match(outcome.kind === 'failed' ? outcome.error.message : '', /\/nowhere\/reload cannot be run/);
});

test('Myelin killed while the reload command ran starts from the previous file', async () => {
  await using my = await setup();
  const control = await my.open({ haproxy: { control: 'command', reloadCommand: ['true'] } });
  const good = rendered(my, [{ bind: '127.0.0.1:1' }]);
  applied(await control.apply(good, reload, never));
  await control[Symbol.asyncDispose]();
  await writeFile(`${my.file}.previous`, text(good));
  await writeFile(my.file, 'perhaps read, perhaps not\n');
  const again = await my.open({ haproxy: { control: 'command', reloadCommand: ['true'] } });
  assert.equal(await readFile(my.file, 'utf8'), text(good));
  assert.equal(again.running, null, 'nobody knows what HAProxy has: it is told again');
  await again[Symbol.asyncDispose]();
  const third = await my.open({ haproxy: { control: 'command', reloadCommand: ['true'] } });
  assert.equal(third.running, null, 'nor does one that is started after another has ended without telling it');
});

test('a reload command that is broken off leaves the previous file, and the next Myelin tells HAProxy again', async () => {
  await using my = await setup();
  const begun = join(my.folder, 'begun');
  const hangs = `if (!require('fs').readFileSync(process.argv[1], 'utf8').includes('slow')) process.exit();
    require('fs').writeFileSync(process.argv[2], ''); setInterval(() => {}, 1000)`;
  const reloadCommand = [node, '-e', hangs, '{file}', begun];
  const control = await my.open({ haproxy: { control: 'command', reloadCommand } });
  const good = rendered(my, [{ bind: '127.0.0.1:1' }]);
  applied(await control.apply(good, reload, never));
  const end = new AbortController();
  const slow = control.apply(rendered(my, [{ name: 'slow', bind: '127.0.0.1:1' }]), reload, end.signal);
  await until('the command runs', () => isThere(begun));
  end.abort();
  await assert.rejects(slow, { name: 'AbortError' });
  assert.equal(await readFile(my.file, 'utf8'), text(good));
  await control[Symbol.asyncDispose]();
  const again = await my.open({ haproxy: { control: 'command', reloadCommand } });
  assert.equal(again.running, null);
});

test('what the version before has recorded as live is known, and its reload command is not run again', async () => {
  await using my = await setup();
  const log = join(my.folder, 'log');
  const note = `require('fs').appendFileSync(process.argv[1], 'reload ')`;
  const wanted = rendered(my, [{ bind: '127.0.0.1:1' }]);
  const record = join(my.state, 'g0');
  await mkdir(record, { recursive: true });
  await writeFile(my.file, text(wanted));
  await writeFile(join(record, 'haproxy.cfg'), text(wanted));
  await writeFile(join(record, 'services.json'), JSON.stringify(wanted.sections.map(({ service }) => service)));
  const control = await my.open({ haproxy: { control: 'command', reloadCommand: [node, '-e', note, log] } });
  assert.deepEqual(control.running?.sections, wanted.sections);
  assert.deepEqual([control.forced, control.found], [[], null]);
  const { ino } = await stat(my.file);
  applied(await control.apply(wanted, { kind: 'none' }, never));
  assert.deepEqual([await isThere(log), (await stat(my.file)).ino], [false, ino]);
});

test('a file that HAProxy has and that somebody has changed by hand is put right without a reload', async () => {
  await using my = await setup();
  const log = join(my.folder, 'log');
  const note = `require('fs').appendFileSync(process.argv[1], 'reload ')`;
  const control = await my.open({ haproxy: { control: 'command', reloadCommand: [node, '-e', note, log] } });
  const wanted = rendered(my, [{ bind: '127.0.0.1:1' }]);
  applied(await control.apply(wanted, reload, never));
  await writeFile(my.file, 'by hand\n');
  applied(await control.apply(wanted, { kind: 'none' }, never));
  assert.deepEqual([await readFile(my.file, 'utf8'), await readFile(log, 'utf8')], [text(wanted), 'reload ']);
});

test('a file that is wanted as it is has its reload command run all the same, where that is asked for', async () => {
  await using my = await setup();
  const fails = join(my.folder, 'fails');
  const log = join(my.folder, 'log');
  const script = `require('fs').appendFileSync(process.argv[1], 'reload '); process.exit(require('fs').existsSync(process.argv[2]) ? 1 : 0)`;
  const control = await my.open({
    haproxy: { control: 'command', reloadCommand: [node, '-e', script, log, fails] },
  });
  const wanted = rendered(my, [{ bind: '127.0.0.1:1' }]);
  for (let round = 0; round < 2; round++) applied(await control.apply(wanted, reload, never));
  await writeFile(fails, '');
  assert.equal((await control.apply(wanted, reload, never)).kind, 'failed');
  assert.deepEqual([await readFile(my.file, 'utf8'), await readFile(log, 'utf8')], [text(wanted), 'reload '.repeat(3)]);
  assert.deepEqual(
    (await readdir(my.folder)).filter((name) => name.startsWith('haproxy.cfg')),
    ['haproxy.cfg', 'haproxy.cfg.rejected'],
  );
});

test('control none only writes the file, at once', async () => {
  await using my = await setup();
  const control = await my.open({ haproxy: { control: 'none' }, reload: { minInterval: 60_000 } });
  for (const name of ['one', 'two']) {
    const wanted = rendered(my, [{ name, bind: '127.0.0.1:1' }]);
    assert.equal(control.reloadAt(wanted, 5).at, 5);
    applied(await control.apply(wanted, reload, never));
    assert.equal(await readFile(my.file, 'utf8'), text(wanted));
  }
});
