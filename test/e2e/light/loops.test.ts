/** Endpoints that lead back to where the request came from: refused where it can be known, and ended after a few rounds where not. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { isApplied } from '../../support/applied.ts';
import { freePort, until } from '../../support/index.ts';
import { workplace } from '../../support/sites/myelin.ts';

/** A Myelin whose service `web` is at `port` and has this one endpoint, which its config allows. */
async function leadingTo(port: number, endpoint: string) {
  const place = await workplace(
    [
      'watchers: { file: { path: services.yaml } }',
      `services: { web: { bind: "*:${port}", check: { type: none } } }`,
      'allowAddresses: ["0.0.0.0/0"]',
      'haproxy: { log: none, global: ["maxconn 200"] }',
      'probes: { listen: "off" }',
      '',
    ].join('\n'),
  );
  await place.write('services.yaml', `services: { web: [{ id: next, ${endpoint} }] }\n`);
  return place;
}

async function statusAt(port: number): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(20_000) })).status;
}

test('this HAProxy itself is no endpoint, by whichever of its addresses', async () => {
  const port = await freePort();
  const here = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
  for (const address of ['127.0.0.1', ...here.filter((one) => one.includes('.')).slice(0, 2)]) {
    await using place = await leadingTo(port, `address: ${address}, port: ${port}`);
    const myelin = place.run();
    const { services } = await myelin.until(
      'it is refused',
      ({ stateReasons, services: [web] }) => isApplied(stateReasons) && web?.endpoints.refused === 1,
    );
    assert.match(services[0]?.refused[0]?.reason ?? '', new RegExp(`leads back to \\*:${port} of this config`));
    assert.equal(await statusAt(port), 503);
  }
});

test('a request that goes round between two replicas ends after some rounds, with an answer', async () => {
  const [one, other] = [await freePort(), await freePort()];
  await using first = await leadingTo(one, `address: 127.0.0.1, port: ${other}`);
  await using second = await leadingTo(other, `address: 127.0.0.1, port: ${one}`);
  for (const place of [first, second])
    await place.run().until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await until('both serve', async () => (await statusAt(one)) === 508);
  const startedAt = performance.now();
  assert.equal(await statusAt(other), 508);
  assert.ok(performance.now() - startedAt < 5000, 'and soon');
});
