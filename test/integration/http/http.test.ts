import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, stat, symlink, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { AppError } from '../../../src/errors.ts';
import { type AdminSources, adminRoutes, type Overridden, tcpRefusal } from '../../../src/http/admin.ts';
import { askMyelin, getStatus } from '../../../src/http/client.ts';
import { listenTcp, listenUnix } from '../../../src/http/listen.ts';
import { type Route, text } from '../../../src/http/server.ts';
import { toWallClock } from '../../../src/lib/time/clock.ts';
import type { OverrideRequest } from '../../../src/reconcile/overrides/override-store.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { sampleStatus } from '../../support/values/status.ts';

function notWanted(error: unknown): void {
  throw new Error('nothing should go wrong here', { cause: error });
}

const hello: readonly Route[] = [{ method: 'GET', path: '/hello', answer: () => text(200, 'hello') }];

/** Ends with the test. */
function lifetime(): AsyncDisposable & { readonly signal: AbortSignal; readonly ends: Promise<void>[] } {
  const stop = new AbortController();
  const ends: Promise<void>[] = [];
  return {
    signal: stop.signal,
    ends,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(ends);
    },
  };
}

function admin(more: Partial<Pick<AdminSources, 'reload' | 'override' | 'stop'>> = {}): readonly Route[] {
  return adminRoutes({
    status: () => sampleStatus,
    service: async () => null,
    servers: async (service) => (service === 'web:1' ? [] : null),
    why: async (about) => ({ about, serves: true, steps: [] }),
    routes: () => [],
    plans: async () => [],
    config: () => ({ watchers: { consul: { token: '***' } } }),
    reload: async () => ({ reloaded: true }),
    accept: (service) => (service === null || service === 'web:1' ? [{ service: 'web:1', endpoints: 3 }] : null),
    override: async () => {},
    stop: async () => null,
    ...more,
  });
}

test('the command line gets status, config and changes through over the control socket', async () => {
  await using folder = await tempFolder();
  await using life = lifetime();
  const path = join(folder.path, 'run/my.sock');
  let stopped = false;
  const stop = async (): Promise<null> => {
    stopped = true;
    return null;
  };
  const { closed } = await listenUnix(path, 'admin.socket', {
    routes: admin({ stop }),
    signal: life.signal,
    onError: notWanted,
  });
  life.ends.push(closed);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await getStatus(path), sampleStatus);
  assert.deepEqual(await askMyelin(path, 'GET', '/api/v1/services'), sampleStatus.services);
  assert.deepEqual(await askMyelin(path, 'GET', '/api/v1/config'), { watchers: { consul: { token: '***' } } });
  assert.deepEqual(await askMyelin(path, 'POST', '/api/v1/reload'), { reloaded: true });
  assert.deepEqual(await askMyelin(path, 'POST', '/api/v1/stop'), { stopping: true, haproxy: null });
  assert.ok(stopped);
});

test('a control socket that is removed, alone or with its folder, is made anew; connections to the former one are kept', async () => {
  await using folder = await tempFolder();
  await using life = lifetime();
  const path = join(folder.path, 'run/my.sock');
  let restored = 0;
  const restoring = {
    everyMs: 20,
    onRestored: () => {
      restored += 1;
    },
    onTrouble: notWanted,
  };
  const options = { routes: admin(), signal: life.signal, onError: notWanted };
  life.ends.push((await listenUnix(path, 'admin.socket', options, restoring)).closed);
  const former = connect({ path });
  await once(former, 'connect');
  for (const gone of [path, join(folder.path, 'run')]) {
    await rm(gone, { recursive: true });
    await until('it is there again', async () => (await getStatus(path).catch(() => null)) !== null);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  }
  assert.equal(restored, 2);
  former.write('GET /api/v1/status HTTP/1.1\r\nHost: myelin\r\nConnection: close\r\n\r\n');
  assert.match(String((await once(former, 'data'))[0]), /^HTTP\/1.1 200/);
});

test('an order names its service in the path, and one that is not known is refused with what to do', async () => {
  await using folder = await tempFolder();
  await using life = lifetime();
  const path = join(folder.path, 's');
  const { closed } = await listenUnix(path, 'admin.socket', {
    routes: admin(),
    signal: life.signal,
    onError: notWanted,
  });
  life.ends.push(closed);
  const accepted = { service: 'web:1', endpoints: 3 };
  for (const name of ['web:1', 'web%3A1'])
    assert.deepEqual(await askMyelin(path, 'POST', `/api/v1/accept/${name}`), accepted);
  assert.deepEqual(await askMyelin(path, 'POST', '/api/v1/accept'), [accepted], 'of every service');
  await assert.rejects(askMyelin(path, 'POST', '/api/v1/accept/we%22b'), (error: unknown) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, 'MYELIN_USAGE');
    assert.match(error.message, /^there is no service "we\\"b"$/);
    return error.remedy?.includes('myelin status') ?? false;
  });
  for (const none of ['/api/v1/accept/', '/api/v1/accept/web/1', '/api/v1/accept/%ZZ'])
    await assert.rejects(askMyelin(path, 'POST', none), /there is no such page/, none);
  await assert.rejects(askMyelin(path, 'GET', '/api/v1/accept/web:1'), /this is asked with POST/);
});

