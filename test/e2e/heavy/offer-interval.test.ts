/** Whoever may annotate a Service decides about their own: not about how long the connections of others last. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import timers from 'node:timers/promises';
import { startApiStub } from '../../servers/api-stub.ts';
import { startEcho } from '../../servers/echo.ts';
import { echoSession } from '../../servers/sessions.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { workplace } from '../../support/sites/myelin.ts';

test('a namespace that changes its options without end has no reload beyond its share, and connections last', async () => {
  await using stub = await startApiStub();
  await using echo = await startEcho();
  const port = await freePort();
  await using place = await workplace(
    [
      'watchers: { cluster: { type: kubernetes, kubeconfig: ./kubeconfig }, file: { path: services.yaml } }',
      `services: { echo: { mode: tcp, bind: "127.0.0.1:${port}", from: { file: {} } } }`,
      'discover: { cluster: { labels: { expose: "true" } } }',
      'haproxy: { log: none }',
      'reload: { minInterval: 0ms, maxOldWorkers: 1, maxDelay: 100ms, offerInterval: 1h }',
      'probes: { listen: "off" }',
      '',
    ].join('\n'),
  );
  await place.write('kubeconfig', kubeconfigText(stub.address, {}, { namespace: 'shop' }));
  await place.write('services.yaml', `services: { echo: ["127.0.0.1:${echo.port}"] }\n`);
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  let isOver = false;
  /** The connection without which no old process would be left; it is open. */
  const open = async (): Promise<{ readonly ended: Promise<string | null> }> => {
    const echoed = Promise.withResolvers<void>();
    const ended = echoSession({
      port,
      isOver: () => isOver,
      turn: () => timers.setTimeout(20),
      onEcho: () => echoed.resolve(),
    });
    await Promise.race([echoed.promise, ended]);
    return { ended };
  };
  const put = (name: string, timeout: string): void =>
    stub.put('services', {
      metadata: {
        name,
        namespace: 'shop',
        labels: { expose: 'true' },
        annotations: { 'myelin.dev/timeout-queue': timeout },
      },
      spec: { ports: [{ port: 80 }] },
    });
  let changes = 0;
  const change = (): void => put('noisy', `${++changes}s`);
  const sessions: Promise<string | null>[] = [];
  await until('its reloads wait', async () => {
    const { haproxy } = await place.status();
    sessions.push((await open()).ended);
    change();
    const { pending } = await myelin.until(
      'the change is live or waits',
      (now) => now.pending?.why === 'offer_interval' || now.haproxy?.generation !== haproxy?.generation,
    );
    return pending?.why === 'offer_interval';
  });
  const last = await open();
  const before = (await place.status()).haproxy?.generation;
  for (let round = 1; round <= 30; round++) {
    change();
    // One that is wrong is told as soon as it is heard of, and comes behind the change.
    put(`wrong-${round}`, 'for ever');
    await myelin.until('it was heard of', ({ sources }) => sources.some(({ unserved }) => unserved === round));
  }
  // What goes live was decided together with all that had been heard of by then.
  await using other = await startEcho();
  await place.write('services.yaml', `services: { echo: ["127.0.0.1:${echo.port}", "127.0.0.1:${other.port}"] }\n`);
  await until('a server goes live', async () => (await place.read('run/haproxy.cfg')).includes(`:${other.port} `));
  assert.equal((await place.status()).haproxy?.generation, before, 'nothing was reloaded for it');
  isOver = true;
  assert.equal(await last.ended, null, 'the connection lasted');
  await Promise.all(sessions);
});
