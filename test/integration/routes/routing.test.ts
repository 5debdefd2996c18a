/** Where requests go over shared frontends: the built-in template and the maps of the routes at a real HAProxy. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { selfSignedPem } from '../../../src/certificates/self-signed.ts';
import { findBinary } from '../../../src/haproxy/binary/binary.ts';
import { filesIn } from '../../../src/haproxy/text/layout/files.ts';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { runCommand } from '../../../src/lib/command.ts';
import { branches, type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { startHaproxy } from '../../support/haproxy/process.ts';
import { freePort, tempFolder } from '../../support/index.ts';
import { configOf, endpoint, render, rendererWith } from '../../support/values/render.ts';

/** What each service claims of the frontend `public`. */
const claims = {
  shop: ['shop.example.com'],
  api: ['shop.example.com/api', 'api.example.com', '/x'],
  api2: ['shop.example.com/api/v2'],
  wild: ['*.example.com'],
  wildapi: ['*.example.com/api'],
  any: ['/health', '/x/y/'],
  strip: ['strip.example.com/a/b strip', '/deep/1/2/3/4/5/6/7 strip'],
  to: ['to.example.com/old to=/new/place', 'root.example.com to=/sub', 'gone.example.com/old to=/'],
  deep: ['*.a.example.com', '_x.a-b.example.com', 'host'],
} as const;

