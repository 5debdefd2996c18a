/** Every command prints what it found on stdout, ends with the exit code that says how it went, and shows no secret. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once as event } from 'node:events';
import { readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { ask as askHAProxy } from '../../../src/haproxy/cli/socket.ts';
import { followEvents } from '../../../src/http/client.ts';
import type { Event } from '../../../src/report/events.ts';
import { startConsul } from '../../servers/consul.ts';
import { startFaultProxy } from '../../servers/fault-proxy.ts';
import { defaultBranch, haproxy } from '../../servers/haproxy.ts';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { servedBy } from '../../support/load/traffic.ts';
import { onTerminal } from '../../support/machine/terminal.ts';
import { cli } from '../../support/sites/cli.ts';
import { ask as askSocket, type Finished, workplace } from '../../support/sites/myelin.ts';
import { site } from '../../support/sites/site.ts';

/** Of the HAProxy that the tests run on, in patterns. */
const version = `${defaultBranch.replace('.', '\\.')}\\.\\S+`;

test('a first config goes all the way from init to stop', async () => {
  await using my = await site();
  const { place } = my;
  await rm(place.path('myelin.yaml'));
  const did = async (...args: readonly string[]): Promise<string> => stdoutOf(await place.command(...args));

  assert.match(await did('init', 'file'), /^\.\/myelin\.yaml written\nservices\.yaml written\nnext: `myelin check`/);
  const again = await place.command('init', 'file');
  assert.equal(again.exitCode, 2);
  assert.match(again.stderr, /myelin\.yaml is there already.*\nwhat to do: use --force/);
  const written = await place.read('myelin.yaml');
  await place.write(
    'myelin.yaml',
    written.replace('127.0.0.1:8080', `127.0.0.1:${my.port}`).replace('#listen: "127.0.0.1:8406"', 'listen: "off"'),
  );
  const isValid = `: 1 service, templates and config are valid\\ntried with made-up servers\\nHAProxy ${version} accepts it\\n$`;
  assert.match(await did('check'), new RegExp(isValid));
  await my.serve('alpha');

  assert.match(await did('render'), new RegExp(`server \\S+ 127\\.0\\.0\\.1:${my.backends.alpha.port} `));
  assert.equal((await place.command('plan')).exitCode, 0);
  const planned = await place.command('plan', '--exit-code');
  assert.equal(planned.exitCode, 10);
  assert.match(planned.stdout, /^reload, because of\n {2}no HAProxy of this Myelin ran \(first_start\)\n/);
  assert.match(planned.stdout, /^\+frontend web:in$/m);
  assert.deepEqual(await place.haproxies(), [], 'to look starts nothing');

  // HAProxy lives on and logs to the same stdout, which therefore does not end with Myelin.
  const once = place.run('--once');
  assert.equal(await once.ended, 0, once.output);
  await until('it told of it', () => /"msg":"HAProxy reloaded"/.test(once.output));
  assert.equal(await ask(my.port), 'alpha');
  const [pid] = await place.haproxies();
  assert.match(await did('plan', '--exit-code'), /^nothing to do\n$/);
  await my.serve('beta');
  const change = await place.command('plan', '--exit-code');
  assert.equal(change.exitCode, 10);
  assert.match(change.stdout, new RegExp(`^\\+ +server \\S+ 127\\.0\\.0\\.1:${my.backends.beta.port} `, 'm'));
  await my.serve('alpha');

  const myelin = place.run();
  await myelin.until('it is ready', ({ stateReasons, haproxy: now }) => isApplied(stateReasons) && now?.pid === pid);
  assert.match(await did('status'), new RegExp(`ready.*\\n +HAProxy +${version}, pid ${pid}`));
  assert.match(await did('reload'), /^reloaded in \d+ ms\n$/);
  const { lastApply } = await place.status();
  assert.deepEqual(lastApply?.reasons, [{ code: 'operator_request' }]);
  assert.match(
    await did('stop'),
    /^myelin is stopping\nHAProxy \(pid \d+, \S+\) serves on; `myelin stop --haproxy` ends it\n$/,
  );
  assert.equal(await myelin.ended, 0);
  assert.equal(await ask(my.port), 'alpha', 'HAProxy serves on');
});

