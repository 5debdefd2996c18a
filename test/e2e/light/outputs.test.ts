/** Files beside HAProxy's: they follow the source, their checks and readers are asked, and a failing one harms nobody. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once as event } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { type Workplace, workplace } from '../../support/sites/myelin.ts';

/** A service `web` from a file, and these lines below `outputs`. */
async function served(...outputs: readonly string[]): Promise<Workplace> {
  const place = await workplace(
    [
      'watchers: { file: { path: services.yaml } }',
      'allowAddresses: [127.0.0.0/8]',
      `services: { web: { bind: "127.0.0.1:${await freePort()}" } }`,
      'haproxy: { log: none, onExit: stop }',
      'reload: { minInterval: 0ms }',
      'probes: { listen: "off" }',
      'outputs:',
      ...outputs.map((line) => `  ${line}`),
      '',
    ].join('\n'),
  );
  await say(place, '10.0.0.1:80');
  return place;
}

function say(place: Workplace, ...endpoints: readonly string[]): Promise<void> {
  return place.write('services.yaml', `services:\n  web: [${endpoints.map((one) => `"${one}"`).join(', ')}]\n`);
}

const has = (place: Workplace, name: string, text: string) => async (): Promise<boolean> =>
  (await place.read(name).catch(() => '')).includes(text);

test('each output follows the source, and its reader is told', async () => {
  await using place = await served(
    'hosts: { path: out/hosts, template: hosts, mode: "0644", minInterval: 50ms }',
    'nginx: { path: out/nginx.conf, template: nginx-upstream, minInterval: 50ms, reload: [sh, -c, "echo told >> told"] }',
    'mine: { path: out/mine, template: ./mine.hbs, encoding: json, minInterval: 50ms }',
  );
  await place.write('mine.hbs', '{{#each services}}{{#each servers}}{{id}} {{address}}\n{{/each}}{{/each}}');
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await until('the template is filled', has(place, 'out/mine', '"10.0.0.1:80" "10.0.0.1:80"\n'));
  await until('the hosts are there', has(place, 'out/hosts', '\n10.0.0.1 web\n'));
  assert.equal((await stat(place.path('out/hosts'))).mode & 0o777, 0o644);
  await until('nginx is told', has(place, 'told', 'told\n'));

  await say(place, '10.0.0.1:80', '10.0.0.2:81');
  await until(
    'nginx has both',
    has(place, 'out/nginx.conf', 'server 10.0.0.1:80 weight=1;\n    server 10.0.0.2:81 weight=1;'),
  );
  await until('nginx is told again', has(place, 'told', 'told\ntold\n'));
  const { outputs } = await myelin.until('all are current', (status) =>
    status.outputs.every(({ state }) => state === 'current'),
  );
  assert.deepEqual(
    outputs.map(({ name, failed }) => [name, failed]),
    [
      ['hosts', null],
      ['nginx', null],
      ['mine', null],
    ],
  );

  // A template that is edited counts at once, one that is wrong does not.
  await place.write('mine.hbs', '{{#each services}}{{name}} has {{#each servers}}{{port}} {{/each}}{{/each}}\n');
  await until('the new template is filled', has(place, 'out/mine', '"web" has 80 81 \n'));
  await place.write('mine.hbs', '{{#each services}}');
  await myelin.until('the template is refused', ({ refusedConfig }) => refusedConfig !== null);
  assert.equal(await place.read('out/mine'), '"web" has 80 81 \n');
});