const requests: readonly (readonly [host: string | null, path: string, answer: string])[] = [
  // Exact hosts, at the borders of elements.
  ['shop.example.com', '/', 'shop /'],
  ['shop.example.com', '/index.html', 'shop /index.html'],
  ['shop.example.com', '/api', 'api /api'],
  ['shop.example.com', '/api/', 'api /api/'],
  ['shop.example.com', '/api/x', 'api /api/x'],
  ['shop.example.com', '/api?x=/api/v2', 'api /api?x=/api/v2'],
  ['shop.example.com', '/apix', 'shop /apix'],
  ['shop.example.com', '/api.html', 'shop /api.html'],
  ['shop.example.com', '/API', 'shop /API'],
  ['shop.example.com', '/api/v2', 'api2 /api/v2'],
  ['shop.example.com', '/api/v2/x?y', 'api2 /api/v2/x?y'],
  ['shop.example.com', '/api/v22', 'api /api/v22'],
  ['shop.example.com', '/health', 'shop /health'],
  ['shop.example.com', '/x/api', 'shop /x/api'],
  // Hosts as they may be written.
  ['SHOP.Example.COM', '/api', 'api /api'],
  ['shop.example.com:8080', '/api', 'api /api'],
  ['shop.example.com:', '/api', 'api /api'],
  ['shop.example.com.', '/api', 'api /api'],
  ['shop.example.com.:80', '/api', 'api /api'],
  ['host', '/', 'deep /'],
  ['HOST:1', '/q', 'deep /q'],
  ['_x.a-b.example.com', '/', 'deep /'],
  // One label in the place of the star, and no more; an exact host goes first, whatever its paths.
  ['blog.example.com', '/', 'wild /'],
  ['blog.example.com', '/api/x', 'wildapi /api/x'],
  ['blog.example.com', '/apix', 'wild /apix'],
  ['BLOG.example.com.:80', '/api', 'wildapi /api'],
  ['blog.example.com', '/health', 'wild /health'],
  ['api.example.com', '/api', 'api /api'],
  ['b.a.example.com', '/api', 'deep /api'],
  ['a.b.example.com', '/', '404'],
  ['a.b.example.com', '/health', 'any /health'],
  ['example.com', '/', '404'],
  ['.example.com', '/', 'wild /'],
  ['shop.example.com.evil.org', '/', '404'],
  ['xshop.example.org', '/', '404'],
  // Any host.
  ['other.org', '/health', 'any /health'],
  ['other.org', '/health/', 'any /health/'],
  ['other.org', '/healthz', '404'],
  ['other.org', '/x', 'api /x'],
  ['other.org', '/x/y', 'any /x/y'],
  ['other.org', '/x/yz', 'api /x/yz'],
  ['', '/health', 'any /health'],
  [null, '/health', 'any /health'],
  [null, '/', '404'],
  // A target with its host in it, as HTTP/1.0 may have it without any other.
  [null, 'http://shop.example.com/api/x', 'api http://shop.example.com/api/x'],
  [null, 'http://SHOP.Example.com.:8080/', 'shop http://SHOP.Example.com.:8080/'],
  [null, 'http://api.example.com@shop.example.com/', 'shop http://api.example.com@shop.example.com/'],
  [null, 'http://strip.example.com/a/b/c?q', 'strip http://strip.example.com/c?q'],
  [null, 'http://other.org/health', 'any http://other.org/health'],
  [null, 'http://*.example.com/', '400'],
  [null, '/x?http://shop.example.com/', 'api /x?http://shop.example.com/'],
  // Addresses.
  ['192.0.2.1', '/health', 'any /health'],
  ['192.0.2.1:80', '/', '404'],
  ['[2001:db8::1]', '/health', 'any /health'],
  ['[2001:db8::1]:8080', '/health', 'any /health'],
  ['[::1]', '/', '404'],
  // What is no host.
  ['*', '/health', '400'],
  ['*.example.com', '/', '400'],
  ['shop.example.com/api', '/', '400'],
  // Paths are read as they come: routes keep nobody out.
  ['shop.example.com', '//api', 'shop //api'],
  ['shop.example.com', '/x/../api', 'shop /x/../api'],
  ['shop.example.com', '/%61pi', 'shop /%61pi'],
  ['shop.example.com', '/api%2fv2', 'shop /api%2fv2'],
  ['shop.example.com', '/api/%2e%2e/x', 'api /api/%2e%2e/x'],
  ['shop.example.com', `/api/${'x'.repeat(6000)}`, `api /api/${'x'.repeat(6000)}`],
  [`${'x'.repeat(6000)}.org`, '/health', 'any /health'],
  // Rewriting.
  ['strip.example.com', '/a/b', 'strip /'],
  ['strip.example.com', '/a/b/', 'strip /'],
  ['strip.example.com', '/a/b/c/d', 'strip /c/d'],
  ['strip.example.com', '/a/b/c?q=/a/b&r=%20', 'strip /c?q=/a/b&r=%20'],
  ['strip.example.com', '/a/b?q', 'strip /?q'],
  ['strip.example.com', '/a/b//c', 'strip //c'],
  ['strip.example.com', '/a/bc', 'wild /a/bc'],
  ['other.org', '/deep/1/2/3/4/5/6/7/rest/of/it', 'strip /rest/of/it'],
  ['to.example.com', '/old', 'to /new/place'],
  ['to.example.com', '/old/', 'to /new/place/'],
  ['to.example.com', '/old/x/y?z', 'to /new/place/x/y?z'],
  ['to.example.com', '/older', 'wild /older'],
  ['root.example.com', '/', 'to /sub/'],
  ['root.example.com', '/x?y', 'to /sub/x?y'],
  ['gone.example.com', '/old', 'to /'],
  ['gone.example.com', '/old/x', 'to /x'],
];

