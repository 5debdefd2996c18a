/** The config is edited while Myelin runs: an edit is one change, and no state between the old and the new one serves. */
import assert from 'node:assert/strict';
import { appendFile, rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import timers from 'node:timers/promises';
import { startBackends, startFrontends } from '../../servers/backend.ts';
import { haproxy } from '../../servers/haproxy.ts';
import { steadyLoad } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { answerOf } from '../../support/load/requests.ts';
import { serversOf } from '../../support/load/traffic.ts';
import { workplace } from '../../support/sites/myelin.ts';
import { type Site, site } from '../../support/sites/site.ts';

type Name = keyof Site['backends'];

async function list({ place, backends }: Site, services: Readonly<Record<string, Name>>): Promise<void> {
  const lines = Object.entries(services).map(
    ([service, name]) => `  ${service}: ["127.0.0.1:${backends[name].port}"]\n`,
  );
  await place.write('services.yaml', `services:\n${lines.join('')}`);
}

/** `web` under another name, at the same address. */
async function rename({ place, port }: Site, name: string, from: string): Promise<void> {
  const config = await place.read('myelin.yaml');
  const service = `  ${name}:\n    bind: "127.0.0.1:${port}"\n    from: { file: { service: ${from} } }\n`;
  await place.write('myelin.yaml', config.replace(/ {2}web:\n(?: {4}.*\n)+/, service));
}

test('a service that is renamed in its place is one reload, and nobody is refused', async () => {
  await using my = await site({ reload: ['minInterval: 2s'] });
  const myelin = await my.start();
  const load = my.load();
  // So that the next reload may be at once, and the one after it may not.
  await until('the first is long ago', async () => Date.now() - ((await my.place.status()).haproxy?.since ?? 0) > 2000);
  await list(my, { web: 'alpha', shop: 'beta' });
  await rename(my, 'shop', 'shop');
  await load.answeredBy('beta');
  const { haproxy, lastApply } = await myelin.until('it is live', ({ stateReasons, lastApply: last }) => {
    return isApplied(stateReasons) && last?.reasons.some(({ code }) => code === 'proxy_added') === true;
  });
  assert.equal(haproxy?.generation, 2, 'one reload');
  assert.deepEqual([...new Set(lastApply?.reasons.map(({ code }) => code))], ['proxy_added'], 'to go takes none');
  await load.endsWithoutFailure();
});

test('while nobody answers for the new name, the old one serves on at its address', async () => {
  await using my = await site({ rest: ['startTimeout: 300ms'] });
  const myelin = await my.start();
  const load = my.load();
  await rm(my.place.path('services.yaml'));
  await rename(my, 'shop', 'shop');
  const waiting = await myelin.until('it waits', ({ waitingConfig }) => waitingConfig?.services.join() === 'shop');
  assert.deepEqual(
    waiting.services.map(({ name }) => name),
    ['web'],
  );
  assert.match((await my.place.command('status')).stdout, /config +a new one waits for answers about shop, for /);
  await load.goesOn(400);
  assert.equal((await my.place.status()).waitingConfig?.services.join(), 'shop', 'longer than startTimeout');
  await list(my, { shop: 'beta' });
  await load.answeredBy('beta');
  await load.endsWithoutFailure();
});

test('what a new config leaves out of what the sources said before is told, with the reason', async () => {
  const within = (range: string) => ({ rest: [`onlyAddresses: [${range}]`] });
  await using my = await site(within('127.0.0.0/8'));
  const myelin = await my.start();
  await my.configure(within('10.0.0.0/8'));
  const { services } = await myelin.until('it is live', (now) => now.services[0]?.endpoints.refused === 1);
  assert.equal(services[0]?.endpoints.ready, 0);
  await until('it is told', () => myelin.output.includes('is refused by the new config'));
  const line = myelin.output.split('\n').find((one) => one.includes('refused by the new config')) ?? '';
  assert.match(line, /"level":"warn".*"count":1,"queries":\["file\/web"\].*none of the ranges of onlyAddresses/);
  await my.configure({ ...within('10.0.0.0/8'), web: ['timeouts: { queue: 7777ms }'] });
  await until('that is live', async () => (await my.place.read('run/haproxy.cfg')).includes('timeout queue 7777'));
  assert.equal(myelin.output.match(/refused by the new config/g)?.length, 1, 'it is told once');
});

test('an edit that is taken back while a source is away leaves all as it was, waiting or live', async () => {
  const other = await freePort();
  const both = { services: [`other: { bind: "127.0.0.1:${other}" }`], rest: ['startTimeout: 500ms'] };
  await using my = await site(both);
  await list(my, { web: 'alpha', other: 'beta' });
  const myelin = my.place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const [load, loadOfOther] = [my.load(), my.use(steadyLoad(other))];
  await load.goesOn(10);
  await rm(my.place.path('services.yaml'));
  await myelin.until('the source is away', ({ services }) => services.every(({ stale }) => stale !== null));
  // It waits, since the address of `web` would be given up.
  await rename(my, 'shop', 'shop');
  await myelin.until('it waits', ({ waitingConfig }) => waitingConfig?.services.join() === 'shop');
  await my.configure({ ...both, web: ['timeouts: { queue: 7777ms }'] });
  await until('the next is live', async () => (await my.place.read('run/haproxy.cfg')).includes('timeout queue 7777'));
  await load.endsWithoutFailure();
  await loadOfOther.endsWithoutFailure();

  await my.configure({ rest: both.rest });
  await until('the other is gone', async () => !(await my.place.read('run/haproxy.cfg')).includes('backend other'));
  await my.configure(both);
  await until('it is back', async () => (await my.place.read('run/haproxy.cfg')).includes('backend other'));
  assert.match(
    await my.place.read('run/haproxy.cfg'),
    new RegExp(`backend other(?: .*\n)+ +server .*:${my.backends.beta.port} `),
  );
});

test('a new service whose source is in trouble does not hold up the rest of the edit', async () => {
  await using my = await site();
  const myelin = await my.start();
  const load = my.load();
  const config = await my.place.read('myelin.yaml');
  const edited = config
    .replace('services.yaml }', 'services.yaml }, gone: { type: file, path: nowhere.yaml, required: false }')
    .replace(
      '  web:\n',
      '  late: { from: { gone: {} } }\n  web:\n    from: { file: {} }\n    timeouts: { queue: 7777ms }\n',
    );
  await my.place.write('myelin.yaml', edited);
  await until('the rest is live', async () => (await my.place.read('run/haproxy.cfg')).includes('timeout queue 7777'));
  const { waitingConfig } = await myelin.until('nothing waits', (status) => status.waitingConfig === null);
  assert.equal(waitingConfig, null);
  await load.endsWithoutFailure();
});

for (const [what, fileOf] of [
  ['the config', 'myelin.yaml'],
  ['a file that it includes', 'services.d/web.yaml'],
] as const)
  test(`${what} that is written in place with a pause before its end takes away nothing`, async () => {
    await using my = await site();
    const text = await my.place.read('myelin.yaml');
    const web = /^services:\n {2}web:\n(?: {4}.*\n)+/m.exec(text)?.[0] ?? assert.fail('there is no web');
    // The service comes last.
    const file = my.place.path(fileOf);
    const rest = text.replace(web, '');
    if (fileOf === 'myelin.yaml')
      await my.place.write(fileOf, `${rest}services:\n  other: {}\n${web.replace('services:\n', '')}`);
    else {
      await my.place.write(fileOf, web.replace('services:\n', 'services:\n  other: {}\n'));
      await my.place.write('myelin.yaml', `${rest}include: [ "services.d/*.yaml" ]\n`);
    }
    await my.serve('alpha', 'other');
    const myelin = my.place.run();
    await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
    const load = my.load();
    const whole = await my.place.read(fileOf);
    const { pid } = (await my.place.status()).haproxy ?? assert.fail('it does not run');
    const half = whole.slice(0, whole.indexOf('  web:'));
    for (const round of [1, 2]) {
      await writeFile(file, `# ${round}\n${half}`);
      // As over a slow link: longer than it takes until a change is seen.
      await timers.setTimeout(1500);
      await appendFile(file, whole.slice(half.length));
    }
    await until('it was read to its end', () => myelin.output.includes('config and templates read again'));
    await load.goesOn(100);
    assert.equal((await my.place.status()).haproxy?.pid, pid, 'nothing was reloaded');
    await load.endsWithoutFailure();
  });

/** Answers `proxied` to who sends the PROXY protocol, and nothing to anybody else. */
async function startProxied(): Promise<AsyncDisposable & { readonly port: number }> {
  const port = await freePort();
  const started = await startFrontends([
    `frontend proxied\n    bind 127.0.0.1:${port} accept-proxy\n    http-request return status 200 content-type text/plain string proxied`,
  ]);
  return { port, [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
}

test('an edit of where servers are found and of how they are spoken to goes live as a whole', async () => {
  await using my = await site({ web: ['from: { file: { service: plain } }'], reload: ['minInterval: 3s'] });
  const proxied = my.use(await startProxied());
  const endpoints = `  plain: ["127.0.0.1:${my.backends.alpha.port}"]\n  proxied: ["127.0.0.1:${proxied.port}"]\n`;
  await my.place.write('services.yaml', `services:\n${endpoints}`);
  const myelin = my.place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const load = my.load();
  // A reload just before it, so that this one has to wait.
  await my.configure({
    web: ['from: { file: { service: plain } }', 'timeouts: { queue: 7777ms }'],
    reload: ['minInterval: 3s'],
  });
  await until('that is live', async () => (await my.place.status()).haproxy?.generation === 2);
  await my.configure({
    web: ['from: { file: { service: proxied } }', 'server: { proxyProtocol: v2 }'],
    reload: ['minInterval: 3s'],
  });
  await load.answeredBy('proxied');
  await load.endsWithoutFailure();
});

test('an edit of where servers are found and of how they are spoken to that is refused leaves the servers that were there, over a restart of Myelin as well', async () => {
  const plain = ['from: { file: { service: plain } }'];
  const broken = ['from: { file: { service: other } }', 'server: { tls: { caFile: /nosuch.pem } }'];
  await using my = await site({ web: plain });
  await list(my, { plain: 'alpha', other: 'beta' });
  const first = my.place.run();
  await first.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const load = my.load();
  await my.configure({ web: broken });
  await first.until('it is refused', ({ services }) => services[0]?.quarantined !== null);
  const alpha = `127.0.0.1:${my.backends.alpha.port} 1`;
  await load.goesOn(200);
  assert.deepEqual(await serversOf(my.place, 'web'), [alpha]);
  first.kill('SIGTERM');
  await first.ended;

  const second = my.place.run();
  await second.until('it is refused again', ({ services }) => services[0]?.quarantined != null);
  await load.goesOn(200);
  assert.deepEqual(await serversOf(my.place, 'web'), [alpha]);
  assert.deepEqual([...load.answers.keys()], ['alpha']);
  await my.configure({ web: ['from: { file: { service: other } }'] });
  await load.answeredBy('beta');
  await load.endsWithoutFailure();
});

test('a service renamed with other options, and a route that becomes the default, lose no request before the reload that both need', async () => {
  await using backends = await startBackends(['alpha', 'beta']);
  const { alpha, beta } = backends;
  const port = await freePort();
  const config = async (frontend: string, services: readonly string[]): Promise<string> =>
    [
      'watchers: { file: { path: services.yaml } }',
      `frontends: { public: { bind: "127.0.0.1:${port}"${frontend} } }`,
      `services: { ${services.join(', ')} }`,
      `haproxy: { log: none, binary: "${await haproxy('3.4')}" }`,
      'allowAddresses: [127.0.0.0/8]',
      'reload: { minInterval: 1s }',
      'probes: { listen: "off" }',
      '',
    ].join('\n');
  await using place = await workplace(await config('', ['old: { routes: [a.test] }', 'rest: { routes: [/] }']));
  const at = { old: alpha, new: alpha, rest: beta };
  const lines = Object.entries(at).map(([name, { port: its }]) => `  ${name}: ["127.0.0.1:${its}"]\n`);
  await place.write('services.yaml', `services:\n${lines.join('')}`);
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  const seen = { 'a.test': new Set<string>(), 'b.test': new Set<string>() };
  let isOver = false;
  const asking = Object.entries(seen).map(async ([host, answers]) => {
    while (!isOver) answers.add(await answerOf(port, host));
  });
  await place.write(
    'myelin.yaml',
    await config(', default: rest', ['new: { routes: [a.test], balance: leastconn }', 'rest: {}']),
  );
  await myelin.until('it is live', ({ stateReasons, haproxy: its, services }) => {
    return isApplied(stateReasons) && its?.generation === 2 && services.some(({ name }) => name === 'new');
  });
  isOver = true;
  await Promise.all(asking);
  assert.deepEqual(seen, { 'a.test': new Set(['alpha']), 'b.test': new Set(['beta']) });
});
