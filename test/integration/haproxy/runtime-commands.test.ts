/** What the real HAProxy answers to runtime commands is understood, in each version. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { readServersState } from '../../../src/haproxy/cli/info.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { cliWord, isCliWord } from '../../../src/haproxy/cli/words.ts';
import { readBackends } from '../../../src/haproxy/resources/servers/read-back.ts';
import type { ServerCommand } from '../../../src/model.ts';
import { branches, haproxy } from '../../servers/haproxy.ts';
import { configOfWeb, startHaproxy } from '../../support/haproxy/process.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { addOf } from '../../support/values/plans.ts';

const adding = branches.filter((branch) => branch !== '2.2');

const done = { kind: 'done' } as const;
const it = { backend: 'web', server: 'a' } as const;
const add = addOf(it);

for (const branch of branches) {
  test(`what HAProxy ${branch} did is told from what it did not do, on one line`, async () => {
    await using folder = await tempFolder();
    const config = configOfWeb(folder.path, ['server a 127.0.0.1:9']);
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, config);
    const commands: readonly ServerCommand[] = [
      { ...it, kind: 'server', action: 'weight', weight: 3 },
      { ...it, server: 'nobody', kind: 'server', action: 'weight', weight: 3 },
      { ...it, kind: 'server', action: 'weight', weight: 0 },
      { ...it, backend: 'nowhere', kind: 'server', action: 'ready' },
      { ...it, kind: 'server', action: 'maint' },
      { ...it, server: 'gone', kind: 'server', action: 'remove', options: [] },
      { ...it, kind: 'server', action: 'ready' },
      { ...it, kind: 'server', action: 're-address', address: '127.0.0.1', port: 9 },
      { ...it, server: 'nobody', kind: 'server', action: 're-address', address: '127.0.0.1', port: 9 },
      add,
      { ...it, kind: 'server', action: 're-address', address: '127.0.0.1', port: 10 },
    ];
    const verdicts = await haproxyProcess.run(commands);
    const [no, moved] = [1, 8].map((at) => ({ kind: 'unexpected', command: commands[at], reply: 'No such server.' }));
    const nowhere = verdicts[3];
    assert.ok(nowhere?.kind === 'unexpected' && /^No such (backend|server)\.$/.test(nowhere.reply));
    const again = verdicts[9];
    assert.ok(again?.kind === 'unexpected' && /^(Already exists a server|Unknown command)/.test(again.reply));
    assert.deepEqual(verdicts, [done, no, done, nowhere, done, done, done, done, moved, again, done]);
  });

  test(`a port, an address or both change HAProxy ${branch}, each in its own words`, async () => {
    await using folder = await tempFolder();
    const config = configOfWeb(folder.path, ['server a 127.0.0.1:9']);
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, config);
    for (const [address, port] of [
      ['127.0.0.1', 10],
      ['127.0.0.2', 10],
      ['127.0.0.3', 11],
      ['::1', 11],
      ['2001:db8::1', 12],
      ['2001:db8::1', 12],
      ['127.0.0.3', 65_535],
    ] as const) {
      assert.deepEqual(await haproxyProcess.run([{ ...it, kind: 'server', action: 're-address', address, port }]), [
        done,
      ]);
      await until(`${address} ${port}`, async () => {
        const [row] = (await readServersState(haproxyProcess.socket)).rows;
        return row?.srv_addr === address && row.srv_port === `${port}`;
      });
    }
  });

  test(`HAProxy ${branch} sends a server as many connections at once as it is told, and says how many`, async () => {
    await using folder = await tempFolder();
    await using target = await echo();
    const config = configOfWeb(folder.path, [`server a 127.0.0.1:${target.port} maxconn 1`, 'server b ::1:9'], 'tcp');
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, config);
    const { socket } = haproxyProcess;
    const maxconns = async (): Promise<unknown> => {
      const { seen } = await readBackends((line) => ask(socket, [line]), ['web'], new Set(['web']));
      return Object.fromEntries(seen.get('backend web')?.maxconns ?? []);
    };
    assert.deepEqual(await maxconns(), { a: 1, b: 0 });
    const limit = (maxconn: number) => ({ ...it, kind: 'server', action: 'maxconn', maxconn }) as const;
    const sent = await haproxyProcess.run([{ ...it, server: 'b', kind: 'server', action: 'maint' }]);
    assert.deepEqual(sent, [done]);
    const clients = [1, 2, 3].map(() => connect(join(folder.path, 'web.sock')));
    let answered = 0;
    for (const client of clients) client.once('data', () => (answered += 1)).write('hello');
    await until('one has its turn', () => answered === 1);
    const waiting = async (): Promise<boolean> => /^web,BACKEND,2,/m.test(await ask(socket, ['show stat web 2 -1']));
    await until('two wait', waiting);
    if (!haproxyProcess.capabilities.serverMaxconn) return;
    assert.deepEqual(await haproxyProcess.run([limit(2)]), [done]);
    await until('another has its turn', () => answered === 2);
    assert.deepEqual(await maxconns(), { a: 2, b: 0 });
    assert.deepEqual(await haproxyProcess.run([limit(0)]), [done]);
    await until('all have', () => answered === 3);
    assert.deepEqual(await maxconns(), { a: 0, b: 0 });
    for (const client of clients) client.destroy();
    const [verdict] = await haproxyProcess.run([{ ...limit(3), server: 'nobody' }]);
    assert.deepEqual([verdict?.kind], ['unexpected']);
  });

  test(`any word reaches HAProxy ${branch} as it is`, async () => {
    await using folder = await tempFolder();
    const map = join(folder.path, 'words.map');
    await writeFile(map, '');
    const config = configOfWeb(folder.path, [`http-request deny if { path,map(${map}) -m found }`]);
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, config);
    const special = fc.constantFrom(' ', ';', '\\', '"', "'", '#', '<', '$', 'a', 'é');
    const word = fc.oneof(
      fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 20 }),
      fc.string({ unit: special, minLength: 1, maxLength: 8 }),
    );
    for (const text of new Set(fc.sample(word, 400).filter(isCliWord))) {
      // Last on its line, where `<<` would open a payload.
      await ask(haproxyProcess.socket, [`clear map ${map}`, `add map ${map} key ${cliWord(text)}`]);
      const answer = await ask(haproxyProcess.socket, [`show map ${map}`]);
      assert.equal(/^0x[0-9a-f]+ key (.*)$/m.exec(answer)?.[1], text);
    }
  });
}

for (const branch of adding) {
  test(`HAProxy ${branch} deletes what is removed, says what it keeps, and refuses unknown options`, async () => {
    await using folder = await tempFolder();
    const servers = ['http-request deny if { srv_is_up(named) }', 'server named 127.0.0.1:9', 'server a 127.0.0.1:9'];
    await using haproxyProcess = await startHaproxy(
      await haproxy(branch),
      folder.path,
      configOfWeb(folder.path, servers),
    );
    const verdicts = await haproxyProcess.run([
      { ...it, kind: 'server', action: 'delete' },
      { ...it, server: 'named', kind: 'server', action: 'maint' },
      { ...it, server: 'named', kind: 'server', action: 'delete' },
      { ...it, kind: 'server', action: 'remove', options: [] },
      { ...it, kind: 'server', action: 'delete' },
      { ...it, kind: 'server', action: 'delete' },
      { ...add, options: ['id', `${2 ** 31 - 1}`] },
      { ...it, kind: 'server', action: 'ready' },
      { ...add, server: 'b', options: ['mystery'] },
      { ...add, server: 'c', address: '::1', options: ['id', `${2 ** 30}`] },
    ]);
    const shown = verdicts.map((verdict) =>
      verdict.kind === 'unexpected' ? verdict.reply.slice(0, 25) : verdict.kind,
    );
    const first = ['Only servers in maintenan', 'done', 'pinned', 'done', 'done', 'done', 'done', 'done'];
    assert.deepEqual(shown, [...first, "unknown keyword 'mystery'", 'done']);
  });

  test(`a server of HAProxy ${branch} is deleted only when its last connection is over`, async () => {
    await using folder = await tempFolder();
    await using target = await echo();
    const config = configOfWeb(folder.path, [`server a 127.0.0.1:${target.port}`], 'tcp');
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, config);
    const client = connect(join(folder.path, 'web.sock'));
    const answer = new Promise((resolve) => client.once('data', resolve));
    client.write('hello');
    await answer;
    const leave: readonly ServerCommand[] = [
      { ...it, kind: 'server', action: 'remove', options: [] },
      { ...it, kind: 'server', action: 'delete' },
    ];
    assert.deepEqual(await haproxyProcess.run(leave), [done, { kind: 'busy' }]);
    client.end();
    await until(
      'it is deleted',
      async () => (await haproxyProcess.run([{ ...it, kind: 'server', action: 'delete' }]))[0]?.kind === 'done',
    );
    assert.deepEqual((await readServersState(haproxyProcess.socket)).rows, []);
  });
}

async function echo(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket));
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { port, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}
