/** Services of Consul that nobody listed, through a shared frontend: they come with their tag, change, conflict and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { startConsul } from '../../servers/consul.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { assertValid } from '../../support/load/traffic.ts';
import { workplace } from '../../support/sites/myelin.ts';

test('a service that is registered with the tag is served by its routes, changes and goes with it; a wrong one is left out by name', async () => {
  await using stack = new AsyncDisposableStack();
  const [consul, backends] = await Promise.all([startConsul(), startBackends(['alpha', 'beta'])]);
  stack.use(consul);
  stack.use(backends);
  const port = await freePort();
  const place = stack.use(
    await workplace(`
watchers: { consul: { address: "${consul.address}" } }
frontends: { public: { bind: "127.0.0.1:${port}" } }
discover: { consul: { tag: expose, hosts: ["*.apps.example.com"], service: { check: { type: none }, onEmpty: accept } } }
allowAddresses: [127.0.0.0/8]
haproxy: { log: none }
reload: { minInterval: 0ms }
probes: { listen: "off" }
`),
  );
  const put = (name: 'alpha' | 'beta', routes: string, tags: readonly string[] = ['expose']): Promise<void> =>
    consul.register({ name, port: backends[name].port, tags, meta: { 'myelin-routes': routes } });
  const answer = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return response.status === 200 ? (await response.text()).trim() : String(response.status);
  };
  const leads = (path: string, to: string) =>
    until(`${path} leads to ${to}`, async () => (await answer(path).catch(String)) === to, { withinMs: 30_000 });
  const map = () => place.read('run/haproxy.cfg.maps/public.map');

  const myelin = place.run();
  await myelin.until('it serves nobody', ({ stateReasons }) => isApplied(stateReasons));
  await put('alpha', 'alpha.apps.example.com/x', ['other']);
  const why = async (about: string): Promise<string> =>
    (await place.command('why', about)).stdout.split('\n\n')[0] ?? '';
  assert.match(
    await why('alpha'),
    /^alpha gets no traffic: consul has alpha, and `discover` leaves it out\n.*it lacks the tag expose; it has other\nwhat to do: register/,
  );
  assert.match(await why('alhpa'), /no service is named "alhpa"/);
  await put('alpha', 'alpha.apps.example.com/x');
  await until('its route is there', async () => (await map()) === 'alpha.apps.example.com/x/ alpha\n');
  await put('alpha', '/alpha');
  const { unserved } = await myelin.until(
    'a route beyond the limits is told',
    (status) => status.unserved.length === 1,
  );
  assert.deepEqual(unserved, [
    {
      watcher: 'consul',
      service: 'alpha',
      reason: 'routes: "/alpha" is not allowed; allowed hosts: *.apps.example.com (discover.hosts)',
    },
  ]);
  await until('and it is not there', async () => (await map()) === '');

  const wide = (await place.read('myelin.yaml')).replace('["*.apps.example.com"]', '["*"]');
  await place.write('myelin.yaml', wide);
  await leads('/alpha', 'alpha');
  assert.deepEqual((await place.status()).unserved, []);

  // A younger one that wants the same.
  await put('beta', '/beta, /alpha');
  await leads('/beta', 'beta');
  await leads('/alpha', 'alpha');
  const { routesLeftOut } = await myelin.until('the conflict is told', (status) => status.routesLeftOut.length === 1);
  assert.deepEqual(routesLeftOut, [{ service: 'beta', frontend: 'public', route: '/alpha', holder: 'alpha' }]);
  assert.match(await place.read('run/haproxy.cfg'), /^backend beta from /m);

  // The older one changes its mind, and the younger one has the route at once.
  await put('alpha', '/other strip');
  await leads('/alpha', 'beta');
  await leads('/other', 'alpha');

  await consul.register({
    name: 'beta',
    port: backends.beta.port,
    tags: ['expose', 'myelin.routes=/beta', 'myelin.balanse=first'],
  });
  await myelin.until('a wrong option is told', ({ unserved: [one] }) =>
    /^balanse: unknown option; .*; did you mean "balance"\?$/.test(one?.reason ?? ''),
  );
  await leads('/beta', '404');
  await leads('/other', 'alpha');

  await put('alpha', '/other strip', []);
  await leads('/other', '404');
  await until('nothing is left of it', async () => !(await place.read('run/haproxy.cfg')).includes('alpha'));
  assert.equal(await map(), '');
  await assertValid(place);
});
