/** Trouble with templates, configs, ports, executables and disks costs no request, is said clearly, and mends itself. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../../../src/lib/command.ts';
import type { Status } from '../../../src/report/status.ts';
import { builtInTemplates } from '../../../src/settings/templates.ts';
import { startNodeBackend } from '../../servers/backend.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { mountDisk } from '../../support/machine/disk.ts';
import { ask as askSocket } from '../../support/sites/myelin.ts';
import { type Site, site } from '../../support/sites/site.ts';

test('a template broken while Myelin runs is refused with its place, the old one stays until it is mended', async () => {
  await using my = await site({ rest: ['templates: templates'] });
  const good = builtIn('defaults');
  await my.place.write('templates/defaults.hbs', good);
  const myelin = await my.start();
  const load = my.load();
  const before = (await my.place.status()).haproxy?.pid;

  await my.place.write('templates/defaults.hbs', `defaults\n    mode http\n  {{#if haproxy.log}\n`);
  const refused = await myelin.until('it is refused', ({ refusedConfig }) => refusedConfig !== null);
  assert.equal(refused.state, 'degraded');
  assert.equal(refused.haproxy?.pid, before);
  const place = `${my.place.path('templates/defaults.hbs')}:3:`;
  assert.ok(refused.refusedConfig?.reason.startsWith(place), refused.refusedConfig?.reason);
  assert.ok(myelin.output.includes(place), myelin.output);
  await my.serve('beta');
  await load.answeredBy('beta');

  await my.place.write('templates/defaults.hbs', `${good}    timeout tarpit 7s\n`);
  await myelin.until(
    'it is mended',
    ({ refusedConfig, stateReasons }) => refusedConfig === null && isApplied(stateReasons),
  );
  await until('it is live', () => isLive(my, 'timeout tarpit 7s'));
  await load.endsWithoutFailure();
});

test('templates that are cut off before the lines of servers or binds, or empty, are refused though they are valid', async () => {
  await using my = await site({ rest: ['templates: templates'] });
  const [server, backend, frontend] = [builtIn('server'), builtIn('backend'), builtIn('frontend')];
  await my.place.write('templates/server.hbs', server);
  await my.place.write('templates/frontend.hbs', frontend);
  await my.place.write('templates/backend.hbs', backend);
  const myelin = await my.start();
  const load = my.load();
  for (const [name, cut, whole, lost] of [
    ['server', '', server, 'server'],
    ['backend', 'backend {{name}}\n    mode {{mode}}\n', backend, 'server'],
    ['frontend', '', frontend, 'bind'],
    ['frontend', 'frontend {{frontendName}}\n', frontend, 'bind'],
  ] as const) {
    await my.place.write(`templates/${name}.hbs`, cut);
    const { refusedConfig } = await myelin.until('it is refused', (status) => status.refusedConfig !== null);
    assert.ok(refusedConfig?.reason.startsWith(`the templates no longer print a ${lost} of any service`));
    await load.goesOn(50);
    await my.place.write(`templates/${name}.hbs`, whole);
    await myelin.until('it is mended', ({ stateReasons }) => isApplied(stateReasons));
  }
  await load.endsWithoutFailure();
});

test('a pipe in the place of the config, an include or a template is refused, and holds up neither edits nor the end', async () => {
  await using my = await site({ rest: ['templates: templates', 'include: [more.yaml]'] });
  await my.place.write('templates/defaults.hbs', builtIn('defaults'));
  await my.place.write('more.yaml', 'services: {}\n');
  const myelin = await my.start();
  const load = my.load();
  const putPipe = (path: string): Promise<unknown> => runCommand(['mkfifo', path], { timeoutMs: 5000 });
  for (const name of ['templates/defaults.hbs', 'more.yaml', 'myelin.yaml']) {
    const text = await my.place.read(name);
    const path = my.place.path(name);
    await rm(path);
    await putPipe(path);
    const { refusedConfig } = await myelin.until('it is refused', (status) => status.refusedConfig !== null);
    assert.match(refusedConfig?.reason ?? '', /it is no regular file.*put a file in its place/);
    await rm(path);
    await my.place.write(name, text);
    await myelin.until('it is mended', ({ stateReasons }) => isApplied(stateReasons));
  }
  await load.endsWithoutFailure();
  await rm(my.place.path('myelin.yaml'));
  await putPipe(my.place.path('myelin.yaml'));
  myelin.kill('SIGHUP');
  await myelin.until('it is refused', (status) => status.refusedConfig !== null);
  myelin.kill('SIGTERM');
  assert.equal(await myelin.ended, 0);
});

test('a broken template that is new is read again once it is mended in its place', async () => {
  await using my = await site({ rest: ['templates: templates'] });
  await mkdir(my.place.path('templates'));
  const myelin = await my.start();
  const template = my.place.path('templates/defaults.hbs');
  await writeFile(template, '{{#if}}');
  await myelin.until(
    'it is refused',
    ({ refusedConfig }) => refusedConfig?.reason.startsWith(`${template}:1:`) === true,
  );
  await writeFile(template, `${builtIn('defaults')}    timeout tarpit 7s\n`);
  await myelin.until('it is mended', ({ refusedConfig }) => refusedConfig === null);
  await until('it is live', () => isLive(my, 'timeout tarpit 7s'));
});

test('a template that fails for one service sets it apart, with the place; the others go live', async () => {
  const other = await freePort();
  await using my = await site({
    services: [`other: { bind: "127.0.0.1:${other}", balance: leastconn }`],
    rest: ['templates: templates'],
  });
  const good = builtIn('backend');
  await my.place.write('templates/backend.hbs', good);
  await my.serve('alpha', 'other');
  const myelin = my.place.run();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  const load = my.load();

  const bad = '{{#if (eq name "other")}}\n  {{nosuchfield}}\n{{/if}}\n';
  await my.place.write('templates/backend.hbs', `${good}${bad}    # version two\n`);
  const place = `${my.place.path('templates/backend.hbs')}:${good.split('\n').length + 1}:`;
  const { services } = await myelin.until('it is quarantined', (status) => isQuarantined(status, 'other'));
  assert.match(JSON.stringify(services), /there is no field \\"nosuchfield\\"/);
  assert.ok(JSON.stringify(services).includes(place), JSON.stringify(services));
  await until('the others are live', async () => (await my.place.read('run/haproxy.cfg')).includes('version two'));
  assert.equal(await ask(other), 'alpha');

  await my.place.write('templates/backend.hbs', good);
  await myelin.until(
    'it is released',
    ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its?.oldWorkers.length === 0,
  );
  await load.endsWithoutFailure();
});

test('a service whose frontend cannot be rendered is quarantined, and its servers follow all the same', async () => {
  const other = await freePort();
  await using my = await site({
    services: [`other: { bind: "127.0.0.1:${other}" }`],
    rest: ['templates: templates'],
  });
  const good = builtIn('frontend');
  await my.place.write('templates/frontend.hbs', good);
  await my.serve('alpha', 'other');
  const myelin = my.place.run();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  const load = my.load();

  await my.place.write('templates/frontend.hbs', `${good}{{#if (eq name "other")}}\n  {{nosuchfield}}\n{{/if}}\n`);
  await myelin.until('it is quarantined', (status) => isQuarantined(status, 'other'));
  await my.serve('beta', 'other');
  await until('its servers follow', async () => (await ask(other)) === 'beta');
  assert.ok(isQuarantined(await my.place.status(), 'other'));

  await my.place.write('templates/frontend.hbs', good);
  await myelin.until('it is released', ({ stateReasons }) => isApplied(stateReasons));
  assert.equal(await ask(other), 'beta');
  await load.endsWithoutFailure();
});

test('a service whose lines HAProxy refuses is quarantined alone, in HAProxy’s words, until they are mended', async () => {
  const [other, third] = [await freePort(), await freePort()];
  const config = (lines: string, ...more: readonly string[]) => ({
    services: [`other: { bind: "127.0.0.1:${other}", backend: [${lines}] }`, ...more],
  });
  await using my = await site(config(''));
  await my.serve('alpha', 'other', 'third');
  const myelin = my.place.run();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  const load = my.load();

  await my.configure(config('"balance nonsense"', `third: { bind: "127.0.0.1:${third}" }`));
  const status = await myelin.until('it is quarantined', (now) => isQuarantined(now, 'other'));
  const words = /'balance nonsense'|unknown algorithm|balance.*only supports/i;
  const [problem] = status.services.find(({ name }) => name === 'other')?.quarantined?.problems ?? [];
  assert.match(problem?.message ?? '', words);
  assert.ok(status.services.every(({ name, quarantined }) => name === 'other' || quarantined === null));
  await until('the new one is live', async () => (await ask(third)) === 'alpha');
  assert.equal(await ask(other), 'alpha');
  assert.match(logged(myelin.output, 'service quarantined'), words);
  assert.match(await metric(my, 'myelin_quarantined_services'), / 1$/);
  assert.match((await my.place.command('status')).stdout, words);
  // What happens to the others goes live meanwhile, and to its endpoints once it is whole.
  await my.serve('beta', 'other', 'third');
  await load.answeredBy('beta');

  await my.configure(config('"balance leastconn"', `third: { bind: "127.0.0.1:${third}" }`));
  await myelin.until('it is released', ({ stateReasons }) => isApplied(stateReasons));
  assert.equal(await ask(other), 'beta');
  // The page that was asked for above may be kept for seconds where the machine has much to do.
  await until('the metrics say so', async () => / 0$/.test(await metric(my, 'myelin_quarantined_services')));
  await load.endsWithoutFailure();
});

test('a port taken by a foreign process sets its service apart, refuses nobody, and is taken once it is free', async () => {
  await using my = await site();
  await using stack = new AsyncDisposableStack();
  const foreign = stack.use(await startNodeBackend('foreign'));
  const myelin = await my.start();
  const load = my.load();
  await my.configure({ services: [`other: { bind: "127.0.0.1:${foreign.port}" }`] });
  await my.serve('beta', 'other');
  const words = `port ${foreign.port} is held by ${basename(process.execPath)} (pid ${process.pid})`;
  await myelin.until('it is named', ({ services }) =>
    services.some(({ quarantined }) => quarantined?.problems.some(({ message }) => message.includes(words))),
  );
  await load.answeredBy('beta');
  assert.ok(logged(myelin.output, 'service quarantined').includes(words));
  assert.equal(await ask(foreign.port), 'foreign');
  await stack.disposeAsync();
  await myelin.until('it heals by itself', ({ stateReasons }) => isApplied(stateReasons), 60_000);
  assert.equal(await ask(foreign.port), 'beta');
  await load.endsWithoutFailure();
});

test('a HAProxy that fails at its start, though haproxy -c had no objection, costs no request', async () => {
  await using my = await site();
  const myelin = await my.start();
  const load = my.load();
  const { haproxy: before } = await my.place.status();
  const file = await my.place.read('run/haproxy.cfg');
  await my.configure({
    haproxy: [`global: ["pidfile ${my.place.path('nowhere/pid')}", "chroot ${my.place.path('nowhere')}"]`],
  });
  const { lastApply, haproxy: after } = await myelin.until('it fails', (now) => now.lastApply?.result === 'failed');
  assert.match(lastApply?.error ?? '', /the new HAProxy did not start .*nowhere/);
  assert.deepEqual(after, before);
  assert.equal(await my.place.read('run/haproxy.cfg'), file);
  assert.ok((await my.place.read('run/haproxy.cfg.rejected')).includes('chroot'));
  await my.configure();
  const mended = await myelin.until('it is ready without a reload', ({ stateReasons }) => isApplied(stateReasons));
  assert.equal(mended.lastApply?.error, null);
  assert.equal(mended.haproxy?.pid, before?.pid);
  await my.serve('beta');
  await load.answeredBy('beta');
  await load.endsWithoutFailure();
});

test('without HAProxy’s executable Myelin ends with exit code 7 and says what to do', async () => {
  await using my = await site({ haproxy: ['binary: bin/haproxy'] });
  await my.serve('alpha');
  const { exitCode, stderr } = await my.place.command('run');
  assert.equal(exitCode, 7);
  assert.equal(
    stderr,
    `error: HAProxy's executable "${my.place.path('bin/haproxy')}" was not found [MYELIN_HAPROXY_UNAVAILABLE]\n` +
      'what to do: install HAProxy, or set haproxy.binary in myelin.yaml to where it is\n',
  );
});

test('an executable that vanishes while Myelin runs stops nothing, and what changed meanwhile goes live once it is back', async () => {
  await using my = await site({ haproxy: ['binary: bin/haproxy'] });
  const binary = my.place.path('bin/haproxy');
  await mkdir(my.place.path('bin'));
  await symlink(await haproxy(), binary);
  const myelin = await my.start();
  const load = my.load();
  await rm(binary);
  await my.restructure();
  const { lastApply } = await myelin.until('it is told', (now) => now.lastApply?.result === 'failed');
  assert.match(lastApply?.error ?? '', /executable .*bin\/haproxy" was not found/);
  assert.match(logged(myelin.output, 'update failed'), /"remedy":"install HAProxy/);
  // Servers need no executable.
  await my.serve('beta');
  await load.answeredBy('beta');
  await symlink(await haproxy(), binary);
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons), 45_000);
  await my.restructured();
  await load.endsWithoutFailure();
});

for (const [what, size, says, spoil, mend] of [
  ['a full disk', '512k', /ENOSPC.*make room on the file system of/, 'fill', 'makeRoom'],
  ['a folder that became read-only', '4m', /EROFS.*mount .* writable/, 'readOnly', 'writable'],
] as const)
  test(`${what} costs no request, the proven file still starts, and the change goes live once it is mended`, async (t) => {
    await using my = await site({ haproxy: ['config: disk/haproxy.cfg'], rest: ['state: disk/state'] });
    // Processes that write to a file keep its file system from becoming read-only.
    if (spoil === 'readOnly') await my.configure({ haproxy: ['config: disk/haproxy.cfg'] });
    const disk = await mountDisk(t, my.place.path('disk'), size);
    if (disk === null) return;
    my.use(disk);
    const actions = {
      fill: disk.fill,
      makeRoom: disk.makeRoom,
      readOnly: async () => disk.remount('ro'),
      writable: async () => disk.remount('rw'),
    };
    const myelin = await my.start();
    const load = my.load();
    const { haproxy: before } = await my.place.status();
    const file = await my.place.read('disk/haproxy.cfg');
    await actions[spoil]();
    await my.restructure();
    const {
      lastApply,
      haproxy: after,
      state,
    } = await myelin.until('it is told', (now) => now.lastApply?.result === 'failed');
    assert.match(lastApply?.error ?? '', /cannot be written: /);
    assert.match(logged(myelin.output, 'update failed'), says);
    assert.equal(state, 'degraded');
    assert.deepEqual(after, before);
    assert.equal(await my.place.read('disk/haproxy.cfg'), file);
    assert.equal(await ask(my.port), 'alpha');
    await startsElsewhere(my, file);

    // Servers change all the same; only the file cannot follow.
    await my.serve('beta');
    await load.answeredBy('beta');
    const behind = await myelin.until('it is told', (now) => now.haproxy !== null && now.haproxy.fileTrouble !== null);
    assert.match(behind.haproxy?.fileTrouble?.reason ?? '', /cannot be written: /);
    assert.match(logged(myelin.output, 'config file cannot be written'), says);

    await actions[mend]();
    await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons), 45_000);
    await until('the file has followed', async () =>
      (await my.place.read('disk/haproxy.cfg')).includes(`127.0.0.1:${my.backends.beta.port}`),
    );
    await load.endsWithoutFailure();
  });

test('a HAProxy that ends while the disk is full is started again, by Myelin and by one that is started anew', async (t) => {
  await using my = await site({ haproxy: ['config: disk/haproxy.cfg'], rest: ['state: disk/state'] });
  const disk = await mountDisk(t, my.place.path('disk'), '512k');
  if (disk === null) return;
  my.use(disk);
  let myelin = await my.start();
  const endHaproxy = async (): Promise<number> => {
    const pid = (await my.place.status()).haproxy?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    return pid;
  };
  await disk.fill();
  const first = await endHaproxy();
  const isAnother = (pid: number) => (status: Status) =>
    status.state !== 'starting' && status.haproxy !== null && status.haproxy.pid !== pid;
  await myelin.until('another serves', isAnother(first));
  assert.equal(await ask(my.port), 'alpha');

  // Both end; what is free meanwhile is taken by somebody else.
  myelin.kill('SIGKILL');
  await myelin.ended;
  const [second = 0] = await my.place.haproxies();
  process.kill(second, 'SIGKILL');
  await disk.makeRoom();
  // As one leaves it that was killed in the middle of a reload.
  await my.place.write('disk/state/servers.state', '1\n# servers that were down\n');
  await disk.fill();
  myelin = my.place.run();
  await myelin.until('another serves', isAnother(second));
  assert.equal(await ask(my.port), 'alpha');

  // What could not be written down is, once there is room.
  await disk.makeRoom();
  const { haproxy } = await myelin.until('all is well', ({ stateReasons }) => isApplied(stateReasons));
  await until('its proof is written', async () => {
    const folders = (await readdir(my.place.path('disk/state'))).filter((name) => /^g\d+$/.test(name));
    const proofs = await Promise.all(
      folders.map((name) => my.place.read(`disk/state/${name}/ready.json`).catch(() => '')),
    );
    return proofs.some((proof) => proof.includes(`"pid":${haproxy?.pid},`));
  });
});

test('what somebody else put into the folder of an old process keeps Myelin neither from reloading nor from starting', async (t) => {
  await using my = await site();
  const first = await my.start();
  const load = my.load();
  // As files of another user: they cannot be removed.
  const disk = await mountDisk(t, my.place.path('run/state/g1/foreign'), '64k');
  if (disk === null) return;
  my.use(disk);
  await my.restructure();
  await my.restructured();
  await until('it is told', () => /g1 cannot be removed: EBUSY/.test(first.output));
  first.kill('SIGTERM');
  await first.ended;
  const second = my.place.run();
  await second.until('it serves on', ({ stateReasons }) => isApplied(stateReasons));
  await my.serve('beta');
  await load.answeredBy('beta');
  await load.endsWithoutFailure();
});

test('where what has changed finds no room on a full disk, the older file is started, and servers follow by commands', async (t) => {
  await using my = await site({ haproxy: ['config: disk/haproxy.cfg'], rest: ['state: disk/state'] });
  const disk = await mountDisk(t, my.place.path('disk'), '512k');
  if (disk === null) return;
  my.use(disk);
  let myelin = await my.start();
  const answers = async (name: string) => (await ask(my.port).catch(() => '')) === name;
  const endHaproxy = async (): Promise<number> => {
    const [pid = 0] = await my.place.haproxies();
    process.kill(pid, 'SIGKILL');
    return pid;
  };
  const isAnother = (pid: number) => (status: Status) =>
    status.state !== 'starting' && status.haproxy !== null && status.haproxy.pid !== pid;
  await disk.fill();
  await my.serve('beta');
  await until('it serves by commands', () => answers('beta'));
  const file = await my.place.read('disk/haproxy.cfg');
  assert.ok(!file.includes(`127.0.0.1:${my.backends.beta.port}`));
  const first = await endHaproxy();
  await myelin.until('another serves', isAnother(first));
  await until('commands have brought it up', () => answers('beta'));
  assert.match(myelin.output, /HAProxy was started with the file that is in place, because .*ENOSPC/);
  assert.equal(await my.place.read('disk/haproxy.cfg'), file);

  myelin.kill('SIGKILL');
  await myelin.ended;
  const second = await endHaproxy();
  await disk.makeRoom();
  await disk.fill();
  myelin = my.place.run();
  await myelin.until('another serves', isAnother(second));
  await until('commands have brought it up', () => answers('beta'));

  await disk.makeRoom();
  await myelin.until('all is well', ({ stateReasons }) => isApplied(stateReasons));
  await until('the file has followed', async () =>
    (await my.place.read('disk/haproxy.cfg')).includes(`127.0.0.1:${my.backends.beta.port}`),
  );
});

test('a bad myelin.yaml is refused with every problem, the old one stays until it is mended', async () => {
  await using my = await site();
  const myelin = await my.start();
  const load = my.load();
  const { haproxy: before } = await my.place.status();
  const good = await my.place.read('myelin.yaml');
  const long = `${'long/'.repeat(30)}admin.sock`;
  await my.place.write(
    'myelin.yaml',
    good
      .replace('log: none', `statsSocket: ${long}`)
      .replace('minInterval: 0ms', 'minInterval: soon\n  maxOldWorker: 3'),
  );
  const refused = await myelin.until('it is refused', ({ refusedConfig }) => refusedConfig !== null);
  const reason = refused.refusedConfig?.reason ?? '';
  assert.match(reason, /myelin\.yaml:\d+:\d+: reload\.minInterval: "soon" is not allowed; expected a duration/);
  assert.match(reason, /myelin\.yaml:\d+:\d+: reload\.maxOldWorker: .*did you mean "?maxOldWorkers/i);
  assert.match(reason, /myelin\.yaml:\d+:\d+: haproxy\.statsSocket: .*97/);
  assert.ok(logged(myelin.output, 'new config refused').includes('maxOldWorkers'));
  assert.deepEqual(refused.haproxy, before);
  await my.serve('beta');
  await load.answeredBy('beta');
  await my.configure({ web: ['balance: leastconn'] });
  await myelin.until(
    'it is mended',
    ({ refusedConfig, stateReasons }) => refusedConfig === null && isApplied(stateReasons),
  );
  await until('it is live', () => isLive(my, 'balance leastconn'));
  await load.endsWithoutFailure();
});

test('SIGHUP has the config read again, whatever its timestamps say', async () => {
  await using my = await site({ web: ['balance: roundrobin'] });
  const myelin = await my.start();
  const path = my.place.path('myelin.yaml');
  const { atime, mtime } = await stat(path);
  await writeFile(path, (await readFile(path, 'utf8')).replace('balance: roundrobin', 'balance: leastconn '));
  await utimes(path, atime, mtime);
  myelin.kill('SIGHUP');
  await until('it is live', () => isLive(my, 'balance leastconn'));
});

function isQuarantined({ services }: Awaited<ReturnType<Site['place']['status']>>, name: string): boolean {
  return services.some((service) => service.name === name && service.quarantined !== null);
}

/** The process that serves has this line, and those before it are gone. */
async function isLive({ place }: Site, line: string): Promise<boolean> {
  const { haproxy: its } = await place.status();
  if (its === null || its.oldWorkers.length > 0) return false;
  return (await place.read(`run/state/g${its.generation}/haproxy.cfg`)).includes(line);
}

