/** Holds the reading of `bind` lines to HAProxy's own: what it refuses, and what it cannot hold at once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { readInfo } from '../../../src/haproxy/cli/info.ts';
import { bindsOverlap, maxSocketPath, parseBind } from '../../../src/haproxy/text/bind.ts';
import { runCommand } from '../../../src/lib/command.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';

const binary = await haproxy();

function configWith(binds: readonly string[], statsSocket?: string): string {
  const global = ['global', 'noreuseport', ...(statsSocket === undefined ? [] : [`stats socket ${statsSocket}`])];
  const timeouts = ['timeout client 1s', 'timeout server 1s', 'timeout connect 1s'];
  return [...global, 'defaults', ...timeouts, 'frontend f', ...binds.map((bind) => `bind ${bind}`), ''].join('\n');
}

test('HAProxy refuses what is refused here, and reads what is read here', async () => {
  await using folder = await tempFolder();
  const unix = (length: number) => `${folder.path}/${'s'.repeat(length - folder.path.length - 1)}`;
  const good = [
    '*:80',
    ':80',
    '0:80',
    ':::80',
    '[::1]:80',
    '::ffff:127.0.0.1:80',
    'ipv6@:80',
    'stream+ipv4@*:80',
    ':80-90',
  ];
  const bad = ['80', '[::1]', '*:', '*:http', '*:0', '*:80-70000', '*:90-80', ',:80'];
  for (const bind of [...good, ':80,:81', ':80,', 'abns@x', unix(maxSocketPath), ...bad, unix(maxSocketPath + 1)]) {
    const file = join(folder.path, 'c.cfg');
    await writeFile(file, configWith([bind]));
    const { status } = await runCommand([binary, '-c', '-f', file], { timeoutMs: 10_000 });
    assert.equal(status === 0, parseBind(bind).problems.length === 0, bind);
  }
});

test('HAProxy starts with two binds exactly where they do not overlap', async (t) => {
  if (!(await hasIPv6())) return t.skip('this machine has no IPv6');
  await using folder = await tempFolder();
  const pairs = [
    ['127.0.0.1:P', '127.0.0.2:P'],
    ['127.0.0.1:P', '127.0.0.1:P'],
    [':P', '127.0.0.1:P'],
    [':P', ':::P'],
    [':P', ':::P v6only'],
    ['127.0.0.1:P', '[::]:P'],
    ['127.0.0.1:P', '[::1]:P'],
    ['127.0.0.1:P', '[::ffff:127.0.0.1]:P'],
    ['127.0.0.1:P', 'ipv6@:P v6only'],
  ] as const;
  for (const [index, pair] of pairs.entries()) {
    const port = String(await freePort());
    const binds = pair.map((bind) => bind.replace('P', port));
    const [one, other] = binds.map((bind) => parseBind(bind).addresses[0]);
    assert.ok(one !== undefined && other !== undefined);
    assert.equal(await starts(folder.path, index, binds), !bindsOverlap(one, other), binds.join(' and '));
  }
});

/** Whether HAProxy comes up with these binds; it is ended again. */
async function starts(folder: string, index: number, binds: readonly string[]): Promise<boolean> {
  const file = join(folder, `${index}.cfg`);
  const socket = join(folder, `${index}.sock`);
  await writeFile(file, configWith(binds, socket));
  const child = spawn(binary, ['-db', '-f', file], { stdio: 'ignore' });
  const exit = once(child, 'exit');
  try {
    // Its socket is there before all binds are: only an answer says that it runs.
    const isUp = () => readInfo(socket, { timeoutMs: 1000 }).then(({ pid }) => pid === child.pid);
    const end = until('HAProxy starts or gives up', async () =>
      child.exitCode === null ? (await isUp()) && 'up' : 'gave up',
    );
    return (await end) === 'up';
  } finally {
    child.kill('SIGTERM');
    await exit;
  }
}

async function hasIPv6(): Promise<boolean> {
  const server = createServer();
  server.listen(0, '::1');
  return once(server, 'listening').then(
    () => {
      server.close();
      return true;
    },
    () => false,
  );
}
