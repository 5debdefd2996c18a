/** What a real Consul agent says is what is served; while it is in trouble, what it said last serves on and no request is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { type ConsulAgent, startConsul } from '../../servers/consul.ts';
import { type Faults, startFaultProxy } from '../../servers/fault-proxy.ts';
import { ask, steadyLoad } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { forFile } from '../../support/for-file.ts';
import { freePort, until } from '../../support/index.ts';
import { assertValid, servedBy, serversOf } from '../../support/load/traffic.ts';
import { type Workplace, workplace } from '../../support/sites/myelin.ts';

const names = ['alpha', 'beta', 'gamma'] as const;
type Name = (typeof names)[number];
const [backends, consul] = await Promise.all([forFile(startBackends(names)), forFile(startConsul())]);

let rounds = 0;

type Served = AsyncDisposable & {
  readonly place: Workplace;
  readonly port: number;
  /** What `web` is called in Consul. */
  readonly service: string;
};

/** A service of its own in Consul; `address` is that of the agent or of what stands before it. */
async function served(address: string, settings = ''): Promise<Served> {
  const port = await freePort();
  const service = `web-${rounds++}`;
  const place = await workplace(
    [
      `watchers: { consul: { address: "${address}"${settings} } }`,
      `services: { web: { from: { consul: { service: ${service} } }, bind: "127.0.0.1:${port}" } }`,
      'allowAddresses: [127.0.0.0/8]',
      'haproxy: { log: none }',
      'reload: { minInterval: 0ms }',
      'probes: { listen: "off" }',
      '',
    ].join('\n'),
  );
  return { place, port, service, [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() };
}

function register(agent: ConsulAgent, service: string, ...who: readonly Name[]): Promise<unknown> {
  return Promise.all(
    who.map((name) => agent.register({ name: service, id: `${service}-${name}`, port: backends[name].port })),
  );
}

/** Registers, starts, and waits until they serve. */
async function start({ place, port, service }: Served, agent: ConsulAgent, ...who: readonly Name[]) {
  await register(agent, service, ...who);
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await servedBy(port, ...who);
  return myelin;
}

const line = (name: Name, weight = 1): string => `127.0.0.1:${backends[name].port} ${weight}`;

test('instances that turn critical, more than half at once, are served no longer, and those that stay lose no request', async () => {
  await using my = await served(consul.address);
  const { place, port, service } = my;
  await start(my, consul, 'alpha', 'beta', 'gamma');
  await using load = steadyLoad(port);
  await Promise.all(['beta', 'gamma'].map((name) => consul.setCheck(`${service}-${name}`, 'fail')));
  await servedBy(port, 'alpha');
  await until('they are no servers any more', async () => (await serversOf(place, 'web')).length === 1);
  const { services } = await place.status();
  assert.deepEqual([services[0]?.endpoints.ready, services[0]?.kept], [1, null]);
  await load.endsWithoutFailure();
});

test('a host name is served by what it stands for, and refused where that leads back here', async () => {
  await using my = await served(consul.address, ', hostNames: resolve');
  const { place, port, service } = my;
  await consul.register({ name: service, id: 'named', address: 'localhost', port: backends.alpha.port });
  await consul.register({ name: service, id: 'loop', address: 'localhost', port });
  const myelin = place.run();
  await myelin.until('it serves', ({ state }) => state === 'ready' || state === 'degraded');
  await servedBy(port, 'alpha');
  const { services } = await place.status();
  const refused = services[0]?.refused.map(({ id, reason }) => `${id}: ${reason}`);
  assert.equal(refused?.length, 1);
  assert.match(refused[0] ?? '', /^node-1:loop: 127\.0\.0\.1 port \d+ leads back to .* of this config/);
});

test('check --live tries the templates with what Consul says, as run will; check alone with made-up servers, and both say so', async () => {
  await using my = await served(consul.address);
  const { place, service } = my;
  const meta = (weight: string): Promise<void> =>
    consul.register({ name: service, id: `${service}-alpha`, port: backends.alpha.port, meta: { weight } });
  await place.write('myelin.yaml', `${await place.read('myelin.yaml')}templates: templates\n`);
  const server = (words: string): Promise<void> =>
    place.write('templates/server.hbs', `server {{name}} {{address}} ${words}\n`);

  await server('weight {{meta.weight}}');
  await meta('10');
  const madeUp = await place.command('check');
  assert.equal(madeUp.exitCode, 4, 'made-up servers have no meta');
  assert.match(madeUp.stderr, /what to do: (?:.*; )?this is with made-up servers, .*`myelin check --live`/);
  const live = await place.command('check', '--live');
  assert.deepEqual([live.exitCode, live.stderr], [0, '']);
  assert.match(
    live.stdout,
    /: 1 service, templates .*\ntried with what consul says now: 1 endpoint\nHAProxy \S+ accepts it\n$/,
  );
  assert.deepEqual(await place.haproxies(), [], 'it starts nothing');

  await server('{{#if meta.weight}}{{meta.weight}}{{/if}}');
  await meta('heavy');
  const passing = await place.command('check');
  assert.match(passing.stdout, /\ntried with made-up servers\nHAProxy \S+ accepts it\n$/);
  const failing = await place.command('check', '--live');
  assert.equal(failing.exitCode, 5);
  assert.match(failing.stderr, /heavy[\s\S]*this is with what consul says now/);

  await consul.deregister(`${service}-alpha`);
  const empty = await place.command('check', '--live');
  assert.match(
    empty.stdout,
    /now: 0 endpoints\n[\s\S]*^warning: web: no endpoint of it may serve now, so no server of it is tried$/m,
  );
  const silent = (await place.read('myelin.yaml')).replace(
    consul.address,
    `127.0.0.1:${await freePort()}", required: false, type: "consul`,
  );
  await place.write('myelin.yaml', `${silent}startTimeout: 1s\n`);
  const away = await place.command('check', '--live');
  assert.equal(away.exitCode, 6);
  assert.match(
    away.stderr,
    /error: no complete answer within 1 s from consul \(.*ECONNREFUSED.*\) \[MYELIN_SOURCE_TIMEOUT\]/,
  );
});

test('traffic follows what is registered, critical, warned, in maintenance and deregistered in Consul, and no request is lost', async () => {
  // Two of three go in the end.
  await using my = await served(consul.address, ', maxShrink: { share: 1 }');
  const { place, port, service } = my;
  await start(my, consul, 'alpha');
  await using load = steadyLoad(port);

  await register(consul, service, 'beta', 'gamma');
  await servedBy(port, 'alpha', 'beta', 'gamma');
  await consul.setCheck(`${service}-beta`, 'fail');
  await servedBy(port, 'alpha', 'gamma');
  await consul.setCheck(`${service}-beta`, 'pass');
  await servedBy(port, 'alpha', 'beta', 'gamma');
  await consul.setCheck(`${service}-beta`, 'warn');
  await servedBy(port, 'alpha', 'gamma');
  await consul.setCheck(`${service}-beta`, 'pass');
  await servedBy(port, 'alpha', 'beta', 'gamma');
  await consul.maintenance(true, `${service}-alpha`);
  await servedBy(port, 'beta', 'gamma');
  const draining = [line('alpha', 0), line('beta'), line('gamma')].sort();
  await until('the file has followed', async () => String(await serversOf(place, 'web')) === String(draining));
  await consul.maintenance(false, `${service}-alpha`);
  await servedBy(port, 'alpha', 'beta', 'gamma');
  await consul.deregister(`${service}-gamma`);
  await consul.deregister(`${service}-beta`);
  await servedBy(port, 'alpha');
  await until('only one is left in the file', async () => (await serversOf(place, 'web')).length === 1);
  await assertValid(place);
  await load.endsWithoutFailure();
});

test('Consul killed for 30 s and started again empty: no request is lost, and what registers anew is served within five seconds', async (t) => {
  await using agent = await startConsul();
  await using my = await served(agent.address);
  const { place, port, service } = my;
  const myelin = await start(my, agent, 'alpha', 'beta');
  const servers = await serversOf(place, 'web');
  await using load = steadyLoad(port);

  await agent.stop();
  const stoppedAt = performance.now();
  const down = await myelin.until('the outage is told', ({ sources }) => sources[0]?.state === 'down');
  assert.match(down.sources[0]?.down?.reason ?? '', /^Consul at http/);
  assert.equal(down.state, 'degraded');
  await until('30 s have passed', () => performance.now() - stoppedAt > 30_000, { withinMs: 60_000, everyMs: 100 });
  assert.deepEqual(await serversOf(place, 'web'), servers);
  const told = myelin.output.match(/source failed/g)?.length ?? 0;
  assert.ok(told > 0 && told < 10, `${told} lines in the log about one outage`);

  await agent.restart();
  const doubted = await myelin.until('its emptiness is doubted', ({ services }) => services[0]?.kept != null);
  assert.equal(doubted.sources[0]?.state, 'up');
  assert.deepEqual(await serversOf(place, 'web'), servers);

  await register(agent, service, 'beta', 'gamma');
  const registeredAt = performance.now();
  await until('the new one answers', async () => (await ask(port)) === 'gamma');
  const tookMs = Math.round(performance.now() - registeredAt);
  t.diagnostic(`${tookMs} ms from the registration to the first answer`);
  assert.ok(tookMs < 5000, `${tookMs} ms`);
  await servedBy(port, 'beta', 'gamma');
  await myelin.until(
    'all is well',
    ({ stateReasons, services }) => isApplied(stateReasons) && services[0]?.kept === null,
  );
  await load.endsWithoutFailure();
  assert.ok((load.answers.get('alpha') ?? 0) > 0 && (load.answers.get('gamma') ?? 0) > 0);
});

type Trouble = {
  readonly faults: Faults;
  /** What the status says; undefined where Myelin copes without being in trouble. */
  readonly says?: RegExp;
};

const troubles: Readonly<Record<string, Trouble>> = {
  'answers 403': { faults: { kind: 'status', status: 403, body: 'ACL not found' }, says: /HTTP 403 \(ACL not found\)/ },
  'answers 429 with Retry-After': {
    faults: { kind: 'status', status: 429, body: 'slow down', headers: { 'retry-after': '1' } },
    says: /HTTP 429 \(slow down\)/,
  },
  'has no leader': {
    faults: { kind: 'status', status: 500, body: 'No cluster leader' },
    says: /No cluster leader/,
  },
  'has an index that goes back': { faults: { kind: 'index-backwards' } },
  'cuts its answers short': { faults: { kind: 'cut-short' }, says: /cut short/ },
  'falls silent': { faults: { kind: 'silent' }, says: /timed out/ },
};

test('an agent that refuses, limits, has lost its leader, goes back, breaks off or falls silent: no server is removed, few questions are asked, it recovers by itself', async (t) => {
  await using proxy = await startFaultProxy(consul.address);
  await using my = await served(proxy.address, ', wait: 500ms');
  const { place, port, service } = my;
  const myelin = await start(my, consul, 'alpha', 'beta');
  await using load = steadyLoad(port);

  const there: Name[] = ['alpha', 'beta'];
  for (const [what, { faults, says }] of Object.entries(troubles))
    await t.test(what, async () => {
      await until('the file is what runs', async () => (await serversOf(place, 'web')).length === there.length);
      const servers = await serversOf(place, 'web');
      const asked = proxy.requests.length;
      const startedAt = performance.now();
      proxy.spoil(faults, { breakOff: true });
      if (says !== undefined) await myelin.until('it is told', (status) => says.test(reasonOf(status)));
      await until('a second has passed', () => performance.now() - startedAt > 1000);
      const rate = (proxy.requests.length - asked) / ((performance.now() - startedAt) / 1000);
      assert.ok(rate <= 20, `${rate} requests a second`);
      assert.deepEqual(await serversOf(place, 'web'), servers);

      // What changes meanwhile is seen as soon as it is over.
      const isThere = there.includes('gamma');
      if (isThere) {
        there.pop();
        await consul.deregister(`${service}-gamma`);
      } else {
        there.push('gamma');
        await register(consul, service, 'gamma');
      }
      proxy.spoil(null, { breakOff: what === 'falls silent' });
      await servedBy(port, ...there);
      await myelin.until('all is well', ({ stateReasons }) => isApplied(stateReasons));
    });
  await load.endsWithoutFailure();
});

test('a token that loses its rights makes an empty answer, which is trouble and no absence', async () => {
  await using agent = await startConsul({ acl: true });
  const rules = (right: 'read' | 'deny'): string =>
    `service_prefix "" { policy = "${right}" } node_prefix "" { policy = "${right}" }`;
  const policy = (await agent.api('PUT', '/v1/acl/policy', { Name: 'myelin', Rules: rules('read') })) as { ID: string };
  const token = (await agent.api('PUT', '/v1/acl/token', { Policies: [{ ID: policy.ID }] })) as { SecretID: string };
  await using my = await served(agent.address, `, wait: 500ms, token: "${token.SecretID}"`);
  const { place, port } = my;
  const myelin = await start(my, agent, 'alpha', 'beta');
  await using load = steadyLoad(port);

  const change = (right: 'read' | 'deny') =>
    agent.api('PUT', `/v1/acl/policy/${policy.ID}`, { ID: policy.ID, Name: 'myelin', Rules: rules(right) });
  await change('deny');
  const troubled = await myelin.until('it is told', (status) => /may not see|HTTP 403/.test(reasonOf(status)));
  assert.equal(troubled.services[0]?.endpoints.ready, 2);
  assert.deepEqual(await serversOf(place, 'web'), [line('alpha'), line('beta')].sort());
  assert.ok(!myelin.output.includes(token.SecretID), 'the token is not logged');
  await change('read');
  await myelin.until('all is well', ({ stateReasons }) => isApplied(stateReasons));
  await load.endsWithoutFailure();
});

/** Why the answers are out of date. */
function reasonOf({ sources, services }: Awaited<ReturnType<Workplace['status']>>): string {
  return `${sources[0]?.down?.reason ?? ''} ${services[0]?.stale?.reason ?? ''}`;
}