test('init for Consul writes a config that is valid as it is', async () => {
  await using place = await workplace('');
  await rm(place.path('myelin.yaml'));
  assert.match(stdoutOf(await place.command('init')), /^\.\/myelin\.yaml written\nnext: /);
  // Its ports may be taken here.
  assert.match(stdoutOf(await place.command('check', '--elsewhere')), /valid/);
  assert.equal((await place.command('init', '--force')).exitCode, 0);
  assert.equal((await place.command('init', 'zookeeper')).exitCode, 2);
});

test('check shows what HAProxy warns of and which lines have no effect, and a config that wants no warning passes with none', async () => {
  await using place = await workplace('');
  const port = await freePort();
  const config = (haproxy: string): string =>
    `watchers: { file: { path: s.yaml } }\nservices: { web: { bind: "127.0.0.1:${port}" } }\nhaproxy: { log: none, ${haproxy} }\n`;
  await place.write('s.yaml', 'services: { web: [] }\n');
  await place.write('myelin.yaml', config('global: [zero-warning]'));
  assert.match(stdoutOf(await place.command('check')), /valid\ntried with made-up servers\nHAProxy \S+ accepts it\n$/);

  const noTimeout = JSON.stringify('listen legacy\n    mode http\n    timeout client 0\n');
  await place.write('myelin.yaml', config(`defaults: ["mode tcp"], sections: [${noTimeout}]`));
  const warned = stdoutOf(await place.command('check'));
  assert.match(warned, /^warning: haproxy\.defaults: `mode tcp` has no effect on services/m);
  assert.match(warned, /^warning: missing timeouts for proxy 'legacy'/m);

  await place.write('myelin.yaml', config(`global: [zero-warning], sections: [${noTimeout}]`));
  const refused = await place.command('check');
  assert.equal(refused.exitCode, 5);
  assert.match(refused.stderr, /missing timeouts for proxy 'legacy'/);
});

test('results as JSON are JSON and nothing else', async () => {
  await using my = await site();
  const { place } = my;
  const json = async (...args: readonly string[]): Promise<Record<string, unknown>> =>
    JSON.parse(stdoutOf(await place.command(...args, '--json'))) as Record<string, unknown>;
  const myelin = await my.start();
  assert.equal((await json('check')).services, 1);
  const { text, sections } = await json('render');
  assert.match(String(text), /^backend web from http-roundrobin-[0-9a-f]{8}$/m);
  assert.ok(Array.isArray(sections));
  assert.deepEqual(await json('plan'), { kind: 'none', diff: '', outputs: [] });
  const config = await place.read('myelin.yaml');
  await place.write('changed.yaml', config.replace('haproxy:', '    balance: leastconn\nhaproxy:'));
  const { kind, reasons, diff } = await json('plan', '-c', 'changed.yaml');
  assert.equal(kind, 'reload');
  assert.deepEqual(
    (reasons as readonly { code: string }[]).map(({ code }) => code),
    ['option_changed'],
  );
  assert.match(String(diff), /^\+ +balance leastconn$/m);
  assert.equal((await json('status')).state, 'ready');
  assert.equal(typeof (await json('schema')).$schema, 'string');
  const { haproxy: before } = await place.status();
  assert.equal((await json('reload')).kind, 'reload');
  assert.notEqual((await place.status()).haproxy?.pid, before?.pid);
  assert.equal((await json('stop')).stopping, true);
  assert.equal(await myelin.ended, 0);
});

test('ejected templates render what the built-in ones render', async () => {
  await using my = await site();
  const { place } = my;
  await my.serve('alpha');
  const builtIn = stdoutOf(await place.command('render'));
  assert.match(
    stdoutOf(await place.command('eject')),
    /backend\.hbs written\n[\s\S]*next: set `templates: \.\/templates`/,
  );
  assert.equal((await place.command('eject')).exitCode, 2);
  await my.configure({ rest: ['templates: templates'] });
  assert.equal(stdoutOf(await place.command('render')), builtIn);
});

test('a snapshot stands in for the sources', async () => {
  await using my = await site();
  await my.place.write('snapshot.yaml', 'services:\n  web: ["192.0.2.7:80"]\n');
  const rendered = stdoutOf(await my.place.command('render', '--snapshot', 'snapshot.yaml'));
  assert.match(rendered, /server \S+ 192\.0\.2\.7:80 /);
  assert.equal((await my.place.command('plan', '--snapshot', 'snapshot.yaml', '--exit-code')).exitCode, 10);
  assert.equal((await my.place.command('plan', '--snapshot', 'nowhere.yaml')).exitCode, 2);
});

