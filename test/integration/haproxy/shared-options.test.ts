/** What backends share stands in a named `defaults` section: the real HAProxy takes it there, and does the same by it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { optionSetOf, textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { runCommand } from '../../../src/lib/command.ts';
import type { Section } from '../../../src/model.ts';
import { branches, haproxy } from '../../servers/haproxy.ts';
import { startHaproxy } from '../../support/haproxy/process.ts';
import { tempFolder, until } from '../../support/index.ts';

/** HAProxy 2.2 has no named `defaults` sections. */
const sharing = branches.filter((branch) => branch !== '2.2');

const section = (kind: string, name: string, lines: readonly string[]): Section => ({
  kind,
  name,
  service: null,
  text: `\n${`${kind} ${name}`.trim()}\n${lines.map((line) => `    ${line}\n`).join('')}`,
});
const backend = (name: string, lines: readonly string[]): Section => ({
  ...section('backend', name, lines),
  service: name,
  sharesOptions: true,
});
const timeouts = ['timeout connect 5s', 'timeout client 5s', 'timeout server 5s', 'timeout check 5s'];

function linesThatMayBeShared(errorPage: string): Readonly<Record<'http' | 'tcp', readonly (readonly string[])[]>> {
  const one = (text: string): (readonly string[])[] =>
    text
      .trim()
      .split('\n')
      .map((line) => [line.trim()]);
  const rules = (keyword: string, text: string): (readonly string[])[] =>
    text
      .trim()
      .split('\n')
      .map((rule) => [`${keyword} ${rule.trim()}`]);
  return {
    http: [
      ...one(`
        balance static-rr
        balance first
        balance uri depth 2
        balance url_param a
        balance hdr(x)
        balance random(3)
        hash-balance-factor 150
        cookie SRV insert indirect nocache
        cookie SRV insert indirect nocache dynamic
        dynamic-cookie-key abc
        errorfile 503 ${errorPage}
        errorloc 503 /x
        errorloc302 503 /x
        errorloc303 503 /x
        http-error status 503 content-type text/plain string sorry
        fullconn 100
        http-reuse always
        http-send-name-header x-s
        max-keep-alive-queue 3
        retries 2
        retry-on all-retryable-errors
        load-server-state-from-file none
        source 127.0.0.1
        compression algo gzip
        compression type text/html
        default-server check inter 2s fall 3 rise 2 maxconn 100 slowstart 10s send-proxy-v2 ssl verify none sni str(a)
        default-server check observe layer7 on-error mark-down error-limit 3
        default-server agent-check agent-port 99`),
      ...rules(
        'http-request',
        `add-header x-a 1
         set-header x-a %[src] if { path_beg /a } METH_GET
         set-header X-Forwarded-Proto https if { ssl_fc }
         del-header x-a
         replace-header x-a (.*) \\1
         replace-value x-a (.*) \\1
         replace-path (.*) /b\\1
         replace-pathq (.*) /b\\1
         replace-uri (.*) /b\\1
         set-path /a%[path]
         set-pathq /a
         set-query a=b
         set-uri /a
         set-method GET
         set-log-level silent
         set-mark 5
         set-nice 5
         set-timeout server 5s
         set-tos 5
         set-var(txn.a) path
         unset-var(txn.a)
         strict-mode on
         allow if { path /x }
         deny deny_status 403 if { path /x }
         tarpit if { path /x }
         redirect location /z if { path /x }
         return status 200 content-type text/plain string hi if { path /x }
         disable-l7-retry unless METH_GET`,
      ),
      ...rules(
        'http-response',
        `add-header x-a 1
         set-header x-a %[var(txn.a)]
         del-header x-a
         replace-header x-a (.*) \\1
         replace-value x-a (.*) \\1
         set-log-level silent
         set-status 503 if { status 500 }
         set-var(txn.b) status
         unset-var(txn.b)
         deny if { status 500 }
         return status 200 if { status 500 }`,
      ),
      ...rules(
        'http-after-response',
        `add-header x-a 1
         set-header x-a 1
         del-header x-a
         replace-header x-a (.*) \\1
         replace-value x-a (.*) \\1
         set-status 503 if { status 500 }
         set-var(txn.b) status`,
      ),
      ...rules(
        'option',
        `abortonclose
         allbackups
         checkcache
         forwardfor
         h1-case-adjust-bogus-server
         http-buffer-request
         http-keep-alive
         http-no-delay
         http-pretend-keepalive
         http-restrict-req-hdr-names delete
         http-server-close
         httpchk
         httpclose
         independent-streams
         log-health-checks
         nolinger
         originalto
         persist
         prefer-last-server
         redispatch 1
         splice-auto
         splice-request
         splice-response
         srvtcpka
         tcp-smart-connect
         tcpka`,
      ),
      ...rules('timeout', 'check 1s\nconnect 1s\nqueue 1s\nserver 1s\nserver-fin 1s\ntarpit 1s\ntunnel 1s'),
      ...rules(
        'http-check',
        `connect
         send meth GET uri /x ver HTTP/1.1 hdr Host a.b
         expect status 200-399
         expect ! string x
         disable-on-404
         send-state
         comment x
         set-var(check.a) str(x)
         unset-var(check.a)`,
      ).map((lines) => ['option httpchk', ...lines]),
      ['acl is_api path_beg /api', 'http-request set-header x-api 1 if is_api'],
      ['balance hdr(x)', 'hash-type consistent'],
      ['no option redispatch', 'no option http-server-close'],
    ],
    tcp: [
      ...one('balance leastconn\nbalance source\nbalance rdp-cookie\nretries 1\ntimeout tunnel 1s\nsource 127.0.0.1'),
      ...rules(
        'option',
        `tcp-check
         ldap-check
         mysql-check user x
         pgsql-check user x
         redis-check
         smtpchk EHLO x
         spop-check
         ssl-hello-chk`,
      ),
      ...rules(
        'tcp-check',
        `connect port 99
         send x
         send-binary aa
         expect string x
         expect rstring x
         expect binary aa
         comment x
         set-var(check.a) str(x)`,
      ).map((lines) => ['option tcp-check', ...lines]),
      ['default-server on-marked-down shutdown-sessions backup'],
    ],
  };
}

