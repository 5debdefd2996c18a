/** Services that come with a route, change and go under load, one by one, on HAProxy 3.4: no request fails, in the same process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBackends } from '../../servers/backend.ts';
import { until } from '../../support/index.ts';
import { startListedServices } from '../../support/sites/listed-services.ts';

test('forty services come, change and go one by one under load in one process of HAProxy 3.4: 404, then 200, then 404, and nothing else', async (t) => {
  await using backends = await startBackends(['alpha', 'beta']);
  const { alpha, beta } = backends;
  await using site = await startListedServices();
  const { list, place, answer } = site;
  list.change((services) => services.set('first', alpha));
  place.run();
  await until('the first one is served', async () => (await answer('/first').catch(String)) === 'alpha', {
    withinMs: 60_000,
  });
  const before = await place.haproxies();
  assert.equal(before.length, 1);

  /** Asked again and again until the end. */
  const seen = new Map<string, string[]>();
  let isOver = false;
  const watch = async (name: string): Promise<void> => {
    const answers: string[] = [];
    seen.set(name, answers);
    while (!isOver) {
      const is = await answer(`/${name}`).catch(String);
      if (is !== answers.at(-1)) answers.push(is);
    }
  };
  const watching: Promise<void>[] = [];
  const tookMs: number[] = [];
  const names = Array.from({ length: 40 }, (_, at) => `s${at}`);
  for (const name of names) {
    const at = performance.now();
    list.change((services) => services.set(name, alpha));
    // Three are asked to the end.
    if (watching.length < 3) watching.push(watch(name));
    const answers: string[] = [];
    await until(`${name} is served`, async () => {
      const is = await answer(`/${name}`);
      if (is !== answers.at(-1)) answers.push(is);
      return is === 'alpha';
    });
    tookMs.push(performance.now() - at);
    assert.deepEqual(
      answers.filter((is) => is !== '404'),
      ['alpha'],
      name,
    );
  }
  list.change((services) => {
    for (const name of names) services.set(name, beta);
  });
  await until('all have moved', async () =>
    (await Promise.all(names.map((name) => answer(`/${name}`)))).every((is) => is === 'beta'),
  );
  for (const name of names) {
    list.change((services) => services.delete(name));
    const answers: string[] = [];
    await until(`${name} is gone`, async () => {
      const is = await answer(`/${name}`);
      if (is !== answers.at(-1)) answers.push(is);
      return is === '404';
    });
    assert.deepEqual(
      answers.filter((is) => is !== 'beta'),
      ['404'],
      name,
    );
  }
  isOver = true;
  await Promise.all(watching);
  for (const [name, answers] of seen)
    assert.deepEqual(answers[0] === '404' ? answers.slice(1) : answers, ['alpha', 'beta', '404'], name);
  assert.deepEqual(await place.haproxies(), before, 'the same process');
  const sorted = tookMs.toSorted((a, b) => a - b);
  t.diagnostic(`registered → 200: p50 ${sorted[20]?.toFixed(1)} ms, slowest ${sorted[39]?.toFixed(1)} ms`);
});
