/** The real HAProxy executes what is planned: it ends with the wanted servers, and those serve like the others. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { createServer as createH2Server, createSecureServer as createSecureH2Server } from 'node:http2';
import { createServer } from 'node:https';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { selfSignedPem } from '../../../src/certificates/self-signed.ts';
import { readServersState } from '../../../src/haproxy/cli/info.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { toBatches } from '../../../src/haproxy/resources/batch.ts';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { serverLines, splitSections } from '../../../src/haproxy/text/text.ts';
import type { Endpoint, LeavingServer, Section, ServerCommand } from '../../../src/model.ts';
import { startNodeBackend } from '../../servers/backend.ts';
import { branches, haproxy } from '../../servers/haproxy.ts';
import { configOfWeb, type HaproxyProcess, startHaproxy } from '../../support/haproxy/process.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { planChange, type ServerPlan } from '../../support/values/plans.ts';
import { configOf, endpoint, render, rendererWith } from '../../support/values/render.ts';

const adding = branches.filter((branch) => branch !== '2.2');
const renderer = await rendererWith();

const done = { kind: 'done' } as const;
const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

type Endpoints = Readonly<Record<string, readonly Endpoint[]>>;

/** Backends of every kind that the built-in templates make; in `still` servers can only move. */
function servicesIn(folder: string): ReturnType<typeof configOf> {
  const interval = '1h';
  return configOf({
    state: folder,
    haproxy: { statsSocket: join(folder, 'admin.sock'), log: 'none', global: ['maxconn 200'] },
    services: {
      web: { check: { type: 'http', interval }, server: { maxconn: 50, slowstart: '1s' } },
      db: { mode: 'tcp', balance: 'leastconn', check: { interval, port: 9 } },
      hash: { balance: 'uri', backend: ['hash-type consistent'], check: { type: 'none' } },
      tls: {
        balance: 'random(2)',
        check: { interval },
        server: {
          tls: { verify: false, sni: 'x.example' },
          proxyProtocol: 'v2',
          options: 'init-addr none pool-max-conn 9',
        },
      },
      still: { balance: 'source', check: { type: 'none' } },
    },
  });
}

const address = fc.constantFrom('127.0.0.1', '127.0.0.2', '127.1.2.3', '::1', '2001:db8::a');
const port = fc.integer({ min: 1, max: 65_535 });
const endpoints = fc.uniqueArray(
  fc.record<Endpoint>({
    id: fc.constantFrom(...names),
    address,
    port,
    weight: fc.integer({ min: 0, max: 256 }),
    state: fc.constantFrom('ready', 'ready', 'draining'),
  }),
  { selector: ({ id }) => id },
);
const moved = fc.record({ address, port }).map((at) => [endpoint('a', at)]);
const change: fc.Arbitrary<Endpoints> = fc.record(
  { web: endpoints, db: endpoints, hash: endpoints, tls: endpoints, still: moved },
  { requiredKeys: [] },
);

for (const branch of branches)
  test(`HAProxy ${branch} ends with the wanted servers after each of 400 random changes, in one process`, async (t) => {
    await using folder = await tempFolder();
    const config = servicesIn(folder.path);
    const sectionsOf = (of: Endpoints): readonly Section[] => render(renderer, config, of, branch).sections;
    const all = names.map((id, at) => endpoint(id, { address: '127.0.0.9', port: 1000 + at }));
    // From nothing where servers can be added, else from all that there will be.
    const first = branch === '2.2' ? { web: all, db: all, hash: all, tls: all } : {};
    let current: Endpoints = { ...first, still: [endpoint('a')] };
    let running = sectionsOf(current);
    let leaving: readonly LeavingServer[] = [];
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, textOf(running));
    const { capabilities } = haproxyProcess;
    const seed = Math.floor(Math.random() * 2 ** 31);
    let sent = 0;
    for (const [at, next] of fc.sample(change, { numRuns: 400, seed }).entries()) {
      current = { ...current, ...next };
      const wanted = sectionsOf(current);
      const plan = planChange(running, wanted, { forced: [], capabilities, leaving, started: null });
      assert.notEqual(plan.kind, 'reload', JSON.stringify(plan));
      const commands = plan.kind === 'runtime' ? plan.commands : [];
      const verdicts = await haproxyProcess.run(commands);
      for (const [each, verdict] of verdicts.entries()) assert.deepEqual(verdict, done, JSON.stringify(commands[each]));
      sent += commands.length;
      running = wanted;
      leaving = [
        ...leaving.filter((left) => !commands.some((command) => command.action === 'ready' && isSame(command, left))),
        ...commands.filter((command) => command.action === 'remove'),
      ];
      const expected = wantedServers(running, leaving);
      // From 2.9 on an address changes a moment after the reply.
      await until(`the servers of step ${at}, seed ${seed}`, async () => {
        assert.deepEqual(await serversOf(haproxyProcess), expected);
        return true;
      });
      if (capabilities.deleteServer === 'no' || at % 3 !== 0) continue;
      const deletes = leaving.map(
        ({ backend, server }): ServerCommand => ({ kind: 'server', action: 'delete', backend, server }),
      );
      assert.deepEqual(
        await haproxyProcess.run(deletes),
        deletes.map(() => done),
      );
      leaving = [];
    }
    t.diagnostic(`${sent} commands`);
    assert.ok(sent > 1000, `${sent} commands`);
  });