function builtIn(name: string): string {
  return builtInTemplates().get(name)?.text ?? assert.fail(`there is no built-in template ${name}`);
}

/** The only line of the log with this message: what stays amiss is said once. */
function logged(output: string, message: string): string {
  const lines = output.split('\n').filter((line) => line.includes(message));
  assert.equal(lines.length, 1, output);
  return lines[0] ?? '';
}

async function metric(my: Site, name: string): Promise<string> {
  const text = await askSocket(my.place.path('run/myelin.sock'), 'GET', '/metrics');
  return text.split('\n').find((line) => line.startsWith(name)) ?? '';
}

/** A HAProxy takes the file, and starts with it: here with other addresses, because those in it are in use. */
async function startsElsewhere(my: Site, file: string): Promise<void> {
  const binary = await haproxy();
  const port = await freePort();
  const path = my.place.path('elsewhere.cfg');
  const other = file
    .replace(`127.0.0.1:${my.port}`, `127.0.0.1:${port}`)
    .replace(/stats socket \S+/, `stats socket ${my.place.path('elsewhere.sock')}`);
  assert.equal(
    (await runCommand([binary, '-c', '-f', my.place.path('disk/haproxy.cfg')], { timeoutMs: 30_000 })).status,
    0,
  );
  await writeFile(path, other);
  const started = await runCommand([binary, '-D', '-f', path], { timeoutMs: 30_000 });
  assert.equal(started.status, 0, started.stderr);
  assert.equal(await ask(port), 'alpha');
}
