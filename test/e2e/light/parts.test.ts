/** A change of which a part has to wait for a reload, or is refused: what can be done is done, server by server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readServersState } from '../../../src/haproxy/cli/info.ts';
import { ask as askHaproxy } from '../../../src/haproxy/cli/socket.ts';
import { cannotAddServers } from '../../servers/haproxy.ts';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { until } from '../../support/index.ts';
import { type Site, site } from '../../support/sites/site.ts';

/** A template of servers, to whose `slowstart` only a reload comes. */
const slowStarting =
  'server {{name}} {{address}} weight {{weight}}{{#if meta.slowstart}} slowstart {{meta.slowstart}}{{/if}}\n';

/** A reload is never due while a test lasts. */
const waiting = ['minInterval: 5m'];

test('swapped lines are loaded also where a server comes with them', async () => {
  const rules = ['"http-request allow if { path_beg /public }"', '"http-request deny if { path_end .secret }"'];
  await using my = await site({ web: [`backend: [${rules.join(', ')}]`] });
  const { alpha, beta } = my.backends;
  const myelin = await my.start();
  assert.equal(await status(my, '/public/x.secret'), 200);
  myelin.kill('SIGTERM');
  await myelin.ended;
  await my.configure({ web: [`backend: [${rules.toReversed().join(', ')}]`] });
  await my.list({ a: alpha, b: beta });
  const { stdout } = await my.place.command('plan');
  assert.match(stdout, /^reload, because of\n {2}backend web: .* \(option_changed\): order\n/);
  if (!cannotAddServers) assert.match(stdout, /^before it, the runtime commands\n {2}add server web\/a /m);
  const again = my.place.run();
  await again.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  await until('the rules are in their order', async () => (await status(my, '/public/x.secret')) === 403);
});

test('a server that a rule names leaves though the file cannot be without it, and the others come and go', async () => {
  await using my = await site({ web: ['backend: ["use-server a if { path /special }"]'] });
  const { alpha, beta, gamma } = my.backends;
  await my.list({ a: alpha, b: beta });
  const myelin = my.place.run();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  await my.list({ b: beta });
  await until('it is out', async () => (await takers(my)) === 'b');
  await myelin.until('the service is quarantined', ({ services }) =>
    services.some((each) => each.quarantined !== null),
  );
  assert.equal(await ask(my.port), 'beta');

  if (!cannotAddServers) {
    await my.list({ c: gamma });
    await until('the next came and the other left', async () => (await takers(my)) === 'c');
    await my.list({ b: beta });
    await until('and again', async () => (await takers(my)) === 'b');
  }
  // HAProxy starts from the file as it is, with the server out of service.
  await until('the file says so', async () => /server a .* disabled$/m.test(await my.place.read('run/haproxy.cfg')));
  const { haproxy: before } = await my.place.status();
  process.kill(before?.pid ?? 0, 'SIGKILL');
  await myelin.until('another one serves', ({ haproxy }) => (haproxy?.pid ?? before?.pid) !== before?.pid);
  assert.equal(await takers(my), 'b');
  assert.equal(await ask(my.port), 'beta');

  // To a Myelin that comes after, it is no endpoint either.
  myelin.kill('SIGTERM');
  await myelin.ended;
  const next = my.place.run();
  await next.until('it is quarantined again', ({ services }) => services.some((each) => each.quarantined !== null));
  assert.equal(await takers(my), 'b');
  // Somebody puts it back by hand.
  await askHaproxy(my.place.path('run/admin.sock'), ['set server web/a state ready']);
  await until('that does not last', async () => (await takers(my)) === 'b', { withinMs: 30_000 });

  await my.list({ a: gamma, b: beta });
  await until('it comes back', async () => (await takers(my)) === 'a b');
  await next.until('the service is whole', ({ stateReasons }) => isApplied(stateReasons), 60_000);
});