test('a check that fails leaves the last good file and is told, while HAProxy and the others go on', async () => {
  await using place = await served(
    'checked: { path: out/checked, template: hosts, minInterval: 50ms, check: [sh, -c, "grep -q 10.0.0.1 \\"$1\\" || { echo first is missing; exit 1; }", sh, "{file}"] }',
    'json: { path: out/all.json, template: json, minInterval: 50ms }',
  );
  const myelin = place.run();
  await until('it is written', has(place, 'out/checked', '10.0.0.1'));
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await say(place, '10.0.0.2:80');
  const status = await myelin.until('the failure is told', ({ outputs }) => outputs[0]?.state === 'failed');
  assert.equal(status.state, 'degraded');
  assert.equal(status.outputs[0]?.failed?.step, 'check');
  assert.match(status.outputs[0].failed.reason, /^output checked: .* \(check\): exit status 1: first is missing$/);
  assert.match(await place.read('out/checked'), /10\.0\.0\.1/);
  assert.match(await place.read('out/.checked.rejected'), /10\.0\.0\.2/);
  await until('the other follows', has(place, 'out/all.json', '10.0.0.2'));
  await until('HAProxy follows', has(place, 'run/haproxy.cfg', '10.0.0.2:80'));
  const { stdout } = await place.command('status');
  assert.match(stdout, /^ {2}checked +\S+\/out\/checked failed for \S+ \(check\): .*first is missing$/m);
  assert.match(myelin.output, /"output":"checked".*"msg":"output failed; retrying"/);

  await say(place, '10.0.0.1:80', '10.0.0.2:80');
  await until('it is written again', has(place, 'out/checked', '10.0.0.2'));
  await myelin.until(
    'it is current',
    ({ stateReasons, outputs }) => isApplied(stateReasons) && outputs[0]?.state === 'current',
  );
});

test('a kill at any moment leaves old bytes or new ones, and the next Myelin tells whoever was not told', async () => {
  await using place = await served(
    'all: { path: out/all.json, template: json, minInterval: 0ms, check: [sh, -c, "sleep 0.0$(($$ % 7))"], reload: [sh, -c, "cp out/all.json told.json"] }',
  );
  const wholes = new Set<string>();
  for (let round = 0; round < 6; round++) {
    await say(place, `10.0.1.${round}:80`);
    const myelin = place.run();
    await until('the control socket answers', () => place.status().catch(() => null));
    for (let change = 0; change < 5; change++)
      await say(place, `10.0.${round}.${change}:80`, `10.0.0.${round + change}:81`);
    await until('a change arrives', async () => {
      const text = await place.read('out/all.json').catch(() => '');
      if (text === '') return false;
      JSON.parse(text);
      const isNew = !wholes.has(text);
      wholes.add(text);
      return isNew;
    });
    myelin.kill('SIGKILL');
    await myelin.ended;
    const left = await place.read('out/all.json');
    assert.ok(left === '' || left.endsWith('}\n'), left);
    JSON.parse(left);
  }
  await say(place, '10.0.9.9:80');
  place.run();
  await until('the reader has the newest', has(place, 'told.json', '10.0.9.9'));
  assert.equal(await place.read('told.json'), await place.read('out/all.json'));
});

test('render, plan, check and run --once know the outputs', async () => {
  await using place = await served(
    'hosts: { path: out/hosts, template: hosts, check: [grep, -q, web, "{file}"] }',
    'nginx: { path: out/nginx.conf, template: nginx-upstream, check: "nginx -t" }',
  );
  const rendered = await place.command('render', '--output', 'hosts');
  assert.deepEqual([rendered.exitCode, rendered.stdout.split('\n').at(1)], [0, '10.0.0.1 web']);
  const unknown = await place.command('render', '--output', 'host');
  assert.deepEqual(unknown.exitCode, 2);
  assert.match(unknown.stderr, /there is no output "host"; there are: hosts, nginx/);

  const checked = await place.command('check');
  assert.equal(checked.exitCode, 0, checked.stderr);
  assert.match(checked.stdout, /^output hosts: `grep -q web \{file\}` accepts it$/m);
  assert.match(checked.stdout, /^output nginx: its template is valid; `check` looks at the file in its place/m);

  const planned = await place.command('plan');
  assert.match(planned.stdout, /^reload, because of/);
  assert.match(
    planned.stdout,
    /out\/hosts is written\n\n@@ output hosts @@\n\+# Written by Myelin.*\n\+10\.0\.0\.1 web\n/,
  );

  // `nginx -t` cannot be run here: the file is not left in its place.
  const once = place.run('--once');
  assert.equal(await once.ended, 5, once.output);
  assert.match(await place.read('out/hosts'), /10\.0\.0\.1 web/);
  await assert.rejects(readFile(place.path('out/nginx.conf')));
  assert.match(once.output, /error: output nginx: `nginx -t` \(check\): .* \[MYELIN_OUTPUT_FAILED\]/);
  const written = place.run('--once', '--no-apply');
  assert.equal(await written.ended, 0, written.output);
  assert.match(await place.read('out/nginx.conf'), /server 10\.0\.0\.1:80 weight=1;/);
});