test('plan doubts sudden absence as run does, unless it shall be accepted', async () => {
  await using my = await site();
  const { place } = my;
  await my.serve('alpha');
  const once = place.run('--once');
  assert.equal(await once.ended, 0, once.output);
  await place.write('services.yaml', 'services: { web: [] }\n');
  assert.equal(stdoutOf(await place.command('plan', '--exit-code')), 'nothing to do\n');
  const again = place.run('--once');
  assert.equal(await again.ended, 0, again.output);
  assert.equal(await ask(my.port), 'alpha');
  await my.configure({ web: ['onEmpty: accept'] });
  const accepted = await place.command('plan', '--exit-code');
  assert.equal(accepted.exitCode, 10);
  assert.match(
    accepted.stdout,
    /^no reload, but the runtime commands\n {2}set server web\/\S+ state maint\n\n@@ backend web @@$/m,
  );
});

test('where only servers change, plan prints the commands that HAProxy would get, and HAProxy takes them', async () => {
  await using my = await site();
  const { place, backends } = my;
  const serve = (...names: readonly (keyof typeof backends)[]): Promise<void> => {
    const endpoints = names.map((name) => `{ id: ${name}, address: 127.0.0.1, port: ${backends[name].port} }`);
    return place.write('services.yaml', `services: { web: [${endpoints.join(', ')}] }\n`);
  };
  await serve('alpha', 'beta');
  const once = place.run('--once');
  assert.equal(await once.ended, 0, once.output);

  await serve('alpha', 'gamma');
  const planned = await place.command('plan', '--exit-code');
  assert.equal(planned.exitCode, 10);
  const [, listed = ''] =
    /^no reload, but the runtime commands\n((?: {2}.+\n)+)\n@@ backend web @@\n/.exec(planned.stdout) ?? [];
  const commands = listed.split('\n').map((line) => line.trim());
  assert.match(commands[0] ?? '', new RegExp(`^add server web/gamma 127\\.0\\.0\\.1:${backends.gamma.port} weight `));
  assert.ok(commands.includes('set server web/beta state maint'), listed);
  const asJson = JSON.parse(stdoutOf(await place.command('plan', '--json'))) as Record<string, unknown>;
  assert.deepEqual([asJson.kind, asJson.commands], ['runtime', commands.filter(Boolean)]);
  assert.match(String(asJson.diff), /^\+ +server gamma /m);

  for (const command of commands.filter(Boolean)) await askHAProxy(place.path('run/admin.sock'), [command]);
  await servedBy(my.port, 'alpha', 'gamma');
});

test('on a terminal the diff of a plan is coloured, but not with NO_COLOR, and nowhere else', async () => {
  await using my = await site();
  const { place } = my;
  await my.serve('alpha');
  const once = place.run('--once');
  assert.equal(await once.ended, 0, once.output);
  await my.configure({ web: ['balance: leastconn'] });
  const piped = stdoutOf(await place.command('plan'));
  assert.match(
    piped,
    /^reload, because of\n {2}backend web: .* \(option_changed\): balance\nHAProxy \S+ accepts it\n\n@@ backend web @@\n[\s\S]*^\+ +balance leastconn$/m,
  );
  assert.doesNotMatch(piped, /\x1b/);
  const plan = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const [program, args] = onTerminal([process.execPath, cli, 'plan']);
    const PATH = [dirname(await haproxy()), process.env.PATH].join(delimiter);
    // Where CI is set, Node takes every terminal for one without colours.
    const { NO_COLOR: _, CI: __, ...others } = process.env;
    const child = spawn(program, args, { cwd: place.folder, env: { ...others, PATH, TERM: 'xterm', ...env } });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
    assert.deepEqual(await event(child, 'close'), [0, null], output);
    return output.replaceAll('\r', '');
  };
  const coloured = await plan({});
  for (const [colour, line] of [
    [36, '@@ backend web @@'],
    [31, '-    balance roundrobin'],
    [32, '+    balance leastconn'],
  ] as const)
    assert.ok(coloured.includes(`\x1b[${colour}m${line}\x1b[39m\n`), JSON.stringify(coloured));
  assert.equal(stripVTControlCharacters(coloured), piped);
  assert.equal(await plan({ NO_COLOR: '1' }), piped);
});