for (const branch of sharing) {
  test(`HAProxy ${branch} takes each line that may be shared in a named defaults section, without a warning`, async () => {
    await using folder = await tempFolder();
    const page = join(folder.path, '503.http');
    await writeFile(page, 'HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nmine\r\n');
    const backends = Object.entries(linesThatMayBeShared(page)).flatMap(([mode, cases]) =>
      cases.flatMap((lines, at) =>
        ['a', 'b'].map((name) => backend(`${mode}${at}${name}`, [`mode ${mode}`, ...lines, 'server s 127.0.0.1:1'])),
      ),
    );
    const listener = section('frontend', 'in', [`bind ${join(folder.path, 'in.sock')}`]);
    const sections = [section('global', '', []), section('defaults', '', timeouts), listener, ...backends];
    for (const each of backends) {
      const its = optionSetOf(each, sections);
      assert.ok('set' in its, `${'because' in its && its.because}:${each.text}`);
    }
    const file = join(folder.path, 'haproxy.cfg');
    await writeFile(file, textOf(sections));
    const { status, stderr } = await runCommand([await haproxy(branch), '-c', '-f', file], { timeoutMs: 60_000 });
    assert.deepEqual([status, stderr.split('\n').filter((line) => /^\[(ALERT|WARNING)\]/.test(line))], [0, []]);
  });

  test(`HAProxy ${branch} checks, retries, limits and rewrites by shared options as by those of the backend itself`, async () => {
    await using server = await startServer();
    const seen = async (isShared: boolean) => {
      await using folder = await tempFolder();
      const page = join(folder.path, '503.http');
      await writeFile(page, 'HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nmine\r\n');
      const sections = sectionsFor(folder.path, page, server.port, isShared);
      assert.equal(textOf(sections).includes(' from http-'), isShared);
      await using process = await startHaproxy(await haproxy(branch), folder.path, textOf(sections));
      const stats = await until('all have been checked', async () => {
        const found = readStats(await ask(process.socket, ['show stat']));
        return found.every(({ status, check_status: check = '' }) => !/INI|\*|\//.test(`${status} ${check}`))
          ? found
          : null;
      });
      const answers = [];
      for (const [host, path, method] of requests)
        answers.push(`${host} ${path} ${method}: ${await answerOf(join(folder.path, 'in.sock'), host, path, method)}`);
      return { stats, answers };
    };
    const whole = await seen(false);
    const statusOf = ({ status = '', check_status: check = '' }): string => `${status} ${check}`;
    const servers = whole.stats.filter(({ svname = '' }) => /^[ab]$/.test(svname));
    assert.deepEqual(new Set(servers.map(statusOf)), new Set(['UP L7OK', 'DOWN L7STS', 'no check ']));
    assert.deepEqual(
      whole.answers.map((answer) => answer.replace(/(: \d+).*/s, '$1')),
      requests.map(([host, path, method, status]) => `${host} ${path} ${method}: ${status}`),
    );
    assert.deepEqual(await seen(true), whole);
  });
}

const requests = [
  ['shop', '/', 'GET', 200],
  ['cart', '/', 'GET', 200],
  ['cart', '/forbidden', 'GET', 403],
  ['cart', '/api/x', 'GET', 200],
  ['shop', '/hops', 'GET', 508],
  ['sick', '/', 'GET', 503],
  ['ill', '/', 'GET', 503],
  ['again', '/mute', 'GET', 200],
  ['again', '/mute', 'POST', 502],
  ['sticky', '/', 'GET', 200],
  ['inherits', '/', 'GET', 503],
  ['replaces', '/', 'GET', 200],
] as const;

function sectionsFor(folder: string, page: string, port: number, isShared: boolean): readonly Section[] {
  const [up, mute] = [`127.0.0.1:${port}`, `127.0.0.1:${port} weight 2`];
  const check = (path: string): string[] => [
    'option httpchk',
    `http-check send meth GET uri ${path}`,
    'http-check expect status 200',
    'default-server check inter 100ms fall 1 rise 1 maxconn 7',
  ];
  const rules = [
    'mode http',
    'balance roundrobin',
    'acl is_api path_beg /api',
    'http-request deny deny_status 403 if { path /forbidden }',
    'http-request set-header x-api yes if is_api',
    'http-request return status 508 content-type text/plain string "ten times" if { path /hops }',
    'http-request add-header x-myelin-hops 1',
    'http-response set-header x-frame DENY',
    'http-after-response set-header x-after 1',
    'option forwardfor',
    ...check('/healthz'),
  ];
  const retries = [
    'mode http',
    'balance first',
    'retry-on conn-failure empty-response',
    'http-request disable-l7-retry unless METH_GET',
    'option redispatch 1',
  ];
  const tcp = [
    'mode tcp',
    'balance leastconn',
    'option tcp-check',
    'tcp-check connect',
    'tcp-check send GET\\ /healthz\\ HTTP/1.0\\r\\n\\r\\n',
    'tcp-check expect string 200',
    'default-server check inter 100ms',
  ];
  const sections = [
    section('global', '', [`stats socket ${join(folder, 'admin.sock')} mode 600 level admin`]),
    section('defaults', '', ['mode http', ...timeouts, 'retries 1', `errorfile 503 ${page}`]),
    section('frontend', 'in', [
      `bind ${join(folder, 'in.sock')}`,
      'option idle-close-on-response',
      'use_backend %[req.hdr(host)]',
    ]),
    backend('shop', [...rules, `server a ${up}`]),
    backend('cart', [...rules, `server a ${up}`, `server b ${mute}`]),
    backend('sick', ['mode http', ...check('/sick'), `server a ${up}`]),
    backend('ill', ['mode http', ...check('/sick'), `server a ${up}`]),
    backend('again', [...retries, `server a ${up}`, `server b ${up}`]),
    backend('sticky', ['mode http', 'cookie SRV insert indirect nocache', `server a ${up} cookie one`]),
    backend('db', [...tcp, `server a ${up}`]),
    backend('db2', [...tcp, `server a ${up}`]),
    // Rules for checks of its own take the place of those that it inherits.
    section('defaults', '', ['mode http', ...timeouts, ...check('/sick'), 'timeout queue 1s']),
    backend('inherits', ['timeout server 3s', 'timeout queue 2s', `server a ${up}`]),
    backend('replaces', ['http-check send meth GET uri /healthz', 'http-check expect status 200', `server a ${up}`]),
  ];
  return isShared ? sections : sections.map(({ sharesOptions: _, ...rest }) => rest);
}

function readStats(answer: string): readonly Readonly<Record<string, string>>[] {
  const [head = '', ...rows] = answer.replace(/^# /, '').trim().split('\n');
  const names = head.split(',');
  const wanted =
    'pxname svname status weight act bck slim check_status check_code check_rise check_fall mode algo cookie';
  return rows.map((row) => {
    const values = row.split(',');
    return Object.fromEntries(wanted.split(' ').map((name) => [name, values[names.indexOf(name)] ?? '']));
  });
}

async function answerOf(socketPath: string, host: string, path: string, method: string): Promise<string> {
  const request = http.request({ socketPath, path, method, headers: { host }, agent: false }).end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const body = (await response.toArray()).join('');
  const { date: _, ...headers } = response.headers;
  return `${response.statusCode} ${JSON.stringify(headers)} ${body}`;
}

/** Says what it was asked; the first time for `/mute` it says nothing. */
async function startServer(): Promise<AsyncDisposable & { readonly port: number }> {
  let isMute = false;
  const server = http.createServer((request, response) => {
    const { url, method, headers } = request;
    if (url === '/mute') isMute = !isMute;
    if (url === '/mute' && isMute) request.socket.destroy();
    else {
      const { host: _, ...rest } = headers;
      response.writeHead(url === '/sick' ? 500 : 200).end(JSON.stringify({ url, method, rest }));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
