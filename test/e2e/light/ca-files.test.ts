/** CA certificates for clients and servers: their files are followed, and judged before HAProxy is given them. */
import assert from 'node:assert/strict';
import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { defaultBranch } from '../../servers/haproxy.ts';
import { answerTo, parted, pemFor } from '../../support/certificates.ts';
import { freePort, until } from '../../support/index.ts';
import { tlsLoad } from '../../support/load/tls-load.ts';
import { type Workplace, workplace } from '../../support/sites/myelin.ts';

const caOf = (...pems: readonly string[]): string => pems.map((pem) => parted(pem).cert).join('');

async function site(port: number, clientCertificates: string, services = ''): Promise<Workplace> {
  const place = await workplace(`
watchers: { file: { path: services.yaml } }
frontends:
  public:
    bind: "127.0.0.1:${port} ssl"
    certificates: certs
    clientCertificates: ${clientCertificates}
    ${services === '' ? 'lines: ["http-request return status 200"]' : 'default: web'}
${services}
haproxy: { log: none }
reload: { minInterval: 100ms }
verifyInterval: 1s
probes: { listen: "off" }
allowAddresses: [127.0.0.0/8]
`);
  await place.write('services.yaml', 'services: {}\n');
  await place.write('certs/a.pem', pemFor('a.test'));
  return place;
}

const lets = async (port: number, pem: string | null, isLetIn: boolean): Promise<void> => {
  await until(
    `a client is ${isLetIn ? 'let in' : 'refused'}`,
    async () => ((await answerTo(port, pem)) === 200) === isLetIn,
    { withinMs: 20_000 },
  );
};

test('clients are verified by a file that is swapped as a ConfigMap is; what is wrong in it is named, and the one before stays in force', async () => {
  const port = await freePort();
  await using place = await site(port, '{ caFile: ca/ca.pem }');
  const [a, b, c] = ['a', 'b', 'c'].map((name) => pemFor(name)) as [string, string, string];
  await mkdir(place.path('ca'));
  const mount = async (version: string, text: string): Promise<void> => {
    await place.write(`ca/..${version}/ca.pem`, text);
    await symlink(`..${version}`, place.path('ca/..data_tmp'));
    await rename(place.path('ca/..data_tmp'), place.path('ca/..data'));
  };
  await mount('1', caOf(a));
  await symlink('..data/ca.pem', place.path('ca/ca.pem'));
  const myelin = place.run();
  await myelin.until('it serves', ({ haproxy }) => haproxy !== null);
  await lets(port, a, true);
  await lets(port, b, false);
  await lets(port, null, false);
  const { generation } = (await place.status()).haproxy ?? assert.fail('nothing runs');

  const load = tlsLoad({ port, ...parted(a) });
  await mount('2', caOf(a, b));
  await lets(port, b, true);
  const { done, failures } = await load.end();
  assert.ok(done > 10, `${done} requests`);
  assert.deepEqual(failures, []);
  if (defaultBranch !== '2.2') {
    const { haproxy, lastApply } = await place.status();
    assert.equal(haproxy?.generation, generation, 'in the same process');
    assert.deepEqual(lastApply?.backends, [`ca-file ${place.path('run/haproxy.cfg.certs/public.ca-file')}`]);
  }

  const expired = pemFor('expired', { days: 5, now: new Date(Date.now() - 20 * 86_400_000) });
  const faults: readonly (readonly [text: string, reason: RegExp])[] = [
    ['', /^it is empty$/],
    ['garbage', /^it holds no certificate/],
    [caOf(c).slice(0, 300), /^1 of 1 certificates in it do not end/],
    [`${caOf(a)}${caOf(c).slice(0, 300)}`, /^1 of 2 certificates in it do not end/],
    [caOf(a).replace(/\n[^-]{40}/, '\nAAAA'), /^certificate 1 in it cannot be read$/],
    [caOf(expired), /^CN=expired expired at 20/],
  ];
  for (const [at, [text, reason]] of faults.entries()) {
    await mount(`fault${at}`, text);
    const { caFiles } = await myelin.until('it is named', (status) => reason.test(status.caFiles[0]?.problem ?? ''));
    assert.deepEqual(caFiles[0]?.subjects.toSorted(), ['CN=a', 'CN=b']);
    assert.deepEqual([await answerTo(port, a), await answerTo(port, b)], [200, 200]);
    assert.equal(typeof (await answerTo(port, c)), 'string');
  }
  assert.match(myelin.output, /file of CA certificates left out/);
  assert.match(await place.metrics(), /^myelin_ca_files_left_out 1$/m);
  assert.match((await place.command('status')).stdout, /CA public .*CN=expired expired at/);

  myelin.kill('SIGKILL');
  await myelin.ended;
  const next = place.run();
  await next.until('it is named again', ({ caFiles }) => (caFiles[0]?.problem ?? '').includes('expired'));
  assert.match((await place.command('plan')).stdout, /nothing to do/, 'what is in force is what was found');
  assert.equal(await answerTo(port, b), 200);
  await mount('3', caOf(expired, c));
  await lets(port, c, true);
  await lets(port, a, false);
  const { caFiles } = await next.until('nothing is wrong with it', (status) => status.caFiles[0]?.problem === null);
  assert.deepEqual(
    caFiles[0]?.expiring.map(({ subject }) => subject),
    ['CN=expired'],
  );
  await next.until('it is told', () => /CA certificate ends within 14 days, or has ended/.test(next.output));

  // Another file, which is not there yet, leaves the clients as they are.
  const edit = async (from: string, to: string): Promise<void> =>
    place.write('myelin.yaml', (await place.read('myelin.yaml')).replace(from, to));
  await edit('ca/ca.pem', 'other.pem');
  await next.until('it is named', (status) => status.caFiles[0]?.file === place.path('other.pem'));
  assert.equal(await answerTo(port, c), 200);
  await place.write('other.pem', caOf(b));
  await lets(port, b, true);
  await lets(port, c, false);
  await edit('clientCertificates: { caFile: other.pem }', '');
  await lets(port, null, true);
  await until('its copy is gone', async () => {
    const files = await readdir(place.path('run/haproxy.cfg.certs'));
    return files.every((name) => !name.endsWith('.ca-file'));
  });
});

