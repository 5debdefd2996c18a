/** What Myelin proves itself with stays with it: no child gets it, and nothing that people read shows it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { ask, workplace } from '../../support/sites/myelin.ts';
import { site } from '../../support/sites/site.ts';

const environment = {
  CONSUL_HTTP_TOKEN: 's3cr3t-env-token',
  CONSUL_HTTP_AUTH: 'operator:s3cr3t-password',
  MY_OWN: 's3cr3t-of-mine',
  GREETING: 'good-morning',
  FOR_LUA: 'passed-on',
};

const hidden = new RegExp(`s3cr3t|${Buffer.from(environment.CONSUL_HTTP_AUTH).toString('base64')}`);

function namesIn(environ: string): readonly string[] {
  return environ.split(/[\0\n]/).map((one) => one.slice(0, one.indexOf('=')));
}

test('HAProxy is given no variable of Myelin’s but the usual ones and those that are named', async () => {
  await using my = await site({
    web: ['frontend: [\'http-response set-header x-greeting "$${GREETING}"\']'],
    haproxy: ['passEnv: [FOR_LUA]'],
  });
  Object.assign(my.place.env, environment);
  await my.start();
  const { haproxy } = await my.place.status();
  const names = namesIn(await readFile(`/proc/${haproxy?.pid}/environ`, 'utf8'));
  assert.ok(names.includes('PATH') && names.includes('GREETING') && names.includes('FOR_LUA'), `${names}`);
  for (const name of ['CONSUL_HTTP_TOKEN', 'CONSUL_HTTP_AUTH', 'MY_OWN']) assert.ok(!names.includes(name), name);
  const answer = await fetch(`http://127.0.0.1:${my.port}/`);
  assert.equal(answer.headers.get('x-greeting'), 'good-morning');
});

test('the commands that check and reload are given no more variables than HAProxy', async () => {
  await using place = await workplace(
    [
      'watchers: { file: { path: services.yaml } }',
      `services: { web: { bind: "127.0.0.1:${await freePort()}" } }`,
      'haproxy:',
      '  control: command',
      '  passEnv: [FOR_LUA]',
      '  checkCommand: [sh, -c, "env > check.txt"]',
      '  reloadCommand: [sh, -c, "env > reload.txt"]',
      'probes: { listen: "off" }',
      '',
    ].join('\n'),
  );
  Object.assign(place.env, environment);
  await place.write('services.yaml', 'services: { web: ["127.0.0.1:9"] }\n');
  await place.run().until('it is applied', ({ stateReasons }) => isApplied(stateReasons));
  for (const file of ['check.txt', 'reload.txt']) {
    const names = namesIn(await place.read(file));
    assert.ok(names.includes('PATH') && names.includes('FOR_LUA'), `${names}`);
    for (const name of ['CONSUL_HTTP_TOKEN', 'MY_OWN', 'GREETING']) assert.ok(!names.includes(name), name);
  }
});

test('a token that somebody echoes is masked in log, status and events, wherever Myelin has it from', async () => {
  // A proxy that fails, and tells everything that it was asked.
  const server = createServer((request, response) => {
    const words = JSON.stringify(request.headers);
    const isKubernetes = request.url?.startsWith('/api') === true;
    const body = isKubernetes ? JSON.stringify({ kind: 'Status', status: 'Failure', message: words }) : words;
    response.writeHead(502, { 'content-type': isKubernetes ? 'application/json' : 'text/plain' }).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    await using place = await workplace(
      [
        'startTimeout: 2s',
        'watchers:',
        `  consul: { address: "http://127.0.0.1:${port}" }`,
        `  other: { type: consul, address: "http://127.0.0.1:${port}", tokenFile: token }`,
        '  cluster: { type: kubernetes, kubeconfig: kubeconfig, namespace: shop }',
        'services:',
        '  a: { from: { consul: {} } }',
        '  b: { from: { other: {} } }',
        '  c: { from: { cluster: { port: 80 } } }',
        'probes: { listen: "off" }',
        '',
      ].join('\n'),
    );
    await place.write('token', 's3cr3t-file-token\n');
    const kubeconfig = {
      clusters: [{ name: 'x', cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: 'x', user: { token: 's3cr3t-kube-token' } }],
      contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
      'current-context': 'x',
    };
    await place.write('kubeconfig', JSON.stringify(kubeconfig));
    Object.assign(place.env, environment);
    const myelin = place.run();
    await myelin.until('all have failed', ({ sources }) => sources.every(({ down }) => down !== null));
    await until('all is told', () => (myelin.output.match(/\*\*\*/g) ?? []).length >= 4);
    const seen = [
      myelin.output,
      JSON.stringify(await place.status()),
      await ask(place.path('run/myelin.sock'), 'GET', '/api/v1/services'),
    ];
    for (const text of seen) assert.doesNotMatch(text, hidden);
    const plan = await place.command('plan');
    assert.doesNotMatch(plan.stdout + plan.stderr, hidden);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