test('an override of a server names it in the path, with a time, and what is not understood changes nothing', async () => {
  await using folder = await tempFolder();
  await using life = lifetime();
  const path = join(folder.path, 's');
  const overrides: OverrideRequest[] = [];
  const override = async (given: OverrideRequest): Promise<void> => {
    if (given.server === 'gone')
      throw new AppError('MYELIN_USAGE', 'web has no server gone', { remedy: 'its servers are a' });
    if (given.server === 'mute') throw new AppError('MYELIN_SOCKET_FAILED', 'HAProxy does not answer');
    overrides.push(given);
  };
  const errors: unknown[] = [];
  const options = { routes: admin({ override }), signal: life.signal, onError: (error: unknown) => errors.push(error) };
  life.ends.push((await listenUnix(path, 'admin.socket', options)).closed);
  const before = Date.now();
  const drained = (await askMyelin(path, 'POST', '/api/v1/servers/web/a%2Fb%20%C3%A4:1/drain?for=30m')) as Overridden;
  assert.deepEqual(await askMyelin(path, 'POST', '/api/v1/servers/web/a:1/maint'), {
    service: 'web',
    server: 'a:1',
    state: 'maint',
    until: null,
  });
  await askMyelin(path, 'POST', '/api/v1/servers/web/a:1/ready');
  assert.deepEqual(
    overrides.map((given) => ({ ...given, until: given.until === null ? null : toWallClock(given.until) })),
    [
      { backend: 'web', server: 'a/b ä:1', state: 'drain', until: drained.until },
      { backend: 'web', server: 'a:1', state: 'maint', until: null },
      { backend: 'web', server: 'a:1', state: null, until: null },
    ],
  );
  const until = drained.until ?? 0;
  assert.ok(until >= before + 1_800_000 && until <= Date.now() + 1_800_000);

  for (const [asked, status, words] of [
    ['web/gone/maint', 404, 'its servers are a'],
    ['web/a/down', 400, 'maint, drain, ready'],
    ['web/a/maint?for=', 400, 'a duration such as'],
    ['web/a/maint?for=-5m', 400, 'a duration such as'],
    ['web/a/maint?for=99999d', 400, 'at most 24d'],
    ['web/a/ready?for=5m', 400, 'for good'],
    ['web/a', 404, 'no such page'],
    ['web//maint', 404, 'no such page'],
    ['web/a/b/maint', 404, 'no such page'],
  ] as const) {
    const asking = request({ socketPath: path, method: 'POST', path: `/api/v1/servers/${asked}` });
    const [response] = (await once(asking.end(), 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, status, asked);
    assert.ok(JSON.stringify(await response.setEncoding('utf8').toArray()).includes(words), asked);
  }
  assert.deepEqual(errors, [], 'a mistake of who asks is no trouble of ours');
  await assert.rejects(askMyelin(path, 'POST', '/api/v1/servers/web/mute/maint'), { code: 'MYELIN_SOCKET_FAILED' });
  assert.deepEqual([overrides.length, errors.length], [3, 1]);
});

test('an order that ends the server is answered first', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 's');
  const end = new AbortController();
  const routes = admin({
    async stop() {
      end.abort();
      return null;
    },
  });
  const { closed } = await listenUnix(path, 'admin.socket', { routes, signal: end.signal, onError: notWanted });
  assert.deepEqual(await askMyelin(path, 'POST', '/api/v1/stop'), { stopping: true, haproxy: null });
  await closed;
  await assert.rejects(stat(path), { code: 'ENOENT' });
});

test('an error of ours reaches the command line as itself', async () => {
  await using folder = await tempFolder();
  await using life = lifetime();
  const path = join(folder.path, 's');
  const errors: unknown[] = [];
  const reload = async (): Promise<never> => {
    throw new AppError('MYELIN_CONFIG_REJECTED', 'haproxy -c said no', { remedy: 'mend it' });
  };
  const options = { routes: admin({ reload }), signal: life.signal, onError: (error: unknown) => errors.push(error) };
  life.ends.push((await listenUnix(path, 'admin.socket', options)).closed);
  await assert.rejects(askMyelin(path, 'POST', '/api/v1/reload'), {
    code: 'MYELIN_CONFIG_REJECTED',
    message: 'haproxy -c said no',
    remedy: 'mend it',
    exitCode: 5,
  });
  assert.equal(errors.length, 1);
});

