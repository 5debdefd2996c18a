/** Control `process` with the real HAProxy: what a reload, a refusal and a failure do to what serves. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { access, appendFile, copyFile, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import timers from 'node:timers/promises';
import { readInfo } from '../../../src/haproxy/cli/info.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Rendered } from '../../../src/model.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { applied, never, pidOf, reload, rendered, serveWeb, setup, text } from '../../support/haproxy/apply.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { accepts, get, probe } from '../../support/load/requests.ts';
import { programOf } from '../../support/machine/listeners.ts';
import { gone, isRunning } from '../../support/machine/processes.ts';

test('a first start serves, and a reload replaces the process and its answers', async () => {
  await using my = await setup();
  const port = await freePort();
  const control = await my.open();
  assert.equal(control.running, null);
  assert.deepEqual(control.forced, [{ code: 'first_start' }]);

  const first = rendered(my, [{ name: 'one', bind: `127.0.0.1:${port}` }]);
  applied(await control.apply(first, reload, never));
  assert.equal(await get(port), 'one');
  assert.equal(await readFile(my.file, 'utf8'), text(first));
  assert.deepEqual(control.forced, []);

  const before = pidOf(control);
  applied(await control.apply(rendered(my, [{ name: 'two', bind: `127.0.0.1:${port}` }]), reload, never));
  assert.equal(await get(port), 'two');
  assert.notEqual(pidOf(control), before);
  await gone(before);
  await assertTidy(my.file);
});

test('a port taken by a foreign process is refused by name, and not one request is refused meanwhile', async () => {
  await using my = await setup();
  const [port, taken] = [await freePort(), await freePort()];
  const foreign = createServer().listen(taken, '127.0.0.1');
  await once(foreign, 'listening');
  const control = await my.open();
  const good = rendered(my, [{ bind: `127.0.0.1:${port}` }]);
  applied(await control.apply(good, reload, never));
  const before = pidOf(control);
  const bad = rendered(my, [{ bind: `127.0.0.1:${port}` }, { name: 'other', bind: `127.0.0.1:${taken}` }]);
  {
    await using watching = probe(port);
    const outcome = await control.apply(bad, reload, never);
    assert.equal(outcome.kind, 'refused');
    const [problem] = outcome.kind === 'refused' ? outcome.problems : [];
    assert.match(problem?.message ?? '', new RegExp(`^port ${taken} is held by .+ \\(pid ${process.pid}\\)`));
    assert.equal(problem?.text, `bind 127.0.0.1:${taken}`);
    assert.equal(problem?.service, 'other');
    assert.equal(problem?.code, 'MYELIN_PORT_TAKEN');
    const asked = watching.asked();
    await until('the probe saw some time pass', () => watching.asked() > asked + 20);
    assert.deepEqual(watching.failures, []);
  }
  assert.equal(pidOf(control), before);
  assert.equal(await readFile(my.file, 'utf8'), text(good));
  assert.equal(await readFile(`${my.file}.rejected`, 'utf8'), text(bad));

  foreign.close();
  await once(foreign, 'close');
  applied(await control.apply(bad, reload, never));
  assert.equal(await get(taken), 'other');
});

test('nothing is started while a foreign process holds one of the ports', async () => {
  await using my = await setup();
  const port = await freePort();
  const taken = await freePort();
  const foreign = createServer().listen(taken, '0.0.0.0');
  await once(foreign, 'listening');
  const control = await my.open();
  const wanted = rendered(my, [{ bind: `127.0.0.1:${port}` }, { name: 'other', bind: `127.0.0.1:${taken}` }]);
  const outcome = await control.apply(wanted, reload, never);
  assert.equal(outcome.kind, 'refused');
  assert.equal(control.running, null);
  assert.equal(await accepts(port), false);
  foreign.close();
});

test('a foreign HAProxy that shares its port is refused all the same', async () => {
  await using folder = await tempFolder();
  await using theirs = await setup(folder.path);
  await using other = await tempFolder();
  await using my = await setup(other.path);
  const port = await freePort();
  const shared = rendered(theirs, [{ name: 'theirs', bind: `127.0.0.1:${port}` }]);
  // Without noreuseport, HAProxy lets others of the same user share its port.
  const sections = shared.sections.map((each) => ({ ...each, text: each.text.replace('    noreuseport\n', '') }));
  const foreign = await theirs.open();
  applied(await foreign.apply({ sections }, reload, never));
  const control = await my.open();
  const outcome = await control.apply(rendered(my, [{ bind: `127.0.0.1:${port}` }]), reload, never);
  assert.equal(outcome.kind, 'refused');
  assert.match(JSON.stringify(outcome), new RegExp(`${await programOf(pidOf(foreign))} \\(pid ${pidOf(foreign)}\\)`));
});

test('what haproxy -c refuses is reported with its line and its service, and touches nothing', async () => {
  await using my = await setup();
  const { control, port, wanted: good, pid: before } = await serveWeb(my);
  const bad = rendered(my, [
    { bind: `127.0.0.1:${port}` },
    { name: 'b', bind: `127.0.0.1:${await freePort()}`, backend: ['bogus 1'] },
  ]);
  const outcome = await control.apply(bad, reload, never);
  const line = text(bad).split('\n').indexOf('    bogus 1') + 1;
  assert.deepEqual(outcome, {
    kind: 'refused',
    problems: [{ message: "unknown keyword 'bogus' in 'backend' section", service: 'b', line, text: 'bogus 1' }],
  });
  assert.equal(pidOf(control), before);
  assert.equal(await readFile(my.file, 'utf8'), text(good));
  assert.equal(await readFile(`${my.file}.rejected`, 'utf8'), text(bad));
});

test('an empty config is refused, which HAProxy would take', async () => {
  await using my = await setup();
  const { control, port } = await serveWeb(my);
  assert.equal((await control.apply({ sections: [] }, reload, never)).kind, 'refused');
  assert.equal(await get(port), 'web');
});

test('a start that fails after haproxy -c leaves the old process, and the proven file in its place', async () => {
  await using my = await setup();
  const { control, port, wanted: good, pid: before } = await serveWeb(my);
  const bad = rendered(my, [{ bind: `127.0.0.1:${port}` }, { name: 'b', bind: join(my.folder, 'missing/socket') }]);
  {
    await using watching = probe(port);
    const outcome = await control.apply(bad, reload, never);
    assert.equal(outcome.kind, 'failed');
    if (outcome.kind !== 'failed') return;
    assert.equal(outcome.error.code, 'MYELIN_HAPROXY_FAILED');
    assert.match(outcome.error.message, /cannot bind UNIX socket \(No such file or directory\)/);
    assert.deepEqual(
      outcome.problems.map(({ service }) => service),
      ['b'],
    );
    const asked = watching.asked();
    await until('the probe saw some time pass', () => watching.asked() > asked + 20);
    assert.deepEqual(watching.failures, []);
  }
  assert.equal(pidOf(control), before);
  assert.equal((await readInfo(join(my.folder, 'admin.sock'))).pid, before, 'the operator’s socket is still its own');
  assert.equal(await readFile(my.file, 'utf8'), text(good));
  assert.equal(await readFile(`${my.file}.rejected`, 'utf8'), text(bad));
  await assertTidy(my.file);
});

test('a first start that fails leaves no unproven file', async () => {
  await using my = await setup();
  const control = await my.open();
  const bad = rendered(my, [{ name: 'b', bind: join(my.folder, 'missing/socket') }]);
  assert.equal((await control.apply(bad, reload, never)).kind, 'failed');
  await assert.rejects(readFile(my.file), { code: 'ENOENT' });
});

test('listening sockets that cannot be taken over are tried for again, then reported, and the old process serves on', async () => {
  await using my = await setup();
  const { control, port } = await serveWeb(my);
  const sockets = [control.running?.process?.socket ?? '', join(my.folder, 'admin.sock.kept')];
  const failure = async (): Promise<string> => {
    const outcome = await control.apply(rendered(my, [{ name: 'b', bind: `127.0.0.1:${port}` }]), reload, never);
    return outcome.kind === 'failed' ? outcome.error.message : outcome.kind;
  };
  for (const socket of sockets) {
    await rm(socket);
    await writeFile(socket, '');
  }
  assert.match(await failure(), /[Ff]ailed to get the (?:number of )?sockets/);
  for (const socket of sockets) await rm(socket);
  assert.match(await failure(), /no path leads to the HAProxy that serves .* any more: \S+ and \S+ were removed/);
  assert.equal(await get(port), 'web');
});

test('connections of others to HAProxy’s stats sockets keep no reload from happening', async () => {
  await using my = await setup();
  const port = await freePort();
  const control = await my.open();
  const version = (name: string): Rendered =>
    rendered(my, [{ name, bind: `127.0.0.1:${port}` }], ['stats maxconn 1', 'stats timeout 1m']);
  applied(await control.apply(version('one'), reload, never));
  const others = Array.from({ length: 20 }, () => connect(join(my.folder, 'admin.sock')));
  await Promise.all(others.map((other) => once(other, 'connect')));
  applied(await control.apply(version('two'), reload, never));
  assert.equal(await get(port), 'two');
  for (const other of others) other.destroy();
});

test('listening sockets that cannot be taken over for a moment are taken over at the next try', async () => {
  await using my = await setup();
  const binary = join(my.folder, 'away');
  const { control: first, port } = await serveWeb(my);
  const socket = first.running?.process?.socket ?? '';
  await first[Symbol.asyncDispose]();
  // A start finds the socket away; it is back once that start has failed.
  await writeScript(binary, [
    `if [ "$1" = -db ] && [ -e '${socket}' ] && [ ! -e '${binary}.tried' ]; then`,
    `  mv '${socket}' '${socket}.away'; '${await haproxy()}' "$@"; status=$?`,
    `  mv '${socket}.away' '${socket}'; touch '${binary}.tried'; exit $status`,
    'fi',
    `exec '${await haproxy()}' "$@"`,
  ]);
  const control = await my.open({ haproxy: { binary } });
  applied(await control.apply(rendered(my, [{ name: 'b', bind: `127.0.0.1:${port}` }]), reload, never));
  assert.ok(await isThere(`${binary}.tried`), 'the first try was in vain');
  assert.equal(await get(port), 'b');
});

test('an address may change to an overlapping form, and comes back if that fails', async () => {
  await using my = await setup();
  const { control, port } = await serveWeb(my);

  const missing = { name: 'b', bind: join(my.folder, 'missing/socket') };
  const failing = rendered(my, [{ bind: `*:${port}` }, missing]);
  assert.equal((await control.apply(failing, reload, never)).kind, 'failed');
  assert.equal(await get(port), 'web');

  applied(await control.apply(rendered(my, [{ name: 'all', bind: `*:${port}` }]), reload, never));
  assert.equal(await get(port), 'all');
  applied(await control.apply(rendered(my, [{ name: 'one', bind: `127.0.0.1:${port}` }]), reload, never));
  assert.equal(await get(port), 'one');
});

test('an address takes another form for no longer than HAProxy needs to listen, and what else its frontend listens on comes back with it', async () => {
  await using my = await setup();
  const [moved, kept, other] = [await freePort(), await freePort(), await freePort()];
  const control = await my.open();
  // Reading all of these takes the new process far longer than listening.
  const many = Array.from(
    { length: 3000 },
    (_, at) => `use_backend web if { path /${at} } { path_beg /${at} } { dst_port ${at} }`,
  );
  const forms = (form: string): Rendered =>
    rendered(my, [
      { name: 'web', bind: `127.0.0.1:${kept},${form}`, frontend: many },
      { name: 'other', bind: `127.0.0.1:${other}` },
    ]);
  applied(await control.apply(forms(`127.0.0.1:${moved}`), reload, never));
  for (const form of [`*:${moved}`, `127.0.0.1:${moved}`, `127.0.0.1:${moved} transparent`, `localhost:${moved}`]) {
    const windows = [refusals(moved), refusals(kept), refusals(other)] as const;
    const startedAt = performance.now();
    applied(await control.apply(forms(form), reload, never));
    const tookMs = performance.now() - startedAt;
    const [ofMoved, ofKept, ofOther] = await Promise.all(windows.map((each) => each.end()));
    for (const window of [ofMoved, ofKept])
      assert.ok((window?.lengthMs ?? 0) < tookMs / 2, `${form}: refused for ${window?.lengthMs} of ${tookMs} ms`);
    assert.equal(ofOther?.count, 0, `${form}: other frontends refuse nothing`);
    for (const port of [moved, kept]) assert.equal(await get(port), 'web', form);
  }
});

test('stick tables outlive reloads, however soon they follow each other', async () => {
  await using my = await setup();
  const [port, peerPort] = [await freePort(), await freePort()];
  const control = await my.open();
  const peers = splitSections(`peers mypeers\n    peer me 127.0.0.1:${peerPort}\n`);
  const table = 'stick-table type string len 32 size 1k expire 10m store http_req_cnt peers mypeers';
  const track = 'http-request track-sc0 path table web';
  const version = (name: string): Rendered => {
    const { sections } = rendered(
      my,
      [
        {
          bind: `127.0.0.1:${port}`,
          frontend: [track, `http-response set-header x-version ${name}`],
          backend: [table],
        },
      ],
      ['localpeer me'],
    );
    return { sections: [...sections, ...peers] };
  };
  const entries = async (): Promise<string> => {
    const socket = control.running?.process?.socket ?? '';
    return /used:(\d+)/.exec(await ask(socket, ['show table web']))?.[1] ?? 'no table';
  };
  applied(await control.apply(version('first'), reload, never));
  await until('the first, which nobody has taught, teaches others', async () =>
    (await ask(control.running?.process?.socket ?? '', ['show peers'])).includes('resync_timeout=<PAST>'),
  );
  for (const path of ['/a', '/b', '/c']) await get(port, path);
  assert.equal(await entries(), '3');
  for (const name of ['second', 'third', 'fourth']) {
    applied(await control.apply(version(name), reload, never));
    await until(`the ${name} has been taught`, async () => (await entries()) === '3');
  }
});

test('a missing executable stops no traffic, and once it is back the change goes live', async () => {
  await using my = await setup();
  const binary = join(my.folder, 'haproxy');
  await symlink(await haproxy(), binary);
  const { control, port } = await serveWeb(my, 'web', { haproxy: { binary } });
  await rm(binary);
  const next = rendered(my, [{ name: 'next', bind: `127.0.0.1:${port}` }]);
  const outcome = await control.apply(next, reload, never);
  assert.equal(outcome.kind === 'failed' && outcome.error.code, 'MYELIN_HAPROXY_UNAVAILABLE');
  assert.equal(await get(port), 'web');
  await symlink(await haproxy(), binary);
  applied(await control.apply(next, reload, never));
  assert.equal(await get(port), 'next');
});

test('without an executable and without anything running, opening says where it was looked for', async () => {
  await using my = await setup();
  await assert.rejects(my.open({ haproxy: { binary: join(my.folder, 'nowhere') } }), {
    code: 'MYELIN_HAPROXY_UNAVAILABLE',
    exitCode: 7,
  });
});

test('a replaced executable is noticed, and a reload brings it into service', async () => {
  await using my = await setup();
  const binary = join(my.folder, 'haproxy');
  await symlink(await haproxy(), binary);
  const { control, wanted } = await serveWeb(my, 'web', { haproxy: { binary } });
  assert.deepEqual(control.forced, []);
  await rm(binary);
  await copyFile(await haproxy(), binary);
  await until('the new executable is noticed', () => control.forced[0]?.code === 'binary_changed');
  assert.ok(my.changes() > 0);
  applied(await control.apply(wanted, reload, never));
  assert.deepEqual(control.forced, []);
});

test('HAProxy killed is noticed within a second and started again from what is wanted', async () => {
  await using my = await setup();
  const { control, port, wanted, pid: before } = await serveWeb(my);
  const killedAt = performance.now();
  process.kill(before, 'SIGKILL');
  await until('the exit is noticed', () => control.running === null, { everyMs: 5 });
  assert.deepEqual(control.forced, [{ code: 'haproxy_exited' }]);
  const planned = await control.apply(wanted, { kind: 'none' }, never);
  assert.equal(planned.kind, 'superseded', 'what was planned before starts nothing');
  assert.equal(control.running, null);
  assert.ok(control.reloadAt(wanted, Date.now()).at - Date.now() < 500, 'the gate lets it start soon');
  applied(await control.apply(wanted, reload, never));
  assert.equal(await get(port), 'web');
  assert.ok(performance.now() - killedAt < 1000, 'it serves within a second');
  await until('it is told', () => my.events.some((event) => event.kind === 'exited' && event.pid === before));
});

test('HAProxy told to leave by somebody else is noticed within two seconds, and another serves', async () => {
  await using my = await setup();
  const { control, port, wanted, pid: before } = await serveWeb(my);
  process.kill(before, 'SIGUSR1');
  await until('it is noticed', () => control.running === null, { withinMs: 2000 });
  assert.deepEqual(control.forced, [{ code: 'haproxy_exited' }]);
  applied(await control.apply(wanted, reload, never));
  assert.notEqual(pidOf(control), before);
  assert.equal(await get(port), 'web');
});

test('a file that somebody took away or changed is put right without a reload', async () => {
  await using my = await setup();
  const { control, wanted, pid: before } = await serveWeb(my);
  const isRight = (): Promise<boolean> => readFile(my.file, 'utf8').then((found) => found === text(wanted));
  await rm(my.file);
  await until('it is there again', () => isRight().catch(() => false));
  await appendFile(my.file, '# changed\n');
  await until('it is as it was', isRight);
  assert.equal(pidOf(control), before);
});

test('aborting an apply ends the process that was starting, and the old one serves on', async () => {
  await using my = await setup();
  const { control, port, wanted: good } = await serveWeb(my);
  await control[Symbol.asyncDispose]();
  // It never comes to answer.
  const binary = join(my.folder, 'slow');
  const pidFile = join(my.folder, 'pid');
  await writeScript(binary, [
    `[ "$1" = -db ] || exec '${await haproxy()}' "$@"`,
    `echo $$ > '${pidFile}.new'; mv '${pidFile}.new' '${pidFile}'; exec sleep 60`,
  ]);
  const second = await my.open({ haproxy: { binary } });
  const ended = new AbortController();
  const applying = second.apply(rendered(my, [{ name: 'b', bind: `127.0.0.1:${port}` }]), reload, ended.signal);
  await until('it starts', () => isThere(pidFile));
  const pid = Number(await readFile(pidFile, 'utf8'));
  assert.ok(isRunning(pid));
  ended.abort(new Error('enough'));
  await assert.rejects(applying, /enough/);
  await gone(pid);
  assert.equal(await get(port), 'web');
  assert.equal(await readFile(my.file, 'utf8'), text(good));
  await assertTidy(my.file);
});

test('a process that has the listening sockets and does not prove itself is told to leave, and answers what it has accepted', async () => {
  await using my = await setup();
  const port = await freePort();
  const control = await my.open();
  const slow = [
    'http-request set-var(txn.x) rand(2)',
    'tcp-request inspect-delay 100ms',
    'tcp-request content accept if WAIT_END',
  ];
  applied(
    await control.apply(rendered(my, [{ name: 'one', bind: `127.0.0.1:${port}`, frontend: slow }]), reload, never),
  );
  await control[Symbol.asyncDispose]();
  // Another process than the one that was started answers: a master's worker.
  const binary = join(my.folder, 'as-master');
  await writeScript(binary, [`[ "$1" = -db ] || exec '${await haproxy()}' "$@"`, `exec '${await haproxy()}' -W "$@"`]);
  const second = await my.open({ haproxy: { binary }, reload: { startTimeout: 3000 } });
  const before = pidOf(second);
  await using load = probe(port);
  const next = rendered(my, [{ name: 'two', bind: `127.0.0.1:${port}`, frontend: slow }]);
  const answers = new Set<string>();
  const applying = second.apply(next, reload, never);
  await until('it serves as well', async () => answers.add(await get(port)) && answers.has('two'));
  const outcome = await applying;
  assert.match(outcome.kind === 'failed' ? outcome.error.message : '', /it did not answer within 3000 ms/);
  assert.equal(second.oldWorkers.length, 1);
  await until('it is gone', () => second.oldWorkers.length === 0);
  assert.equal(pidOf(second), before);
  assert.equal(await get(port), 'one');
  await load[Symbol.asyncDispose]();
  assert.deepEqual(load.failures, []);
  await assertTidy(my.file);
});

test('stopping ends everything softly first, and what is left after the grace is counted', async () => {
  await using my = await setup();
  const { control, port, pid } = await serveWeb(my, 'web', { haproxy: { stopGrace: 300 } });
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  // Half a request keeps the connection busy.
  client.write('GET / HTTP/1.1\r\n');
  await until('HAProxy has taken it', async () => (await get(port)) === 'web');
  await control.stop();
  await gone(pid);
  client.destroy();
  assert.deepEqual(
    my.events.filter(({ kind }) => kind === 'connections_closed'),
    [{ kind: 'connections_closed', limit: 'stop_grace', pid, connections: 1 }],
  );
});

/** Nothing is left of the steps in between. */
async function assertTidy(file: string): Promise<void> {
  for (const ending of ['candidate', 'previous'])
    await assert.rejects(readFile(`${file}.${ending}`), { code: 'ENOENT' });
}

/** In the place of HAProxy's executable. */
function writeScript(path: string, lines: readonly string[]): Promise<void> {
  return writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Connects all the time until its end. */
function refusals(port: number): { end(): Promise<{ readonly count: number; readonly lengthMs: number }> } {
  const ended = new AbortController();
  const times: number[] = [];
  const running = (async () => {
    while (!ended.signal.aborted) {
      if (!(await accepts(port))) times.push(performance.now());
      await timers.setTimeout(1);
    }
  })();
  return {
    async end() {
      ended.abort();
      await running;
      return { count: times.length, lengthMs: (times.at(-1) ?? 0) - (times[0] ?? 0) };
    },
  };
}