test('plan tells of a file that would be written where HAProxy needs nothing', async () => {
  await using place = await served('hosts: { path: out/hosts, template: hosts }');
  const myelin = place.run();
  await myelin.until(
    'it serves',
    ({ stateReasons, outputs }) => isApplied(stateReasons) && outputs[0]?.state === 'current',
  );
  assert.equal((await place.command('plan')).stdout, 'nothing to do\n');
  myelin.kill('SIGSTOP');
  await place.write('out/hosts', '');
  const planned = await place.command('plan', '--exit-code');
  myelin.kill('SIGCONT');
  assert.match(planned.stdout, /^HAProxy: nothing to do\n\n\S+out\/hosts is written\n/);
  assert.equal(planned.exitCode, 10);
});

test('a file that somebody else overwrites is restored within `verifyInterval`', async () => {
  await using place = await served(
    'hosts: { path: out/hosts, template: hosts }',
    'json: { path: out/all.json, template: json }',
  );
  await place.write('myelin.yaml', `${await place.read('myelin.yaml')}verifyInterval: 100ms\n`);
  const myelin = place.run();
  await myelin.until('it serves', ({ outputs }) => outputs.every(({ state }) => state === 'current'));
  await place.write('out/hosts', '10.9.9.9 web\n');
  await until('it is restored', has(place, 'out/hosts', '10.0.0.1 web'));
  await until('it is told', async () =>
    /"output":"hosts".*"msg":"output file was changed by somebody else and is restored"/.test(myelin.output),
  );
});

test('run --once waits for a service that nobody has answered yet, and fails where no answer comes in time', async () => {
  await using place = await served('hosts: { path: out/hosts, template: hosts }');
  const config = await place.read('myelin.yaml');
  // Nobody accepts there, and nobody refuses: the source has neither answered nor failed.
  await using silent = await silentServer();
  await place.write(
    'myelin.yaml',
    `${config.replace('watchers: { file', `watchers: { consul: { address: "http://127.0.0.1:${silent.port}", required: false }, file`).replace('services: { web: {', 'services: { other: { from: { consul: {} } }, web: { from: { file: {} },')}startTimeout: 1500ms\n`,
  );
  const once = place.run('--once');
  assert.equal(await once.ended, 6, once.output);
  assert.match(
    once.output,
    /error: no output is written: no answer about other within 1500 ms \[MYELIN_SOURCE_TIMEOUT\]/,
  );
  await assert.rejects(readFile(place.path('out/hosts')));
});

test('a pipe at the path of an output is refused by check, plan and run', async () => {
  await using place = await served('hosts: { path: ./pipe, template: hosts }');
  assert.equal(spawnSync('mkfifo', [place.path('pipe')]).status, 0);
  const refused = /output hosts: \S+\/pipe is not a regular file \[MYELIN_OUTPUT_FAILED\]\nwhat to do: remove/;
  for (const command of ['check', 'plan']) {
    const { exitCode, stderr } = await place.command(command);
    assert.equal(exitCode, 5, `${command}: ${stderr}`);
    assert.match(stderr, refused);
  }
  // HAProxy goes on when this has ended, with its output: nobody waits for the end of that.
  const once = place.run('--once');
  assert.equal(await once.ended, 5, once.output);
  assert.match(once.output, refused);
});

/** Takes connections and never says a word. */
async function silentServer(): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await event(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
