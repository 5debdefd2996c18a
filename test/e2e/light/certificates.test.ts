/** Certificates of a shared frontend: the folder is followed, what is wrong in it is left out and named. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { test } from 'node:test';
import { pemFor, serialOf, shownSerial } from '../../support/certificates.ts';
import { freePort, until } from '../../support/index.ts';
import { type MyelinProcess, type Workplace, workplace } from '../../support/sites/myelin.ts';

type Site = AsyncDisposable & {
  readonly place: Workplace;
  readonly port: number;
  readonly start: () => Promise<MyelinProcess>;
};

/** A shared frontend over TLS, with its certificates in `certs`. */
async function site(more = ''): Promise<Site> {
  const port = await freePort();
  const place = await workplace(`
watchers: { file: { path: services.yaml } }
frontends:
  public:
    bind: "127.0.0.1:${port} ssl"
    certificates: certs
    lines: ["http-request return status 200"]
${more}
haproxy: { log: none }
reload: { minInterval: 100ms }
verifyInterval: 1s
probes: { listen: "off" }
`);
  await place.write('services.yaml', 'services: {}\n');
  await mkdir(place.path('certs'));
  return {
    place,
    port,
    async start() {
      const myelin = place.run();
      await myelin.until('it serves', ({ haproxy }) => haproxy !== null);
      return myelin;
    },
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}

/** Waits until clients that ask for this name are shown this certificate. */
async function shows(port: number, name: string | undefined, pem: string): Promise<void> {
  const wanted = serialOf(pem);
  await until(
    `${name ?? 'another name'} is answered with ${wanted}`,
    async () => (await shownSerial(port, name)) === wanted,
    {
      withinMs: 20_000,
    },
  );
}

test('each name is shown its certificate, other names the default; they come, change and go with their files, without a reload', async () => {
  await using my = await site();
  const { place, port } = my;
  const [a, b, c] = ['a.test', 'b.test', 'c.test'].map((name) => pemFor(name)) as [string, string, string];
  await place.write('certs/a.pem', a);
  const at = b.indexOf('-----BEGIN PRIVATE');
  await place.write('certs/b.crt', b.slice(0, at));
  await place.write('certs/b.key', b.slice(at));
  const myelin = await my.start();
  await shows(port, 'a.test', a);
  await shows(port, 'b.test', b);
  await shows(port, undefined, a);
  const { generation } = (await place.status()).haproxy ?? assert.fail('nothing runs');

  // As Kubernetes mounts a Secret: its files lead through a link that is swapped.
  await mkdir(place.path('certs/c'));
  const mount = async (version: string, pem: string): Promise<void> => {
    const key = pem.indexOf('-----BEGIN PRIVATE');
    await place.write(`certs/c/..${version}/tls.crt`, pem.slice(0, key));
    await place.write(`certs/c/..${version}/tls.key`, pem.slice(key));
    await symlink(`..${version}`, place.path('certs/c/..data_tmp'));
    await rename(place.path('certs/c/..data_tmp'), place.path('certs/c/..data'));
  };
  await mount('1', c);
  for (const name of ['tls.crt', 'tls.key']) await symlink(`..data/${name}`, place.path(`certs/c/${name}`));
  await shows(port, 'c.test', c);
  const renewed = pemFor('c.test');
  await mount('2', renewed);
  await shows(port, 'c.test', renewed);

  await rm(place.path('certs/b.crt'));
  await shows(port, 'b.test', a);
  await myelin.until('it is gone', ({ certificates }) => certificates.map(({ name }) => name).join() === 'a,c');
  const files = ['public+a.pem', 'public+c.pem', 'public.crt-list'];
  await until(
    'its copy is gone',
    async () => String((await readdir(place.path('run/haproxy.cfg.certs'))).sort()) === String(files),
  );
  const again = pemFor('a.test');
  await place.write('certs/a.pem', again);
  await shows(port, undefined, again);
  const { haproxy, lastApply } = await place.status();
  assert.equal(haproxy?.generation, generation);
  assert.deepEqual(lastApply?.backends, [`certificate ${place.path('run/haproxy.cfg.certs/public+a.pem')}`]);
  const later = pemFor('default.test');
  await place.write('certs/default.pem', later);
  await shows(port, undefined, later);
  const { reasons } =
    (await myelin.until('it is said', (status) => status.lastApply?.result === 'reload')).lastApply ?? {};
  assert.ok(
    reasons?.every(({ code }) => code === 'certificate_changed'),
    JSON.stringify(reasons),
  );
  assert.match(reasons?.[0]?.detail ?? '', /^the default becomes .*public\+default\.pem$/);
});

test('a certificate with a wrong key, expired, empty or unreadable is named, and the one before serves on, over a restart too', async () => {
  await using my = await site();
  const { place, port } = my;
  const good = pemFor('a.test');
  await place.write('certs/a.pem', good);
  await place.write('certs/b.pem', 'garbage');
  const myelin = await my.start();
  await shows(port, 'a.test', good);
  const other = pemFor('a.test');
  const mixed = good.slice(0, good.indexOf('-----BEGIN PRIVATE')) + other.slice(other.indexOf('-----BEGIN PRIVATE'));
  const ended = pemFor('a.test', { days: 5, now: new Date(Date.now() - 20 * 86_400_000) });
  const faults: readonly (readonly [text: string, reason: RegExp])[] = [
    [mixed, /its private key is that of another certificate/],
    [ended, /it expired at 20/],
    ['', /it is empty/],
    [other.slice(0, 500), /no private key/],
  ];
  for (const [text, reason] of faults) {
    await place.write('certs/a.pem', text);
    const { certificates } = await myelin.until('it is named', (status) =>
      reason.test(status.certificates.find(({ name }) => name === 'a')?.problem ?? ''),
    );
    const [a, b] = certificates;
    assert.deepEqual([a?.name, a?.serial, a?.file], ['a', serialOf(good), place.path('certs/a.pem')]);
    assert.deepEqual([b?.name, b?.notAfter], ['b', null]);
    assert.match(b?.problem ?? '', /holds no certificate/);
    assert.equal(await shownSerial(port, 'a.test'), serialOf(good));
  }
  assert.match(myelin.output, /certificate left out/);
  assert.ok(!myelin.output.includes('PRIVATE KEY'), 'no key is in the log');
  const shown = await place.command('plan');
  assert.ok(!`${shown.stdout}${shown.stderr}`.includes('PRIVATE KEY'), 'nor in a plan');

  myelin.kill('SIGKILL');
  await myelin.ended;
  const next = await my.start();
  await next.until(
    'it is named again',
    ({ certificates }) => certificates[0]?.problem?.includes('no private key') === true,
  );
  assert.equal(await shownSerial(port, 'a.test'), serialOf(good));

  const { stdout } = await place.command('plan');
  assert.match(stdout, /nothing to do/, 'what serves is what was found');
  const { generation } = (await place.status()).haproxy ?? assert.fail('nothing runs');
  await place.write('certs/a.pem', other);
  await shows(port, 'a.test', other);
  assert.equal((await place.status()).haproxy?.generation, generation);
  await next.until('nothing is wrong with it', ({ certificates }) => certificates[0]?.problem === null);
  await chmod(place.path('certs'), 0o755);
});

test('a frontend without any certificate serves with one that is generated once, and the status says so', async () => {
  await using my = await site();
  const { place, port } = my;
  const myelin = await my.start();
  const { certificates } = await place.status();
  const [{ file, isDefault, serial } = assert.fail('there is none')] = certificates;
  assert.deepEqual([certificates.length, file, isDefault], [1, null, true]);
  assert.equal(await shownSerial(port), serial);
  myelin.kill('SIGTERM');
  await myelin.ended;
  await my.start();
  assert.equal(await shownSerial(port), serial, 'the same after a restart');
  assert.match((await place.command('status')).stdout, /self-signed, as there is no other/);
  const real = pemFor('a.test');
  await place.write('certs/a.pem', real);
  await shows(port, undefined, real);
});

test('an edit to a folder that is missing, or has a broken certificate, and another name of the frontend take no certificate away', async () => {
  await using my = await site();
  const { place, port } = my;
  const [a, b, newB] = ['a.test', 'b.test', 'b.test'].map((name) => pemFor(name)) as [string, string, string];
  await place.write('certs/a.pem', a);
  await place.write('certs/b.pem', b);
  const myelin = await my.start();
  await shows(port, 'b.test', b);
  const edit = async (from: string, to: string): Promise<void> =>
    place.write('myelin.yaml', (await place.read('myelin.yaml')).replace(from, to));

  await edit('certificates: certs', 'certificates: others');
  await myelin.until('the folder is named', ({ certificates }) =>
    certificates.some(({ file, problem }) => file === place.path('others') && problem === 'there is no such folder'),
  );
  await shows(port, 'a.test', a);
  await shows(port, 'b.test', b);

  await place.write('swapped/a.pem', 'garbage');
  await place.write('swapped/b.pem', newB);
  await edit('certificates: others', 'certificates: swapped\n    defaultCertificate: b');
  await shows(port, 'b.test', newB);
  await shows(port, undefined, newB);
  await shows(port, 'a.test', a);

  await edit('  public:', '  renamed:');
  await myelin.until('it is live', ({ certificates }) => certificates.every(({ frontend }) => frontend === 'renamed'));
  await shows(port, 'b.test', newB);
  assert.equal(await shownSerial(port, 'a.test'), serialOf(a));
});