test('run --no-apply writes the file and starts nothing', async () => {
  await using my = await site();
  await my.serve('alpha');
  const { exitCode, stdout } = await my.place.command('run', '--no-apply', '--once');
  assert.equal(exitCode, 0, stdout);
  const address = `127.0.0.1:${my.backends.alpha.port}`;
  assert.match(await my.place.read('run/haproxy.cfg'), new RegExp(`^ +server \\S+ ${address} `, 'm'));
  assert.deepEqual(await my.place.haproxies(), []);
});

test('run --once --no-apply without one of its sources writes the others and exits 0, and 6 where nothing is known', async () => {
  await using my = await site({ services: ['far: { from: { consul: {} } }'], rest: ['startTimeout: 3s'] });
  const { place } = my;
  const config = (await place.read('myelin.yaml'))
    .replace('watchers: {', `watchers: { consul: { address: "127.0.0.1:${await freePort()}" },`)
    .replace('web:\n', 'web:\n    from: { file: {} }\n');
  await place.write('myelin.yaml', config);
  await my.serve('alpha');
  const { exitCode, stdout } = await place.command('run', '--once', '--no-apply');
  assert.equal(exitCode, 0, stdout);
  const file = await place.read('run/haproxy.cfg');
  assert.match(file, new RegExp(`^ +server \\S+ 127.0.0.1:${my.backends.alpha.port} `, 'm'));
  assert.match(file, /^backend far( from .*)?$/m);

  await place.write('services.yaml', 'services: {}\n');
  await place.write('myelin.yaml', `${config}state: ./run/another\n`.replace(/^ {2}haproxy:/m, '  haproxy:'));
  assert.equal((await place.command('run', '--once', '--no-apply')).exitCode, 6);
});

