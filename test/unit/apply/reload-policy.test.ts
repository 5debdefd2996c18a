/** What the reload policy remembers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReloadPolicy } from '../../../src/apply/reload-policy.ts';
import type { Section } from '../../../src/model.ts';

const settings = { minInterval: 2000, jitter: 0, maxOldWorkers: 4, maxDelay: 30_000 };
const sections = (text: string): readonly Section[] => [{ kind: 'global', name: '', text, service: null }];
const reload = { since: 0, isStart: false, oldWorkers: 0 };

test('ReloadPolicy: a change that failed waits longer each time, another one goes at once', () => {
  const policy = new ReloadPolicy(() => 0);
  policy.failed(sections('a'), 1000);
  assert.equal(policy.slot(settings, sections('a'), reload).at, 1250);
  policy.failed(sections('a'), 2000);
  assert.equal(policy.slot(settings, sections('a'), reload).at, 2500);
  assert.equal(policy.slot(settings, sections('b'), reload).at, 0);
  policy.failed(sections('b'), 3000);
  assert.equal(policy.slot(settings, sections('b'), reload).at, 3250);
  for (let failure = 0; failure < 100; failure++) policy.failed(sections('b'), 3000);
  assert.equal(policy.slot(settings, sections('b'), reload).at, 33_000, 'half a minute at most');
  policy.resetBackOff();
  assert.equal(policy.slot(settings, sections('b'), reload).at, 0);
});

test('ReloadPolicy: a reload that failed or was refused leaves no gap to the next', () => {
  const policy = new ReloadPolicy(() => 0);
  policy.succeeded(1000, { isStart: false });
  assert.equal(policy.slot(settings, sections('b'), reload).at, 3000);
  policy.failed(sections('a'), 2900);
  assert.equal(policy.slot(settings, sections('b'), reload).at, 3000);
});

test('ReloadPolicy: a HAProxy that crashes again and again is started ever more rarely, one that lived well at once', () => {
  const policy = new ReloadPolicy(() => 0);
  const start = { since: 0, isStart: true, oldWorkers: 0 };
  const delays: number[] = [];
  let now = 1_000_000;
  for (let crash = 0; crash < 4; crash++) {
    policy.succeeded(now, { isStart: true });
    policy.crashed(sections('a'), now, now + 100);
    now += 100;
    const { at } = policy.slot(settings, sections('a'), start);
    delays.push(at - now);
    now = at;
  }
  assert.deepEqual(delays, [250, 500, 1000, 2000]);
  policy.succeeded(now, { isStart: true });
  policy.crashed(sections('a'), now, now + 60_000);
  assert.equal(policy.slot(settings, sections('a'), start).at, 0);
});

test('ReloadPolicy: the jitter is drawn once a reload, so that asking again changes nothing', () => {
  let draws = 0;
  const policy = new ReloadPolicy(() => ++draws / 10);
  policy.succeeded(0, { isStart: false });
  const jittery = { ...settings, jitter: 1000 };
  assert.equal(policy.slot(jittery, sections('a'), reload).at, policy.slot(jittery, sections('a'), reload).at);
  assert.equal(draws, 2);
});
