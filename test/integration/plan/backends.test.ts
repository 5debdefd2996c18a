/** Backends with many combinations of options: what comes by commands does as after a reload. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import fc from 'fast-check';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';
import { planChange } from '../../../src/plan/plan.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { type HaproxyProcess, startHaproxy } from '../../support/haproxy/process.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';

const lines = [
  'balance leastconn',
  'balance random',
  'balance uri',
  'balance hdr(x)',
  'hash-type consistent',
  'hash-balance-factor 120',
  'compression algo gzip',
  'compression type text/plain',
  'cookie SRV insert indirect nocache',
  'cookie SRV insert indirect nocache dynamic',
  'cookie SRV prefix',
  'dynamic-cookie-key k',
  'http-reuse never',
  'http-reuse always',
  'http-send-name-header x-server',
  'max-keep-alive-queue 0',
  'retries 5',
  'retry-on all-retryable-errors',
  'fullconn 100',
  'load-server-state-from-file none',
  'source 127.0.0.3',
  'timeout check 20s',
  'timeout server 21s',
  'option forwardfor',
  'option httpclose',
  'option http-server-close',
  'option http-restrict-req-hdr-names delete',
  'option httpchk GET /checked',
  'option log-health-checks',
  'option originalto',
  'option persist',
  'option prefer-last-server',
  'option redispatch 2',
  'no option redispatch',
  'http-check expect status 200',
  'http-check expect rstatus ^5',
  'http-error status 503 content-type text/plain string sorry',
  'http-request set-header x-source %[src]',
  'http-request set-path /moved%[path]',
  'http-response set-header x-status %[status]',
  'http-after-response set-header x-after 1',
  'default-server maxconn 40',
  'default-server minconn 5 maxconn 20',
  'default-server rise 1 fall 1 fastinter 100ms',
  'default-server weight 3',
  'default-server cookie common',
  'default-server backup',
  'default-server on-marked-down shutdown-sessions',
] as const;
const ofServers = ['cookie own', 'maxconn 50', 'weight 7', 'rise 4', 'backup', 'observe layer7', 'pool-max-conn 0'];

const options = fc.record({
  lines: fc.uniqueArray(fc.constantFrom(...lines), { minLength: 1, maxLength: 6 }),
  server: fc.uniqueArray(fc.constantFrom('check inter 100ms', 'check inter 100ms', ...ofServers), { maxLength: 3 }),
});

type Options = typeof options extends fc.Arbitrary<infer T> ? T : never;

test('a backend that comes to HAProxy 3.4 by commands answers, checks and counts as one of the file, whatever its options', async (t) => {
  await using folder = await tempFolder();
  const server = createServer(({ url, rawHeaders }, answer) => {
    answer.setHeader('content-type', 'text/plain');
    answer.end(`${url} ${rawHeaders.join(' ')}`);
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port: at } = server.address() as AddressInfo;
  const port = await freePort();
  const head = splitSections(
    `global\nstats socket ${folder.path}/admin.sock mode 600 level admin\nmaxconn 200\n` +
      'defaults\nmode http\ntimeout connect 20s\ntimeout client 20s\ntimeout server 20s\ntimeout check 20s\n' +
      `frontend in\nbind 127.0.0.1:${port}\nuse_backend %[path,field(2,/)]\n`,
  );
  const backend = (name: string, { lines: its, server: words }: Options): readonly Section[] => {
    const all = [...its, `server a 127.0.0.1:${at} ${words.join(' ')}`];
    const sections = splitSections(`backend ${name}\n${all.map((line) => `    ${line}\n`).join('')}`, name);
    return sections.map((section) => ({ ...section, sharesOptions: true }));
  };
  const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const samples = fc.sample(options, { numRuns: 60, seed });
  const running = [...head, ...samples.flatMap((its, nth) => backend(`before-${nth}`, its))];
  const binary = await haproxy('3.4');

  const start = (sections: readonly Section[]): Promise<HaproxyProcess> =>
    startHaproxy(binary, folder.path, textOf(sections));
  const seen = async ({ socket }: HaproxyProcess, names: readonly string[]): Promise<readonly string[]> => {
    // `UP 1/3`: it is not decided yet.
    const isChecked = async (): Promise<boolean> =>
      !/,INI,| -?\d+\/\d+,/.test(await ask(socket, ['show stat -1 4 -1']));
    await until('each server is checked', isChecked, { withinMs: 30_000 });
    const stats = await statsOf(socket);
    return Promise.all(names.map(async (name) => `${name}: ${await answerOf(port, name)}\n${stats.get(name)}`));
  };

  await using before = await start(running);
  const runtime = { capabilities: before.capabilities, leaving: [], started: running };
  const coming = samples
    .map((its, nth) => backend(`new-${nth}`, its))
    .filter(
      (its) => planChange({ sections: running }, { sections: [...running, ...its] }, runtime, []).kind === 'runtime',
    );
  t.diagnostic(`${coming.length} of ${samples.length}, seed ${seed}`);
  assert.ok(coming.length > samples.length / 3, `${coming.length} come by commands`);
  const desired = [...running, ...coming.flat()];
  const names = coming.flat().map(({ name }) => name);
  const plan = planChange({ sections: running }, { sections: desired }, runtime, []);
  const commands = plan.kind === 'runtime' ? plan.commands : assert.fail(JSON.stringify(plan));
  for (const [nth, verdict] of (await before.run(commands)).entries())
    assert.deepEqual(verdict, { kind: 'done' }, JSON.stringify(commands[nth]));
  const come = await seen(before, names);
  await before[Symbol.asyncDispose]();
  await using after = await start(desired);
  assert.deepEqual(come, await seen(after, names), `seed ${seed}`);
});

/** The answer, which tells what the server was sent. */
async function answerOf(port: number, backend: string): Promise<string> {
  const headers = { host: 'a.test', 'accept-encoding': 'gzip', x: '1', x_y: '2' };
  const [response] = await once(
    get({ port, host: '127.0.0.1', path: `/${backend}/`, headers, agent: false }),
    'response',
  );
  let body = '';
  for await (const part of response.setEncoding('latin1')) body += String(part);
  const { date: _, ...rest } = response.headers;
  return JSON.stringify([response.statusCode, rest, rest['content-encoding'] === undefined ? body : '']);
}

/** What does not count: how many connections a backend takes at once is a number of the frontends that HAProxy starts with. */
const columns = 'svname slim qlimit status weight act bck check_status check_rise check_fall cookie mode algo'.split(
  ' ',
);

async function statsOf(socket: string): Promise<ReadonlyMap<string, string>> {
  const [names = '', ...rows] = (await ask(socket, ['show stat -1 6 -1'])).trim().split('\n');
  const all = names.replace('# ', '').split(',');
  const shown = rows.map((row): [string, string] => {
    const values = row.split(',');
    const its = columns.map((column) => `${column}=${values[all.indexOf(column)]}`).join(' ');
    return [values[0] ?? '', its.replace('=* ', '=').replace(/^svname=BACKEND slim=\d+/, 'svname=BACKEND')];
  });
  const ofBackend = Map.groupBy(shown, ([name]) => name);
  return new Map([...ofBackend].map(([name, its]) => [name, its.map(([, text]) => text).join('\n')]));
}
