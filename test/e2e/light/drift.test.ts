/** What somebody does to HAProxy behind Myelin's back is set right and counted, or only told, as the config says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readServersState, type ServersState } from '../../../src/haproxy/cli/info.ts';
import { ask as askHaproxy } from '../../../src/haproxy/cli/socket.ts';
import { cannotAddServers } from '../../servers/haproxy.ts';
import { isApplied } from '../../support/applied.ts';
import { secondsPass, until } from '../../support/index.ts';
import { ask as askSocket } from '../../support/sites/myelin.ts';
import { type Site, site } from '../../support/sites/site.ts';

// For 2.2 test/integration/apply/runtime.test.ts has what can be done there.
const only = { skip: cannotAddServers };
const quick = ['verifyInterval: 500ms'];

test(
  'drift is set right within verifyInterval, and counted: maintenance, a wrong weight, limit or address, a server deleted or added by hand',
  only,
  async () => {
    await using my = await site({ rest: quick, web: ['server: { maxconn: 100 }'], reload: ['minInterval: 10m'] });
    const myelin = await my.start();
    const { haproxy: before } = await my.place.status();
    const [server = ''] = await names(my);
    const target = `web/${server}`;
    const { alpha, beta, gamma } = my.backends;
    const draining = `web/127.0.0.1:${gamma.port}`;
    // Another server answers meanwhile: what is tried here must cost nobody a request.
    const endpoints = [alpha, beta].map(({ port }) => `"127.0.0.1:${port}"`).join();
    const drains = `{ address: 127.0.0.1, port: ${gamma.port}, state: draining }`;
    await my.place.write('services.yaml', `services: { web: [${endpoints}, ${drains}] }\n`);
    await until('all are there', async () => (await servers(my)).length === 3);
    const load = my.load();
    const wanted = await servers(my);
    const [maint, isDone] = [`set server ${target} state maint`, /^$/];
    let repairs = 0;
    for (const [kind, commands, expected] of [
      ['state', [`set server ${target} state drain`], isDone],
      ['state', [maint], isDone],
      ['weight', [`set server ${target} weight 7`], isDone],
      ['maxconn', [`set maxconn server ${target} 90`], isDone],
      [
        'address',
        [`set server ${target} addr 127.0.0.1 port 9`],
        /^(no need to change the addr, |IP changed .*)?port changed/,
      ],
      [
        'extra',
        [`add server web/stranger 127.0.0.1:${my.backends.gamma.port}`, 'enable server web/stranger'],
        /^New server registered\.$/,
      ],
      // One that drains has no connections, so that it can be deleted before Myelin sees it in maintenance.
      ['missing', [`set server ${draining} state maint`, `del server ${draining}`], /^Server deleted\.$/],
    ] as const) {
      await readBack();
      const saidBefore = myelin.output.length;
      const isUndone = async (): Promise<boolean> => String(await servers(my)) === String(wanted);
      await until(`${commands.join()} is obeyed`, async () => {
        const reply = (await askHaproxy(socketOf(my), commands)).trim();
        if (!expected.test(reply)) {
          // What was obeyed is set right first: done again at once, it would be more than commands can set right.
          await until('what was obeyed is undone', isUndone);
          await readBack();
        }
        assert.match(reply, expected);
        return true;
      });
      await until(`${commands.join()} is undone`, isUndone, { withinMs: 3000 });
      // Where the machine has much to do, the page of metrics may be seconds old.
      await until(
        `${commands.join()} is counted`,
        async () => (await metric(my, 'myelin_drift_repairs_total')) > repairs,
      );
      repairs = await metric(my, 'myelin_drift_repairs_total');
      const isTold = (line: string): boolean => line.includes('drift repaired') && line.includes(`"kind":"${kind}"`);
      await until(`${kind} is told`, () => myelin.output.slice(saidBefore).split('\n').some(isTold));
    }
    assert.deepEqual((await my.place.status()).haproxy?.pid, before?.pid);
    await load.endsWithoutFailure();
  },
);

test('drift is told, once, and left as it is with drift: report', async () => {
  await using my = await site({ rest: [...quick, 'drift: report'] });
  const myelin = await my.start();
  const [server = ''] = await names(my);
  await askHaproxy(socketOf(my), [`set server web/${server} weight 7`]);
  const told = await myelin.until('it is told', ({ haproxy }) => haproxy !== null && haproxy.drift.length > 0);
  assert.deepEqual(told.haproxy?.drift, [{ backend: 'web', server, kind: 'weight', detail: '7' }]);
  assert.equal(told.state, 'degraded');
  assert.match((await my.place.command('status')).stdout, new RegExp(`web/${server}.*weight`));
  assert.equal(await metric(my, 'myelin_drift'), 1);
  // Two more rounds.
  await secondsPass(1.5);
  assert.match(String(await servers(my)), / 7 0$/);
  assert.equal(myelin.output.match(/drift found and left/g)?.length, 1);
  await askHaproxy(socketOf(my), [`set server web/${server} weight 1`]);
  await myelin.until(
    'all is well',
    ({ stateReasons, haproxy }) => isApplied(stateReasons) && haproxy?.drift.length === 0,
  );
});

test('a server of a hand-written section never gets a command, and is never set right', async () => {
  // As any backend of a service might be: only that it is of none tells it apart.
  const section = 'backend by-hand\n    server own 127.0.0.1:1 weight 3\n';
  await using my = await site({ rest: quick, haproxy: [`sections: [${JSON.stringify(section)}]`] });
  const myelin = await my.start();
  await askHaproxy(socketOf(my), ['set server by-hand/own weight 9', 'set server by-hand/own state drain']);
  const before = await rowsOf(my);
  // Of all changes this is one without a reload in every version.
  const endpoint = `{ address: 127.0.0.1, port: ${my.backends.alpha.port}, weight: 5 }`;
  await my.place.write('services.yaml', `services: { web: [${endpoint}] }\n`);
  await until('a change goes live', async () => / 5 0$/.test(String(await servers(my))));
  // A round.
  await secondsPass(1);
  const own = ({ rows }: ServersState): string =>
    JSON.stringify(
      rows
        .filter((row) => row.be_name === 'by-hand')
        .map(({ srv_uweight, srv_admin_state, srv_addr }) => [srv_uweight, srv_admin_state, srv_addr]),
    );
  assert.equal(own(await rowsOf(my)), own(before));
  assert.doesNotMatch(myelin.output, /drift repaired|drift found/);
});

test('what was changed behind the back of a Myelin that was away is set right at its next start', only, async () => {
  await using my = await site();
  const first = await my.start();
  const [server = ''] = await names(my);
  const wanted = await servers(my);
  const { haproxy: before } = await my.place.status();
  first.kill('SIGKILL');
  await first.ended;
  await askHaproxy(before?.socket ?? '', [
    `add server web/stranger 127.0.0.1:${my.backends.gamma.port}`,
    'enable server web/stranger',
    `set server web/${server} weight 9`,
  ]);
  const second = my.place.run();
  await second.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  await until('it is as it was', async () => String(await servers(my)) === String(wanted));
  const { haproxy: after } = await my.place.status();
  assert.deepEqual(after, before);
});

/** What Myelin has touched it reads back at once: after that only the rotation finds anything. */
function readBack(): Promise<unknown> {
  return secondsPass(0.7);
}

function socketOf(my: Site): string {
  return my.place.path('run/admin.sock');
}

async function rowsOf(my: Site): Promise<ServersState> {
  return readServersState(socketOf(my));
}

async function names(my: Site): Promise<readonly string[]> {
  const { rows } = await rowsOf(my);
  return rows.filter((row) => row.be_name === 'web').map((row) => row.srv_name ?? '');
}

/** `address port weight state` of every server of `web` that is not on its way out. */
async function servers(my: Site): Promise<readonly string[]> {
  const { rows } = await rowsOf(my);
  return rows
    .filter((row) => row.be_name === 'web' && row.srv_admin_state !== '1')
    .map((row) => `${row.srv_name} ${row.srv_addr} ${row.srv_port} ${row.srv_uweight} ${row.srv_admin_state}`)
    .sort();
}

async function metric(my: Site, name: string): Promise<number> {
  const text = await askSocket(my.place.path('run/myelin.sock'), 'GET', '/metrics');
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}