test('what goes wrong has its exit code, a message with code and, where there is one, a remedy on stderr', async () => {
  await using my = await site();
  const { place } = my;
  await my.serve('alpha');
  const fails = async (exitCode: number, words: RegExp, ...args: readonly string[]): Promise<void> => {
    const finished = await place.command(...args);
    assert.equal(finished.exitCode, exitCode, `${args.join(' ')}\n${finished.stdout}${finished.stderr}`);
    assert.match(finished.stderr, words);
    assert.equal(finished.stdout, '', args.join(' '));
  };
  const good = await place.read('myelin.yaml');

  await fails(2, /unknown command 'chekc'[\s\S]*Did you mean check/, 'chekc');
  await fails(2, /unknown option '--jsn'/, 'status', '--jsn');
  await fails(2, /too many arguments/, 'check', 'myelin.yaml');
  const notRunning = /^error: no Myelin is running .*run\/myelin\.sock.* \[MYELIN_NOT_RUNNING\]\nwhat to do: /;
  for (const command of ['status', 'reload', 'stop']) await fails(8, notRunning, command);
  await fails(8, notRunning, 'accept', 'web');
  await fails(8, notRunning, 'server', 'maint', 'web/a');
  await fails(8, notRunning, 'status', '--watch');
  await fails(2, /accept takes the name of one service, or --all/, 'accept');

  await place.write('myelin.yaml', good.replace('log: none', 'logg: none'));
  const misspelt =
    /^error: \.\/myelin\.yaml:6:3: haproxy\.logg: unknown key; .*did you mean "log"\? \[MYELIN_CONFIG_INVALID\]/;
  for (const command of ['check', 'run', 'render', 'plan', 'status']) await fails(3, misspelt, command);
  await fails(3, /nowhere\.yaml.*\[MYELIN_CONFIG_INVALID\]/, 'check', '-c', 'nowhere.yaml');

  await my.configure({ rest: ['templates: templates'] });
  await place.write('templates/backend.hbs', 'backend {{nmae}}\n');
  const template =
    /backend\.hbs:1:\d+: there is no field "nmae" here; did you mean "name"\?[\s\S]*\[MYELIN_TEMPLATE_INVALID\]/;
  for (const command of ['check', 'render', 'plan']) await fails(4, template, command);
  await place.write('templates/backend.hbs', 'backend {{#if}}');
  for (const command of ['check', 'run']) await fails(4, /backend\.hbs:1:\d+: .*\[MYELIN_TEMPLATE_INVALID\]/s, command);

  await rm(place.path('templates/backend.hbs'));
  await place.write('templates/server.hbs', '');
  const noServer =
    /^error: the templates print no server of any service \[MYELIN_TEMPLATE_INVALID\]\nwhat to do: see that none of the files in `templates` is cut off/;
  await fails(4, noServer, 'check');

  await my.configure({ web: ['backend: ["balance nonsense"]'] });
  const rejected = new RegExp(
    `HAProxy ${version} rejects the config:\\n {2}\\S+myelin\\.yaml:\\d+:\\d+: services\\.web\\.backend\\[0\\]: \`balance nonsense\`: .*balance.* \\[MYELIN_CONFIG_REJECTED\\]\\nwhat to do: `,
  );
  await fails(5, rejected, 'check');
  assert.equal((await place.command('run', '--once')).exitCode, 5);

  const silent = await freePort();
  const consul = good.replace(
    /^watchers:.*$/m,
    `watchers: { consul: { address: "127.0.0.1:${silent}" } }\nstartTimeout: 1s`,
  );
  await place.write('myelin.yaml', consul);
  const noAnswer =
    /^waiting for consul, [\d.]+ s at most: .*ECONNREFUSED.*\nerror: no complete answer within 1 s from consul \(.*ECONNREFUSED.*\) \[MYELIN_SOURCE_TIMEOUT\]\nwhat to do: /;
  for (const command of ['render', 'plan']) await fails(6, noAnswer, command);

  await my.configure({ haproxy: ['binary: ./nowhere'] });
  for (const command of ['run', 'check'])
    await fails(7, /nowhere" was not found \[MYELIN_HAPROXY_UNAVAILABLE\]/, command);
});

test('help and version go to stdout', async () => {
  await using place = await workplace('');
  assert.match(stdoutOf(await place.command('--version')), /^\d+\.\d+\.\d+\n$/);
  const help = stdoutOf(await place.command('--help'));
  for (const command of [
    'run',
    'check',
    'render',
    'plan',
    'status',
    'accept',
    'server',
    'reload',
    'stop',
    'init',
    'eject',
    'schema',
    'demo',
  ])
    assert.match(help, new RegExp(`^ {2}${command}\\b`, 'm'));
});

test('secrets from files and the environment are shown nowhere, however much is logged', async () => {
  const [token, password, apiKey] = ['tok-5f1c9a77-secret', 'stats-pass-81ab', 'api-key-94de'];
  await using agent = await startConsul();
  await using refusing = await startFaultProxy(agent.address);
  refusing.spoil({ kind: 'status', status: 403, body: `rpc error: token ${token} not found` });
  await using my = await site();
  const { place } = my;
  await agent.register({ id: 'web-1', name: 'web', address: '127.0.0.1', port: my.backends.alpha.port });
  await place.write('token', `${token}\n`);
  process.env.STATS_PASSWORD = password;
  process.env.API_KEY = apiKey;
  const stats = await freePort();
  const config = (key: string): string =>
    [
      'watchers:',
      `  good: { type: consul, address: "${agent.address}", token: "\${file:token}" }`,
      `  bad: { type: consul, address: "${refusing.address}", token: "\${file:token}", required: false }`,
      'services:',
      `  web: { from: { good: {} }, bind: "127.0.0.1:${my.port}" }`,
      '  unheard: { from: { bad: {} } }',
      '  other:',
      '    from: { good: { service: web } }',
      `    backend: ["http-request deny if { req.hdr(x-key) ${key} }"]`,
      'allowAddresses: [127.0.0.0/8]',
      'haproxy:',
      '  log: none',
      `  stats: { bind: "127.0.0.1:${stats}", lines: ["stats auth admin:\${STATS_PASSWORD}"] }`,
      'probes: { listen: "off" }',
      '',
    ].join('\n');
  await place.write('myelin.yaml', config('"${API_KEY}"'.replaceAll('"', '')));
  const myelin = place.run('--log-level', 'trace');
  await until('web serves', async () => (await ask(my.port)) === 'alpha', { withinMs: 30_000 });
  const file = await place.read('run/haproxy.cfg');
  assert.ok(file.includes(password) && file.includes(apiKey), 'HAProxy is told');
  assert.equal((await stat(place.path('run/haproxy.cfg'))).mode & 0o777, 0o640);
  assert.equal((await place.command('render')).stdout, file, 'the file can be made by `render`');
  // HAProxy quotes the word that it does not understand.
  await place.write('myelin.yaml', config('-m ${API_KEY}'));
  const status = await myelin.until('it is quarantined', ({ services }) =>
    services.some((one) => one.quarantined !== null),
  );

  await place.write('services.yaml', 'services: {}');
  const outputs: Record<string, string> = { status: JSON.stringify(status) };
  for (const path of ['status', 'config', 'services'])
    outputs[path] = await askSocket(place.path('run/myelin.sock'), 'GET', `/api/v1/${path}`);
  outputs.events = JSON.stringify(await eventsUntil(place.path('run/myelin.sock'), 'quarantined'));
  outputs.metrics = await askSocket(place.path('run/myelin.sock'), 'GET', '/metrics');
  for (const command of [['status'], ['status', '--json'], ['check'], ['plan'], ['render', '--mask'], ['reload']]) {
    const { stdout, stderr } = await place.command(...command, '--log-level', 'trace');
    outputs[command.join(' ')] = stdout + stderr;
  }
  myelin.kill('SIGTERM');
  await myelin.ended;
  outputs.log = myelin.output;
  for (const [where, text] of Object.entries(outputs))
    for (const secret of [token, password, apiKey])
      assert.ok(!text.includes(secret), `${where} shows ${secret}:\n${text}`);
  assert.match(outputs.log ?? '', /"level":"trace"/);
  assert.match(outputs['render --mask'] ?? '', /stats auth admin:\*\*\*/);
  assert.match(outputs.check ?? '', /\*\*\*/);
});

test('the demo loses no request, prints its table, and leaves nothing behind, also when it is interrupted', async () => {
  for (const interrupted of [false, true]) {
    await using folder = await tempFolder();
    await symlink(await haproxy(), join(folder.path, 'haproxy'));
    const PATH = [folder.path, dirname(await haproxy()), process.env.PATH].join(delimiter);
    // Long enough for each service to go again.
    const args = [cli, 'demo', '--seconds', interrupted ? '60' : '15'];
    const env = { ...process.env, PATH, TMPDIR: folder.path };
    // A group of its own: Ctrl-C reaches all of the group.
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8');
      });
    const ended = new Promise((fulfil) => child.once('exit', (code, signal) => fulfil(code ?? signal)));
    if (interrupted) {
      await until('load runs', () => /[1-9]\d* requests/.test(output), { withinMs: 30_000 });
      process.kill(-(child.pid ?? 0), 'SIGINT');
    }
    assert.equal(await ended, 0, output);
    if (!interrupted) {
      assert.match(output, /failed +0\b/i, output);
      const how = defaultBranch === '3.4' ? 'by commands, in the same process' : 'with a reload';
      assert.match(
        output,
        new RegExp(`route +blog\\.localhost was answered 404, and 200 from \\d+ ms after its service came, ${how}`),
      );
    }
    assert.deepEqual(await readdir(folder.path), ['haproxy']);
    await until('no process is left', async () => (await mentioning(folder.path)).length === 0);
  }
});