test('what a foreign error says stays inside', async () => {
  await using folder = await tempFolder();
  await using life = lifetime();
  const path = join(folder.path, 's');
  const reload = async (): Promise<never> => {
    throw new Error('token=s3cret');
  };
  const options = { routes: admin({ reload }), signal: life.signal, onError: () => undefined };
  life.ends.push((await listenUnix(path, 'admin.socket', options)).closed);
  await assert.rejects(askMyelin(path, 'POST', '/api/v1/reload'), (error: Error) => !error.message.includes('s3cret'));
});

test('without a running Myelin the command line says so and how to start it', async () => {
  await using folder = await tempFolder();
  const socket = join(folder.path, 'nobody.sock');
  await assert.rejects(getStatus(socket), (error: AppError) => {
    assert.equal(error.code, 'MYELIN_NOT_RUNNING');
    assert.match(error.message, /nobody\.sock/);
    assert.match(error.remedy ?? '', /myelin run/);
    return error.exitCode === 8;
  });
});

test('a Myelin that does not answer is not waited for for ever', async () => {
  await using folder = await tempFolder();
  await using life = lifetime();
  const path = join(folder.path, 's');
  const routes: readonly Route[] = [
    { method: 'GET', path: '/api/v1/status', answer: () => new Promise(() => undefined) },
  ];
  life.ends.push((await listenUnix(path, 'admin.socket', { routes, signal: life.signal, onError: notWanted })).closed);
  await assert.rejects(getStatus(path, { timeoutMs: 50 }), /no answer within 50 ms/);
  await assert.rejects(getStatus(path, { signal: AbortSignal.abort(new Error('interrupted')) }), /interrupted/);
});

test('the socket of a dead process is replaced', async () => {
  await using folder = await tempFolder();
  await using life = lifetime();
  const path = join(folder.path, 's');
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.stdout.write('up'))`;
  const other = spawn(process.execPath, ['--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(other.stdout, 'data');
  const options = { routes: hello, signal: life.signal, onError: notWanted };
  await assert.rejects(listenUnix(path, 'admin.socket', options), {
    code: 'MYELIN_LOCKED',
    message: `admin.socket: another Myelin is running and listens on ${path}`,
  });
  other.kill('SIGKILL');
  await once(other, 'close');
  assert.ok((await stat(path)).isSocket(), 'it was left behind');
  life.ends.push((await listenUnix(path, 'admin.socket', options)).closed);
  await assert.rejects(getStatus(path), /there is no such page/);
});

test('a file that is no socket is never removed', async () => {
  await using folder = await tempFolder();
  const file = join(folder.path, 'precious');
  await writeFile(file, 'text');
  const link = join(folder.path, 'link');
  await symlink(file, link);
  const { signal } = new AbortController();
  for (const path of [file, link])
    await assert.rejects(listenUnix(path, 'admin.socket', { routes: hello, signal, onError: notWanted }), {
      code: 'MYELIN_LISTEN_FAILED',
      message: /admin\.socket: .* is no socket/,
    });
  assert.ok((await stat(file)).isFile());
});

test('a path that is too long for a socket is named with its key', async () => {
  const path = `/tmp/${'x'.repeat(120)}`;
  const { signal } = new AbortController();
  await assert.rejects(
    listenUnix(path, 'admin.socket', { routes: hello, signal, onError: notWanted }),
    /admin\.socket: .*longer than the 107 bytes/,
  );
});

test('a folder in which no socket can be is named with its key', async () => {
  const { signal } = new AbortController();
  await assert.rejects(listenUnix('/proc/my.sock', 'admin.socket', { routes: hello, signal, onError: notWanted }), {
    code: 'MYELIN_LISTEN_FAILED',
    message: /^admin\.socket: cannot listen on \/proc\/my\.sock: /,
  });
});

test('an address that is in use is named with its key in the config', async () => {
  const port = await freePort();
  await using other = createServer().listen(port, '127.0.0.1');
  await once(other, 'listening');
  const { signal } = new AbortController();
  const options = { routes: hello, signal, onError: notWanted };
  await assert.rejects(listenTcp(`127.0.0.1:${port}`, 'probes.listen', options), {
    code: 'MYELIN_LISTEN_FAILED',
    message: `probes.listen: cannot listen on 127.0.0.1:${port}: another process listens there`,
    remedy: 'choose another HOST:PORT for probes.listen in myelin.yaml',
  });
  await assert.rejects(listenTcp('192.0.2.77:8406', 'probes.listen', options), /this machine has no such address/);
});

test('the admin API listens on IPv4, IPv6 and names', async () => {
  for (const host of ['127.0.0.1', '[::1]', 'localhost']) {
    await using life = lifetime();
    const port = await freePort();
    const options = { routes: hello, signal: life.signal, onError: notWanted };
    life.ends.push((await listenTcp(`${host}:${port}`, 'probes.listen', options)).closed);
    const answer = await fetch(`http://${host}:${port}/hello?x=1`);
    assert.equal(await answer.text(), 'hello\n');
    assert.equal(answer.headers.get('cache-control'), 'no-store');
  }
});