type Site = AsyncDisposable & {
  readonly port: number;
  readonly h2Port: number;
  readonly defaultPort: number;
  readonly redirectPort: number;
  readonly redirectTlsPort: number;
  readonly tlsPort: number;
  readonly tlsDefaultPort: number;
  readonly poolPort: number;
  readonly unassignedPort: number;
  /** Of the pool, with a PROXY header. */
  readonly mappedPort: number;
};

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function site(branch: HaproxyBranch): Promise<Site> {
  await using stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await tempFolder());
  const pem = selfSignedPem(new Date());
  await writeFile(join(folder, 'cert.pem'), pem);
  const serve = async (server: Server): Promise<number> => {
    stack.defer(() => void server.close());
    return listening(server);
  };
  const echo = async (name: string) => {
    const server = createServer(({ url }, answer) => void answer.end(`${name} ${url}`));
    server.on('connect', ({ url }, socket) => void socket.end(`HTTP/1.1 200 OK\r\n\r\n${name} ${url}`));
    server.on('upgrade', ({ headers: { upgrade } }, socket) => {
      const head = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', `Upgrade: ${upgrade}`];
      // For the key below, without which HAProxy takes it for none of a WebSocket.
      socket.end([...head, 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', '', upgrade].join('\r\n'));
    });
    return serve(server);
  };
  const tls = async (name: string) =>
    serve(createTlsServer({ key: pem, cert: pem }, (socket) => void socket.on('error', () => {}).end(name)));
  const tcp = async (name: string) => serve(createTcpServer((socket) => void socket.on('error', () => {}).end(name)));
  const ports: Record<string, number> = {};
  for (const name of Object.keys(claims)) ports[name] = await echo(name);
  for (const name of ['mail', 'wildmail', 'fallback']) ports[name] = await tls(name);
  for (const name of ['pg', 'mapped']) ports[name] = await tcp(name);

  const free = [];
  for (let at = 0; at < 10; at++) free.push(await freePort());
  const [
    port,
    h2Port,
    defaultPort,
    redirectPort,
    redirectTlsPort,
    tlsPort,
    tlsDefaultPort,
    poolPort,
    unassignedPort,
    mappedPort,
  ] = free as [number, number, number, number, number, number, number, number, number, number];
  const http = Object.fromEntries(
    Object.entries(claims).map(([name, routes]) => {
      const all = routes.map((route) => `${route} frontend=public`);
      return [
        name,
        { check: { type: 'none' }, routes: name === 'api' ? [...all, '/api strip frontend=redirecting'] : all },
      ];
    }),
  );
  const none = { mode: 'tcp', check: { type: 'none' } };
  const config = configOf({
    state: folder,
    haproxy: { statsSocket: join(folder, 'admin.sock'), config: join(folder, 'haproxy.cfg'), log: 'none' },
    frontends: {
      public: { bind: [`127.0.0.1:${port}`, `127.0.0.1:${h2Port} proto h2`] },
      'with-default': {
        bind: `127.0.0.1:${defaultPort}`,
        default: 'shop',
        lines: ['http-response set-header x-line own'],
      },
      redirecting: {
        bind: [`127.0.0.1:${redirectPort}`, `127.0.0.1:${redirectTlsPort} ssl crt ${join(folder, 'cert.pem')}`],
        redirect: 'https',
      },
      tls: { mode: 'tcp', bind: `127.0.0.1:${tlsPort}` },
      'tls-default': { mode: 'tcp', bind: `127.0.0.1:${tlsDefaultPort}`, default: 'fallback' },
      pool: {
        mode: 'tcp',
        bind: [`127.0.0.1:${poolPort}`, `127.0.0.1:${unassignedPort}`, `127.0.0.1:${mappedPort} accept-proxy`],
        by: 'port',
      },
      empty: { mode: 'tcp', bind: `127.0.0.1:${await freePort()}`, by: 'port' },
    },
    services: {
      ...http,
      mail: { ...none, routes: ['mail.example.com frontend=tls'] },
      wildmail: { ...none, routes: ['*.example.com frontend=tls'] },
      fallback: none,
      pg: { ...none, routes: [`:${poolPort} frontend=pool`] },
      mapped: { ...none, routes: [`:${mappedPort} frontend=pool`] },
    },
  });
  const endpoints = Object.fromEntries(
    Object.entries(ports).map(([name, its]) => [name, [endpoint(name, { address: '127.0.0.1', port: its })]]),
  );
  const binary = await haproxy(branch);
  const { version } = await findBinary(binary, undefined);
  const { sections, problems } = render(await rendererWith(), config, endpoints, version.text);
  assert.deepEqual(problems, []);
  for (const { path, text } of filesIn(sections)) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  stack.use(await startHaproxy(binary, folder, textOf(sections)));
  const checked = await runCommand([binary, '-c', '-f', join(folder, 'haproxy.cfg')], { timeoutMs: 20_000 });
  assert.doesNotMatch(checked.stdout + checked.stderr, /WARNING|ALERT/);
  const kept = stack.move();
  return {
    port,
    h2Port,
    defaultPort,
    redirectPort,
    redirectTlsPort,
    tlsPort,
    tlsDefaultPort,
    poolPort,
    unassignedPort,
    mappedPort,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** All that comes after these bytes, until the end; '' where the connection was reset. */
async function say(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
  socket.write(text, 'latin1');
  await closed;
  return Buffer.concat(parts).toString('latin1');
}

/** How a connection that says nothing ends there. */
async function ending(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1').resume();
  let code = 'closed';
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code ?? '';
  });
  await new Promise((resolve) => socket.on('close', resolve));
  return code;
}

async function ask(
  port: number,
  host: string | null,
  path: string,
): Promise<{ readonly answer: string; readonly head: string }> {
  const lines =
    host === null ? [`GET ${path} HTTP/1.0`] : [`GET ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: close'];
  const text = await say(port, [...lines, '', ''].join('\r\n'));
  const [head = '', ...body] = text.split('\r\n\r\n');
  const [, status = text] = /^HTTP\/1\.\d (\d{3})/.exec(head) ?? [];
  const decoded = body.join('\r\n\r\n').replaceAll(/^[0-9a-f]+\r\n|\r\n0\r\n$|\r\n[0-9a-f]+\r\n/g, '');
  return { answer: status === '200' ? decoded : status, head };
}

/** What a TLS server there says; '' where nobody does. */
async function hello(port: number, servername: string): Promise<string> {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    servername,
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  await new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
  return Buffer.concat(parts).toString();
}

async function h2Answers(
  port: number,
  all: readonly (readonly [host: string, path: string])[],
): Promise<readonly string[]> {
  const session = connectH2(`http://127.0.0.1:${port}`);
  const answers = await Promise.all(
    all.map(async ([host, path]) => {
      const stream = session.request({ ':authority': host, ':path': path });
      const status = once(stream, 'response').then(([headers]) =>
        String((headers as Record<string, unknown>)[':status']),
      );
      let body = '';
      for await (const part of stream.setEncoding('utf8')) body += String(part);
      return (await status) === '200' ? body : status;
    }),
  );
  session.close();
  return answers;
}

for (const branch of branches)
  suite(`shared frontends on HAProxy ${branch}`, () => {
    test('each request goes where its host and its path lead', async () => {
      await using its = await site(branch);
      const found: string[] = [];
      const wanted: string[] = [];
      for (const [host, path, answer] of requests) {
        const shown = `${host ?? '-'} ${path}`.slice(0, 60);
        wanted.push(`${shown}: ${answer.slice(0, 60)}`);
        found.push(`${shown}: ${(await ask(its.port, host, path)).answer.slice(0, 60)}`);
      }
      assert.deepEqual(found, wanted);
      // The same over one connection of HTTP/2, whatever came before on it.
      const some = requests.filter(
        ([host, path]) =>
          host !== null && host !== '' && !host.includes('/') && host.length < 1000 && path.length < 1000,
      );
      const h2 = await h2Answers(
        its.h2Port,
        some.map(([host, path]) => [host ?? '', path]),
      );
      assert.deepEqual(
        h2.map((answer, at) => [some[at]?.[0], some[at]?.[1], answer]),
        some,
      );
      // What has no path stays as it is where paths are rewritten.
      for (const target of ['*', 'root.example.com:80']) {
        const line = `${target === '*' ? 'OPTIONS' : 'CONNECT'} ${target} HTTP/1.1`;
        const text = await say(its.port, `${line}\r\nHost: root.example.com:80\r\nConnection: close\r\n\r\n`);
        assert.ok(text.endsWith(`\r\n\r\nto ${target}`), text);
      }
    });

    test('an upgrade to WebSocket or anything else is let through, and one to HTTP/2 is not: the request is answered', async () => {
      await using its = await site(branch);
      const ask = async (upgrade: string): Promise<string> => {
        const lines = ['GET /x HTTP/1.1', 'Host: shop.example.com', 'Connection: Upgrade, HTTP2-Settings'];
        const key = ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='];
        const settings = 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA';
        const socket = connect(its.port, '127.0.0.1').setEncoding('latin1');
        socket.write([...lines, settings, ...key, `Upgrade: ${upgrade}`, '', ''].join('\r\n'));
        const [text] = (await once(socket, 'data')) as [string];
        socket.destroy();
        return text.split('\r\n')[0] ?? '';
      };
      for (const upgrade of ['websocket', 'SPDY/3.1']) assert.match(await ask(upgrade), / 101 /, upgrade);
      for (const upgrade of ['h2c', 'H2C', 'h2c, h2c']) assert.match(await ask(upgrade), / 200 /, upgrade);
    });

    test('what no route leads elsewhere goes to the default; lines of the administrator hold', async () => {
      await using its = await site(branch);
      const { answer, head } = await ask(its.defaultPort, 'anything.org', '/x?y');
      assert.equal(answer, 'shop /x?y');
      assert.match(head, /x-line: own/);
    });

    test('redirect: https sends what does not come over TLS to the same address, and serves the rest', async () => {
      await using its = await site(branch);
      for (const [host, path, location] of [
        ['shop.example.com', '/api/x?y=1', 'https://shop.example.com/api/x?y=1'],
        ['Shop.Example.com.:8080', '/', 'https://shop.example.com/'],
        ['[2001:db8::1]:80', '/', 'https://[2001:db8::1]/'],
      ] as const) {
        const { head } = await ask(its.redirectPort, host, path);
        assert.match(head, /^HTTP\/1\.1 308 /);
        assert.equal(/^location: (.*?)\r?$/im.exec(head)?.[1], location);
      }
      assert.equal((await ask(its.redirectPort, null, '/')).answer, '400');
      const socket = connectTls({ port: its.redirectTlsPort, host: '127.0.0.1', rejectUnauthorized: false });
      socket.write('GET /api/x HTTP/1.0\r\n\r\n');
      let text = '';
      for await (const part of socket.setEncoding('utf8')) text += String(part);
      assert.match(text, /^HTTP\/1\.[01] 200 [\s\S]*api \/x$/);
    });

    test('a TLS connection goes where its name leads, untouched; without one it is closed, or goes to the default', async () => {
      await using its = await site(branch);
      const answers = await Promise.all(
        [
          'mail.example.com',
          'MAIL.example.com',
          'x.example.com',
          'a.b.example.com',
          'example.com',
          'other.org',
          '',
        ].map(async (name) => `${name}: ${await hello(its.tlsPort, name)}`),
      );
      assert.deepEqual(answers, [
        'mail.example.com: mail',
        'MAIL.example.com: mail',
        'x.example.com: wildmail',
        'a.b.example.com: ',
        'example.com: ',
        'other.org: ',
        ': ',
      ]);
      assert.equal(await say(its.tlsPort, 'GET / HTTP/1.0\r\n\r\n'), '');
      assert.deepEqual(
        [await hello(its.tlsDefaultPort, ''), await hello(its.tlsDefaultPort, 'other.org')],
        ['fallback', 'fallback'],
      );
    });

    test('a port of a pool leads to its service; one that nobody has is reset', async () => {
      await using its = await site(branch);
      assert.equal(await say(its.poolPort, ''), 'pg');
      assert.equal(await ending(its.unassignedPort), 'ECONNRESET');
    });

    test('in a pool the port that was bound counts, whatever port a PROXY header names', {
      skip: branch === '2.2' && 'HAProxy 2.2 knows no other port than that of the header',
    }, async () => {
      await using its = await site(branch);
      for (const named of [5432, its.poolPort, its.mappedPort])
        assert.equal(await say(its.mappedPort, `PROXY TCP4 192.0.2.1 192.0.2.2 1111 ${named}\r\n`), 'mapped');
    });
  });