test('a frontend whose file of CA certificates never was sound lets nobody in, until there is one; optional lets those in who show none', async () => {
  const port = await freePort();
  await using place = await site(port, '{ caFile: ca.pem, verify: required }');
  const a = pemFor('a');
  const myelin = place.run();
  const { caFiles, haproxy } = await myelin.until('it serves', (status) => status.haproxy !== null);
  assert.deepEqual([caFiles[0]?.problem, caFiles[0]?.notAfter], ['there is no such file', null]);
  assert.deepEqual([typeof (await answerTo(port, a)), typeof (await answerTo(port, null))], ['string', 'string']);
  const checked = await place.command('check');
  assert.equal(checked.exitCode, 0, checked.stderr);
  assert.match(
    checked.stdout,
    /warning: frontends\.public\.clientCertificates\.caFile: .*ca\.pem: there is no such file/,
  );
  await place.write('ca.pem', caOf(a));
  await lets(port, a, true);
  if (defaultBranch !== '2.2') assert.equal((await place.status()).haproxy?.generation, haproxy?.generation);
  await place.write('myelin.yaml', (await place.read('myelin.yaml')).replace('required', 'optional'));
  await lets(port, null, true);
  assert.equal(typeof (await answerTo(port, pemFor('b'))), 'string');
});

test('servers are verified by a file: with a wrong one they are down, with the right one they serve after one reload; a broken one changes nothing', async () => {
  const port = await freePort();
  const services =
    '{ web: { check: { interval: 500ms, fall: 1, rise: 1 }, server: { tls: { caFile: servers.pem, sni: b.test } } } }';
  await using place = await site(port, '{ caFile: clients.pem }', `services: ${services}`);
  const [client, server, other] = [pemFor('a'), pemFor('b.test'), pemFor('b.test')];
  await place.write('clients.pem', caOf(client));
  await place.write('servers.pem', caOf(other));
  const answering = createServer(parted(server), (_, response) => void response.end('served')).listen(0, '127.0.0.1');
  try {
    await new Promise((fulfil) => answering.once('listening', fulfil));
    const { port: at } = answering.address() as AddressInfo;
    await place.write('services.yaml', `services: { web: [ "127.0.0.1:${at}" ] }\n`);
    const myelin = place.run();
    await myelin.until('it serves', ({ haproxy }) => haproxy !== null);
    await until('the server is down', async () => (await answerTo(port, client)) === 503);
    await place.write('servers.pem', caOf(server));
    await lets(port, client, true);
    const { lastApply } = await myelin.until('it is said', (status) =>
      (status.lastApply?.reasons ?? []).some(({ code }) => code === 'certificate_changed'),
    );
    const { reasons = [] } = lastApply ?? {};
    assert.deepEqual(
      reasons.map(({ code, detail }) => [code, detail]),
      [['certificate_changed', 'servers keep the CA certificates that they started with']],
    );
    const { generation } = (await place.status()).haproxy ?? assert.fail('nothing runs');
    await place.write('servers.pem', 'garbage');
    await myelin.until('it is named', ({ caFiles }) =>
      caFiles.some(({ problem }) => problem?.startsWith('it holds no')),
    );
    await rm(place.path('servers.pem'));
    await myelin.until('it is named', ({ caFiles }) =>
      caFiles.some(({ problem }) => problem === 'there is no such file'),
    );
    await place.reload();
    assert.equal(await answerTo(port, client), 200, 'after a reload too');
    assert.equal((await place.status()).haproxy?.generation, generation + 1);
    assert.deepEqual((await place.status()).services[0]?.quarantined, null);
  } finally {
    answering.closeAllConnections();
    answering.close();
  }
});