test('methods and paths that the admin API does not have are refused by what there is', async () => {
  await using life = lifetime();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const refuse = tcpRefusal({ listen: `127.0.0.1:${port}`, hosts: [] });
  const options = { routes: [...hello, ...admin()], signal: life.signal, onError: notWanted, refuse };
  life.ends.push((await listenTcp(`127.0.0.1:${port}`, 'admin.listen', options)).closed);
  const head = await fetch(`${url}/hello`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '6', '']);
  assert.match(
    await (await fetch(`${url}/nothing`)).text(),
    /no such page; there are GET \/hello, GET \/api\/v1\/status/,
  );
  const order = await fetch(`${url}/api/v1/stop`, { method: 'POST', body: 'x'.repeat(100_000) });
  assert.deepEqual([order.status, order.headers.get('allow')], [405, 'GET, HEAD']);
  const asked = await fetch(`${url}/api/v1/reload`);
  assert.deepEqual([asked.status, asked.headers.get('allow')], [405, 'POST']);
  assert.equal((await fetch(`${url}/api/v1/status`)).status, 200);
  assert.equal((await fetch(`${url}/api/v1/status`, { headers: { 'sec-fetch-site': 'cross-site' } })).status, 403);
  const foreign = await new Promise<number | undefined>((resolve, reject) => {
    request(`${url}/api/v1/status`, { headers: { host: 'evil.example' } }, (response) =>
      resolve(response.resume().statusCode),
    )
      .once('error', reject)
      .end();
  });
  assert.equal(foreign, 403);
});

/** Holds so many connections of one address, each with an answered request if it `asks`. */
async function hold(port: number, localAddress: string, count: number, asks: boolean): Promise<readonly Socket[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      socket.on('error', () => {});
      await once(socket, 'connect');
      if (asks) {
        socket.write('GET /hello HTTP/1.1\r\nhost: x\r\n\r\n');
        await Promise.race([once(socket, 'data'), once(socket, 'close')]);
      }
      return socket;
    }),
  );
}

test('nobody who holds connections keeps others from an answer, be they idle or mute, of one address or of many', async () => {
  await using life = lifetime();
  const port = await freePort();
  const options = { routes: hello, signal: life.signal, onError: notWanted };
  life.ends.push((await listenTcp(`127.0.0.1:${port}`, 'probes.listen', options)).closed);
  const held: Socket[] = [];
  try {
    for (const [at, asks] of [true, false, true, false, true, false].entries()) {
      held.push(...(await hold(port, `127.0.1.${at + 1}`, 100, asks)));
      for (const localAddress of ['127.0.0.1', '127.0.1.1']) {
        const probe = await new Promise<number | undefined>((resolve, reject) => {
          const asked = { port, host: '127.0.0.1', path: '/hello', localAddress, agent: false };
          request(asked, (response) => resolve(response.resume().statusCode))
            .once('error', reject)
            .end();
        });
        assert.equal(probe, 200);
      }
    }
    // Those of one address are closed for its own new ones; of all of them no more are left than may be.
    const open = (): number => held.filter(({ closed, readableEnded }) => !closed && !readableEnded).length;
    for (const socket of held) socket.resume();
    await until('the others are closed', () => open() <= 256);
    assert.ok(open() >= 200, `${open()} are left`);
  } finally {
    for (const socket of held) socket.destroy();
  }
});

test('on abort idle connections are closed at once and slow answers soon', async () => {
  const port = await freePort();
  const stop = new AbortController();
  const slow: Route = { method: 'GET', path: '/slow', answer: () => new Promise(() => undefined) };
  const options = { routes: [...hello, slow], signal: stop.signal, onError: notWanted };
  const { closed } = await listenTcp(`127.0.0.1:${port}`, 'probes.listen', options);
  await (await fetch(`http://127.0.0.1:${port}/hello`)).text();
  const idle = connect(port, '127.0.0.1');
  await once(idle, 'connect');
  const waiting = assert.rejects(fetch(`http://127.0.0.1:${port}/slow`));
  await until('both are connected', async () => idle.readyState === 'open');
  stop.abort();
  await Promise.all([closed, waiting, once(idle.resume(), 'close')]);
});
