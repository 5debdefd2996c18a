/** What a service's sections name on disk is broken later: it serves on with what HAProxy was started with, and nobody waits. */
import assert from 'node:assert/strict';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { selfSignedPem } from '../../../src/certificates/self-signed.ts';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { besideMaster, startMasterOf } from '../../support/sites/master-site.ts';
import { type Site, type SiteConfig, site } from '../../support/sites/site.ts';

/** Of the certificate that is shown, once the backend behind it has answered over TLS; with both. */
function overTls(port: number): Promise<readonly [answer: string, serial: string]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly [string, string]>();
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, timeout: 5000 });
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  let serial = '';
  socket.once('secureConnect', () => {
    serial = socket.getPeerCertificate().serialNumber;
    socket.write('GET / HTTP/1.0\r\n\r\n');
  });
  socket.once('timeout', () => socket.destroy(new Error('no answer')));
  socket.once('error', reject);
  socket.once('close', () => resolve([text.split('\r\n\r\n')[1]?.trim() ?? '', serial]));
  return promise;
}

type Secure = {
  readonly my: Site;
  readonly port: number;
  /** Where `more` is served, once it is configured. */
  readonly more: number;
  readonly pem: string;
  /** `myelin.yaml` with `secure`, and `more` if that is asked. */
  configure(others?: readonly string[]): Promise<void>;
  serve(secure: 'beta' | 'gamma'): Promise<void>;
};

async function secureSite(config: SiteConfig = {}): Promise<Secure & AsyncDisposable> {
  const [port, more] = [await freePort(), await freePort()];
  const my = await site(config);
  const pem = my.place.path('site.pem');
  await writeFile(pem, selfSignedPem(new Date()));
  const secure = `secure: { bind: "127.0.0.1:${port} ssl crt ${pem}" }`;
  const configure = (others: readonly string[] = []) => my.configure({ ...config, services: [secure, ...others] });
  const serve = async (by: 'beta' | 'gamma') => {
    const at = (name: 'alpha' | 'beta' | 'gamma'): string => `["127.0.0.1:${my.backends[name].port}"]`;
    const services = `services: { web: ${at('alpha')}, secure: ${at(by)}, more: ${at('gamma')} }\n`;
    await my.place.write('services.yaml', services);
  };
  await configure();
  await serve('beta');
  return { my, port, more, pem, configure, serve, [Symbol.asyncDispose]: () => my[Symbol.asyncDispose]() };
}

/** Right after HAProxy has proved itself. */
async function kept({ place }: Site, folder: string): Promise<void> {
  await until('its files are kept', async () => (await place.read(`${folder}/index.json`)) !== '', {
    withinMs: 30_000,
  });
}

const moreAt = (port: number): string => `more: { bind: "127.0.0.1:${port}" }`;

test('a broken certificate holds up nobody: its service serves on with the old one, also after crashes, until it is mended', async () => {
  await using world = await secureSite();
  const { my, port, more, pem, configure, serve } = world;
  let myelin = my.place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const [answer, serial] = await overTls(port);
  assert.equal(answer, 'beta');
  await kept(my, 'run/state/files');
  const load = my.load();

  await writeFile(pem, 'nonsense\n');
  await configure([moreAt(more)]);
  await until('another service goes live', async () => (await ask(more)) === 'gamma', { withinMs: 30_000 });
  assert.deepEqual(await overTls(port), ['beta', serial]);
  const told = await myelin.until('it is told', ({ stateReasons }) => stateReasons.includes('service_quarantined'));
  assert.match(JSON.stringify(told.services.find(({ name }) => name === 'secure')?.quarantined), /site\.pem/);
  await serve('gamma');
  await until('its servers follow', async () => (await overTls(port))[0] === 'gamma', { withinMs: 30_000 });
  await load.goesOn(100);
  await load.endsWithoutFailure();

  const before = (await my.place.status()).haproxy?.pid ?? 0;
  process.kill(before, 'SIGKILL');
  await until('another one serves', async () => (await overTls(port))[1] === serial, { withinMs: 30_000 });
  myelin.kill('SIGKILL');
  await myelin.ended;
  myelin = my.place.run();
  await myelin.until('it is told again', ({ services }) =>
    services.some(({ name, quarantined }) => name === 'secure' && quarantined !== null),
  );
  assert.deepEqual(await overTls(port), ['gamma', serial]);

  await writeFile(pem, selfSignedPem(new Date()));
  await myelin.until('it is released', ({ stateReasons }) => isApplied(stateReasons), 60_000);
  const [, renewed] = await overTls(port);
  assert.notEqual(renewed, serial);
  assert.match(await my.place.read('run/haproxy.cfg'), / crt \S*\/site\.pem$/m);
  const folder = my.place.path('run/state/files');
  await until('only the copy of the new one is kept', async () => {
    const sets = (await readdir(folder)).filter((name) => name !== 'index.json');
    const [copy = ''] = sets;
    return (
      sets.length === 1 &&
      (await my.place.read(`run/state/files/${copy}/site.pem`)) === (await my.place.read('site.pem'))
    );
  });
});

test('where HAProxy and Myelin have ended, a service whose certificate is broken or gone is started with the old one', async () => {
  await using world = await secureSite();
  const { my, port, pem } = world;
  const myelin = my.place.run();
  const { haproxy: first } = await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const [, serial] = await overTls(port);
  await kept(my, 'run/state/files');
  myelin.kill('SIGKILL');
  await myelin.ended;
  process.kill(first?.pid ?? 0, 'SIGKILL');
  await writeFile(pem, 'nonsense\n');
  my.place.run();
  await until('it serves again', async () => (await overTls(port))[1] === serial, { withinMs: 30_000 });
  assert.equal(await ask(my.port), 'alpha');
});

test('the copies are for Myelin alone, and what a service does not name any more is kept no longer', async () => {
  await using world = await secureSite();
  const { my } = world;
  const myelin = my.place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await kept(my, 'run/state/files');
  const folder = my.place.path('run/state/files');
  const [copy = ''] = (await readdir(folder)).filter((name) => name !== 'index.json');
  const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
  assert.deepEqual(
    await Promise.all([folder, `${folder}/${copy}`, `${folder}/${copy}/site.pem`].map(modeOf)),
    [0o700, 0o700, 0o600],
  );
  await my.configure();
  await until('it is gone', async () => (await readdir(folder)).join() === 'index.json', { withinMs: 30_000 });
});

test('under a master elsewhere too, a broken certificate holds up nobody, and HAProxy can be started anew', async () => {
  await using world = await secureSite(besideMaster);
  const { my, port, more, pem, configure } = world;
  const { place } = my;
  assert.equal((await place.command('run', '--once', '--no-apply')).exitCode, 0);
  const master = my.use(await startMasterOf(place));
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons, haproxy: its }) => isApplied(stateReasons) && its !== null);
  const [, serial] = await overTls(port);
  await kept(my, 'shared/haproxy.cfg.files');
  assert.equal((await master.processes()).master.reloads, 0, 'what was found running is kept too');

  await writeFile(pem, 'nonsense\n');
  await configure([moreAt(more)]);
  await until('another service goes live', async () => (await ask(more)) === 'gamma', { withinMs: 30_000 });
  assert.deepEqual(await overTls(port), ['beta', serial]);
  await myelin.until('the reload is over', ({ lastReload }) => lastReload !== null);
  await master.stop();
  my.use(await startMasterOf(place));
  assert.deepEqual(await overTls(port), ['beta', serial]);
  await writeFile(pem, selfSignedPem(new Date()));
  await until('the new one is shown', async () => (await overTls(port))[1] !== serial, { withinMs: 60_000 });
});