for (const branch of adding) {
  test(`a thousand servers are added to HAProxy ${branch} in one go`, async (t) => {
    await using folder = await tempFolder();
    const text = (count: number): string => {
      const servers = Array.from({ length: count }, (_, at) => `server s${at} 127.0.0.1:${at + 1} weight 1`);
      return configOfWeb(folder.path, ['default-server check inter 1h', ...servers]);
    };
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, text(0));
    const commands = planned(haproxyProcess, text(0), text(1000));
    const start = performance.now();
    const verdicts = await haproxyProcess.run(commands);
    const tookMs = performance.now() - start;
    t.diagnostic(`${tookMs.toFixed()} ms, ${toBatches(commands, haproxyProcess).length} lines`);
    assert.deepEqual(new Set(verdicts.map(({ kind }) => kind)), new Set(['done']));
    const { rows } = await readServersState(haproxyProcess.socket);
    assert.equal(rows.filter((row) => row.srv_admin_state === '0').length, 1000);
  });

  test(`sticky sessions by cookies made of addresses hold for servers added to HAProxy ${branch}`, async () => {
    await using folder = await tempFolder();
    await using first = await startNodeBackend('first');
    await using second = await startNodeBackend('second');
    const cookie = ['cookie S insert indirect nocache dynamic', 'dynamic-cookie-key secret'];
    const one = [...cookie, `server first 127.0.0.1:${first.port}`];
    const before = configOfWeb(folder.path, one);
    const after = configOfWeb(folder.path, [...one, `server second 127.0.0.1:${second.port}`]);
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, before);
    const [old = ''] = await cookiesOf(folder.path);
    const commands = planned(haproxyProcess, before, after);
    assert.deepEqual(await haproxyProcess.run(commands), [done, done]);
    const cookies = await cookiesOf(folder.path);
    assert.equal(cookies.length, 2, cookies.join());
    for (const each of [old, ...cookies]) assert.match(each, /^S=[0-9a-f]+$/);
    assert.ok(cookies.includes(old), 'the first server keeps its cookie');
    const other = cookies.find((each) => each !== old) ?? '';
    for (let times = 0; times < 4; times++)
      assert.equal((await get(folder.path, { cookie: other })).body.trim(), 'second');
  });

  test(`a server with TLS that is added to HAProxy ${branch} is checked over TLS`, async () => {
    await using folder = await tempFolder();
    const pem = selfSignedPem(new Date());
    const tlsPort = await freePort();
    const server = createServer({ cert: pem, key: pem }, (_, response) => response.end('good\n'));
    await new Promise<void>((resolve) => server.listen(tlsPort, '127.0.0.1', resolve));
    await using stack = new AsyncDisposableStack();
    stack.defer(() => new Promise((resolve) => server.close(() => resolve())));
    stack.defer(() => server.closeAllConnections());
    const structure = ['option httpchk', 'default-server check inter 50ms fall 1 rise 1 ssl verify none'];
    const before = configOfWeb(folder.path, structure);
    const after = configOfWeb(folder.path, [...structure, `server added 127.0.0.1:${tlsPort}`]);
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, before);
    await haproxyProcess.run(planned(haproxyProcess, before, after));
    await until('its check is passed', async () => {
      const lines = (await ask(haproxyProcess.socket, ['show stat web 4 -1'])).split('\n');
      const fields = lines[0]?.slice(2).split(',') ?? [];
      return lines.some((line) => line.split(',')[fields.indexOf('check_status')] === 'L7OK');
    });
    assert.equal((await get(folder.path)).body, 'good\n');
  });

  test(`a server of HAProxy ${branch} that was down is up at its new address at once, as an added one is`, async () => {
    await using folder = await tempFolder();
    await using backend = await startNodeBackend('moved');
    const structure = ['default-server check inter 50ms fastinter 50ms downinter 50ms fall 2 rise 1000'];
    const at = (port: number): string => configOfWeb(folder.path, [...structure, `server a 127.0.0.1:${port}`]);
    const nowhere = await freePort();
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, at(nowhere));
    const state = async (): Promise<string> =>
      (await readServersState(haproxyProcess.socket)).rows[0]?.srv_op_state ?? '';
    await until('it is down', async () => (await state()) === '0');
    for (const verdict of await haproxyProcess.run(planned(haproxyProcess, at(nowhere), at(backend.port))))
      assert.deepEqual(verdict, done);
    await until('its check is passed', async () =>
      (await ask(haproxyProcess.socket, ['show stat web 4 -1'])).includes('L4OK'),
    );
    assert.equal(await state(), '2');
    assert.equal((await get(folder.path)).body.trim(), 'moved');
  });

  test(`connections to a server that is added to HAProxy ${branch} are kept and used again`, async () => {
    await using folder = await tempFolder();
    await using backend = await startNodeBackend('first');
    const before = configOfWeb(folder.path, ['http-reuse always']);
    const after = configOfWeb(folder.path, ['http-reuse always', `server added 127.0.0.1:${backend.port}`]);
    await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, before);
    await haproxyProcess.run(planned(haproxyProcess, before, after));
    for (let times = 0; times < 20; times++) await get(folder.path);
    const lines = (await ask(haproxyProcess.socket, ['show stat web 4 -1'])).split('\n');
    const at = lines[0]?.slice(2).split(',').indexOf('connect') ?? -1;
    assert.ok(Number(lines[1]?.split(',')[at]) < 5, `${lines[1]?.split(',')[at]} connections for 20 requests`);
  });

  test(`over HTTP/2 connections to a server that is added to HAProxy ${branch} are used again too, or it is not added`, async () => {
    await using folder = await tempFolder();
    await using stack = new AsyncDisposableStack();
    const pem = selfSignedPem(new Date());
    for (const [options, server] of [
      ['proto h2', createH2Server()],
      ['ssl verify none alpn h2,http/1.1', createSecureH2Server({ cert: pem, key: pem, allowHTTP1: true })],
    ] as const) {
      let connections = 0;
      server.on('connection', () => {
        connections += 1;
      });
      server.on('request', (_, response) => response.end('good'));
      const port = await freePort();
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
      stack.defer(() => void server.close());
      const structure = ['http-reuse always', `default-server ${options}`];
      const before = configOfWeb(folder.path, structure);
      const after = configOfWeb(folder.path, [...structure, `server added 127.0.0.1:${port}`]);
      await using haproxyProcess = await startHaproxy(await haproxy(branch), folder.path, before);
      const plan = planOf(haproxyProcess, before, after);
      assert.equal(plan.kind, branch === '2.6' ? 'reload' : 'runtime');
      if (plan.kind !== 'runtime') continue;
      await haproxyProcess.run(plan.commands);
      for (let times = 0; times < 20; times++) assert.equal((await get(folder.path)).body, 'good');
      assert.ok(connections < 5, `${connections} connections for 20 requests with ${options}`);
    }
  });
}