/** Command lines of processes that have to do with this folder. */
async function mentioning(folder: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(folder));
}

/** All that happened, as far as it is kept, and what happens up to an event of this kind. */
async function eventsUntil(socket: string, kind: Event['kind']): Promise<readonly Event[]> {
  const events: Event[] = [];
  for await (const event of followEvents(socket, { lastId: null, signal: AbortSignal.timeout(10_000) })) {
    events.push(event);
    if (event.kind === kind) break;
  }
  return events;
}

function stdoutOf({ exitCode, stdout, stderr }: Finished): string {
  assert.equal(stderr, '');
  assert.equal(exitCode, 0, stdout);
  return stdout;
}

test('check looks at what discovered services will have, without any source', async () => {
  const config = (line: string): string => `
watchers: { cluster: { type: kubernetes } }
probes: { listen: "off" }
discover: { cluster: { labels: { a: b }, options: [port], ports: "10000-10010", service: { backend: ["${line}"] } } }
`;
  await using place = await workplace(config('http-reuse safe'));
  assert.match(stdoutOf(await place.command('check')), /: 0 services, templates and config are valid\n/);
  await place.write('myelin.yaml', config('http-reuse never again'));
  const refused = await place.command('check');
  assert.equal(refused.exitCode, 5);
  assert.match(refused.stderr, /discover\.cluster\.service\.backend\[0\]: `http-reuse never again`: .*http-reuse/);
});