test('a server whose options only a reload can change holds up no other', { skip: cannotAddServers }, async () => {
  await using my = await site({ reload: waiting, rest: ['templates: templates'] });
  const { alpha, beta, gamma } = my.backends;
  await my.place.write('templates/server.hbs', slowStarting);
  await my.list({ a: alpha, b: beta });
  const myelin = my.place.run();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  const { haproxy: before } = await my.place.status();
  await my.list({ b: beta, c: gamma }, { b: 'slowstart: 5s' });
  await until('one left and one came', async () => (await takers(my)) === 'b c');
  await my.list({ b: beta, c: alpha }, { b: 'slowstart: 5s' });
  await until('one moved', async () => ![await ask(my.port), await ask(my.port)].includes('gamma'));
  const { haproxy: after, pending } = await my.place.status();
  assert.equal(after?.pid, before?.pid);
  assert.notEqual(pending, null);
  assert.doesNotMatch(await my.place.read('run/haproxy.cfg'), /slowstart/);
});

test('a server whose options HAProxy refuses holds up no other either', { skip: cannotAddServers }, async () => {
  await using my = await site({ rest: ['templates: templates'] });
  const { alpha, beta, gamma } = my.backends;
  await my.place.write('templates/server.hbs', slowStarting);
  await my.list({ a: alpha, b: beta });
  const myelin = my.place.run();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  await my.list({ a: alpha, b: beta }, { b: 'slowstart: soon' });
  await myelin.until('it is quarantined', ({ services }) => services.some((each) => each.quarantined !== null));
  await my.list({ b: beta, c: gamma }, { b: 'slowstart: soon' });
  await until('one left and one came', async () => (await takers(my)) === 'b c');
  await my.list({ b: beta, c: gamma });
  await myelin.until('it is whole', ({ stateReasons }) => isApplied(stateReasons), 60_000);
  assert.equal(await takers(my), 'b c');
});

for (const balance of ['source', 'static-rr'])
  test(`with balance ${balance} a server drains, leaves and comes back without a reload`, async () => {
    await using my = await site({ reload: waiting, web: [`balance: ${balance}`] });
    const { alpha, beta } = my.backends;
    await my.list({ a: alpha, b: beta });
    const myelin = my.place.run();
    await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
    const { haproxy: before } = await my.place.status();
    const by = async (): Promise<string> => [...new Set([await ask(my.port), await ask(my.port)])].sort().join(' ');
    for (const [there, more, expected] of [
      [{ a: alpha, b: beta }, { a: 'draining' }, 'beta'],
      [{ a: alpha, b: beta }, { b: 'draining' }, 'alpha'],
      [{ a: alpha }, {}, 'alpha'],
    ] as const) {
      await my.list(there, {}, more);
      await until(`${expected} serves alone`, async () => (await by()) === expected);
    }
    await until('what is gone is out', async () => (await takers(my)) === 'a');
    await my.list({ a: alpha, b: beta });
    await until('it is back', async () => (await takers(my)) === 'a b');
    const { haproxy: after, pending } = await my.place.status();
    assert.deepEqual([after?.pid, pending], [before?.pid, null]);
  });

test('that each new server is a reload is said before the first one comes', { skip: cannotAddServers }, async () => {
  await using my = await site({ web: ['backend: ["server-template own 2 127.0.0.1:9"]'] });
  const { stdout } = await my.place.command('check');
  assert.match(stdout, /^web: each new server needs a reload, as its backend is written: server-template$/m);
  const myelin = await my.start();
  await until('it is logged', () => /"service":"web","because":"server-template"/.test(myelin.output));
});

/** The servers of `web` that HAProxy would send something to. */
async function takers(my: Site): Promise<string> {
  const { rows } = await readServersState(my.place.path('run/admin.sock'));
  const names = rows.flatMap(({ be_name, srv_name, srv_admin_state, srv_uweight }) =>
    be_name === 'web' && (Number(srv_admin_state) & 1) === 0 && srv_uweight !== '0' ? [srv_name ?? ''] : [],
  );
  return names.sort().join(' ');
}

async function status(my: Site, path: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${my.port}${path}`, { headers: { connection: 'close' } });
  await response.text();
  return response.status;
}
