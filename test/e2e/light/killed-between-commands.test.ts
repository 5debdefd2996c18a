/** Myelin, or HAProxy 3.4, is killed between any two commands that make a backend come or go: the next one sets all right. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { startBackends } from '../../servers/backend.ts';
import { isApplied } from '../../support/applied.ts';
import { until } from '../../support/index.ts';
import { type ListedServices, startListedServices } from '../../support/sites/listed-services.ts';
import type { MyelinProcess } from '../../support/sites/myelin.ts';

const hook = join(import.meta.dirname, '../../support/sites/kill-at.mjs');

/** `add backend`, `add server`, `set server state ready`, `publish backend`, `add map`. */
const toCome = [1, 2, 3, 4, 5];
/** `del map`, `unpublish backend`; later `set server state maint`, `del server`, and then it is deleted. */
const toGo = [1, 2, 3, 4];

type KillAt = { readonly name: string; readonly after: number; readonly whom: 'myelin' | 'haproxy' };

function run({ place }: ListedServices, killAt?: KillAt): MyelinProcess {
  place.env = killAt === undefined ? {} : { NODE_OPTIONS: `--import=${hook}`, KILL_AT: JSON.stringify(killAt) };
  return place.run();
}

/** The backends that HAProxy has of those that the test makes. */
async function backendsOf({ place }: ListedServices): Promise<readonly string[]> {
  const all = await ask(place.path('admin.sock'), ['show backend']);
  return all.split('\n').filter((name) => /^(?:first|c\d|g\d)$/.test(name));
}

async function serves({ answer }: ListedServices, name: string, expected: string): Promise<void> {
  await until(`${name} is answered ${expected}`, async () => (await answer(`/${name}`).catch(String)) === expected, {
    withinMs: 30_000,
  });
}

test('a Myelin that is killed between any two commands of a service that comes or goes costs no request, and the next one leaves nothing over', async () => {
  await using backends = await startBackends(['alpha']);
  const { alpha } = backends;
  await using site = await startListedServices();
  const { list, place, answer } = site;
  const [coming, going] = [
    toCome.map((after): KillAt => ({ name: `c${after}`, after, whom: 'myelin' })),
    toGo.map((after): KillAt => ({ name: `g${after}`, after, whom: 'myelin' })),
  ];
  list.change((services) => {
    for (const name of ['first', ...going.map((step) => step.name)]) services.set(name, alpha);
  });
  const steps = [...coming, ...going];

  let answers: Promise<void> | null = null;
  const failed: string[] = [];
  let isOver = false;
  const watch = async (): Promise<void> => {
    while (!isOver) {
      const is = await answer('/first').catch(String);
      if (is !== 'alpha') failed.push(is);
      // Leaves the processor to the Myelins that start.
      await setTimeout(5);
    }
  };
  let before: readonly number[] = [];
  for (const step of steps) {
    const myelin = run(site, step);
    await myelin.until('it runs', ({ stateReasons }) => isApplied(stateReasons));
    if (answers === null) {
      await serves(site, 'first', 'alpha');
      before = await place.haproxies();
      answers = watch();
    }
    const comes = step.name.startsWith('c');
    list.change((services) => (comes ? services.set(step.name, alpha) : services.delete(step.name)));
    assert.equal(await myelin.ended, 'SIGKILL', `${step.name} after ${step.after}`);
    // Gone by the time of the restart: nothing but what was written down tells of it.
    if (comes) list.change((services) => services.delete(step.name));
  }
  run(site);
  for (const { name } of steps) await serves(site, name, '404');
  await until('nothing is left over', async () => String(await backendsOf(site)) === 'first', { withinMs: 30_000 });
  isOver = true;
  await answers;
  assert.deepEqual(failed, []);
  assert.deepEqual(await place.haproxies(), before, 'the same process');
});

test('a HAProxy that is killed between two commands of a service that comes, and of one that goes, comes back with everything', async () => {
  await using backends = await startBackends(['alpha']);
  const { alpha } = backends;
  await using site = await startListedServices();
  const { list, place } = site;
  for (const [name, after, expected] of [
    ['c1', 2, 'alpha'],
    ['g1', 1, '404'],
  ] as const) {
    list.change((services) => services.set('first', alpha));
    // What is to go is there before: the commands by which it comes would count as well.
    if (expected === '404') {
      list.change((services) => services.set(name, alpha));
      const earlier = run(site);
      await serves(site, name, 'alpha');
      earlier.kill('SIGTERM');
      await earlier.ended;
    }
    const myelin = run(site, { name, after, whom: 'haproxy' });
    await myelin.until('it runs', ({ stateReasons }) => isApplied(stateReasons));
    await serves(site, 'first', 'alpha');
    const before = await place.haproxies();
    list.change((services) => (expected === '404' ? services.delete(name) : services.set(name, alpha)));
    await until('another HAProxy serves', async () => {
      const now = await place.haproxies();
      return now.length === 1 && now[0] !== before[0];
    });
    await serves(site, name, expected);
    await serves(site, 'first', 'alpha');
    myelin.kill('SIGTERM');
    await myelin.ended;
  }
});