/** The commands from one config with the backend `web` to another. */
function planned(process: HaproxyProcess, before: string, after: string): readonly ServerCommand[] {
  const plan = planOf(process, before, after);
  assert.ok(plan.kind === 'runtime', JSON.stringify(plan));
  return plan.commands;
}

function planOf({ capabilities }: HaproxyProcess, before: string, after: string): ServerPlan {
  const read = (text: string): readonly Section[] =>
    splitSections(text).map((section) => ({ ...section, service: section.kind === 'backend' ? 'web' : null }));
  return planChange(read(before), read(after), { forced: [], capabilities, leaving: [], started: null });
}

function isSame(a: ServerCommand, b: LeavingServer): boolean {
  return a.backend === b.backend && a.server === b.server;
}

/** `backend/server address port weight`, or `leaving` where it is in maintenance, of every server of the process. */
async function serversOf({ socket }: HaproxyProcess): Promise<readonly string[]> {
  const { rows } = await readServersState(socket);
  return rows
    .map((row) => {
      const what = row.srv_admin_state === '0' ? `${row.srv_addr} ${row.srv_port} ${row.srv_uweight}` : 'leaving';
      return `${row.be_name}/${row.srv_name} ${what}`;
    })
    .sort();
}

function wantedServers(sections: readonly Section[], leaving: readonly LeavingServer[]): readonly string[] {
  const lines = sections.flatMap((section) =>
    serverLines(section).map((line) => {
      const weight = line.words[line.words.indexOf('weight') + 1];
      return `${section.name}/${line.name} ${line.address} ${line.port} ${weight}`;
    }),
  );
  return [...lines, ...leaving.map(({ backend, server }) => `${backend}/${server} leaving`)].sort();
}

type Answer = { readonly body: string; readonly cookie: string };

function get(folder: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: join(folder, 'web.sock'), path: '/', headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      const cookie = response.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
      response.once('end', () => resolve({ body, cookie }));
    });
    asked.once('error', reject);
    asked.end();
  });
}

/** Those that eight requests without one are given. */
async function cookiesOf(folder: string): Promise<readonly string[]> {
  const answers: Answer[] = [];
  for (let times = 0; times < 8; times++) answers.push(await get(folder));
  return [...new Set(answers.map(({ cookie }) => cookie))];
}
