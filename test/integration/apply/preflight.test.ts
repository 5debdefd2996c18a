/** Addresses that HAProxy would not get are found before anything is written. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { preflight } from '../../../src/apply/checks/preflight.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';
import { freePort, tempFolder } from '../../support/index.ts';

test('the line, the service and the holder of a taken port are told, also within a range', async () => {
  const port = await freePort();
  await using _ = await listen({ host: '127.0.0.1', port });
  const holder = `port ${port} is held by \\S+ \\(pid ${process.pid}\\)`;
  const single = await preflight(frontend(`127.0.0.1:${port} ssl crt /x`), []);
  assert.equal(single.problems.length, 1);
  assert.match(single.problems[0]?.message ?? '', new RegExp(`^${holder}$`));
  const { line, text, service } = single.problems[0] ?? {};
  assert.deepEqual([line, text, service], [2, `bind 127.0.0.1:${port} ssl crt /x`, 'web']);
  const range = await preflight(frontend(`127.0.0.1:${port - 1}-${port}`), []);
  assert.match(range.problems[0]?.message ?? '', new RegExp(holder));
  assert.equal((await preflight(frontend(`:${port}`), [])).problems.length, 1, 'all addresses include this one');
});

test('a port of another address or family is not taken', async () => {
  const port = await freePort();
  await using _ = await listen({ host: '127.0.0.1', port });
  for (const bind of [`[::1]:${port}`, `127.0.0.2:${port}`, `:::${port} v6only`])
    assert.deepEqual((await preflight(frontend(bind), [])).problems, [], bind);
});

const nothing = { problems: [], doubts: [], moves: { inTheWay: [], kept: [] } };

test('what the running process holds is not tried; another form of it is in the way', async () => {
  const port = await freePort();
  await using _ = await listen({ host: '127.0.0.1', port });
  const running = frontend(`127.0.0.1:${port}`);
  assert.deepEqual(await preflight(frontend(`127.0.0.1:${port} name other`), running), nothing);
  for (const other of [`*:${port}`, `127.0.0.1:${port} transparent`, `127.0.0.1:${port} interface lo`])
    assert.deepEqual((await preflight(frontend(other), running)).moves, { inTheWay: ['web:in'], kept: [] }, other);
});

test('ports are looked at one by one: what a range keeps is kept, and of a frontend in the way it is known what it keeps', async () => {
  const port = await freePort();
  await using _ = await listen({ host: '127.0.0.1', port });
  const running = frontend(`127.0.0.1:${port - 1}-${port}`);
  assert.deepEqual(await preflight(frontend(`127.0.0.1:${port - 1}-${port + 1}`), running), nothing);
  const moved = frontend(`127.0.0.1:${port - 1},*:${port}`);
  assert.deepEqual((await preflight(moved, running)).moves, { inTheWay: ['web:in'], kept: ['web:in'] });
});

test('a name and the address that it stands for are the same', async () => {
  const port = await freePort();
  await using _ = await listen({ host: 'localhost', port });
  const forms = [`localhost:${port}`, `127.0.0.1:${port}`];
  for (const [wanted = '', running = ''] of [forms, forms.toReversed()])
    assert.deepEqual(await preflight(frontend(wanted), frontend(running), { handingOn: process.pid }), nothing, wanted);
});

test('what stands in an `.if` is neither refused nor taken for held', async () => {
  const [port, free] = [await freePort(), await freePort()];
  await using _ = await listen({ host: '127.0.0.1', port });
  const conditional = (bind: string) =>
    splitSections(`frontend web:in\n    .if defined(X)\n    bind ${bind}\n    .endif\n`, 'web');
  assert.deepEqual(await preflight(conditional(`127.0.0.1:${port}`), []), nothing);
  assert.equal((await preflight(frontend(`127.0.0.1:${port}`), conditional(`127.0.0.1:${port}`))).problems.length, 1);
  assert.deepEqual(await preflight(frontend(`*:${free}`), conditional(`127.0.0.1:${free}`)), nothing);
});

test('what a process holds that hands it on is not taken', async () => {
  const port = await freePort();
  await using _ = await listen({ host: '127.0.0.1', port });
  const wanted = frontend(`127.0.0.1:${port}`);
  assert.deepEqual((await preflight(wanted, [], { handingOn: process.pid })).problems, []);
  assert.equal((await preflight(wanted, [], { handingOn: process.ppid })).problems.length, 1);
});

test('an address that this machine does not have is told, unless HAProxy is told to take it anyway', async () => {
  const { problems } = await preflight(frontend('192.0.2.1:80'), []);
  assert.match(problems[0]?.message ?? '', /this machine has no address 192\.0\.2\.1$/);
  assert.deepEqual((await preflight(frontend('192.0.2.1:80 transparent'), [])).problems, []);
});

test('a unix socket that somebody answers on is taken, one that was left behind is not', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 's');
  {
    await using _ = await listen({ path });
    const { problems } = await preflight(splitSections(`global\n    stats socket ${path} level admin\n`), []);
    assert.match(
      problems[0]?.message ?? '',
      new RegExp(`^\\S+ \\(pid ${process.pid}\\) listens on this socket; if that is a HAProxy, `),
    );
    assert.equal(problems[0]?.text, `stats socket ${path} level admin`);
  }
  assert.deepEqual((await preflight(frontend(path), [])).problems, []);
});

function frontend(bind: string): readonly Section[] {
  return splitSections(`frontend web:in\n    bind ${bind}\n`, 'web');
}

async function listen(where: { host: string; port: number } | { path: string }): Promise<AsyncDisposable & Server> {
  const server = createServer((connection) => connection.resume().end('\n')).listen(where);
  await once(server, 'listening');
  return server;
}
