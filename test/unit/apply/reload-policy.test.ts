/** What the gate remembers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReloadPolicy } from '../../../src/apply/reload-policy.ts';
import type { Section } from '../../../src/model.ts';

const settings = { minInterval: 2000, jitter: 0, maxOldWorkers: 4, maxDelay: 30_000 };
const sections = (text: string): readonly Section[] => [{ kind: 'global', name: '', text, service: null }];
const reload = { since: 0, isStart: false, oldWorkers: 0 };

test('a change that failed waits longer each time, another one goes at once', () => {
  const gate = new ReloadPolicy(() => 0);
  gate.failed(sections('a'), 1000);
  assert.equal(gate.slot(settings, sections('a'), reload).at, 1250);
  gate.failed(sections('a'), 2000);
  assert.equal(gate.slot(settings, sections('a'), reload).at, 2500);
  assert.equal(gate.slot(settings, sections('b'), reload).at, 0);
  gate.failed(sections('b'), 3000);
  assert.equal(gate.slot(settings, sections('b'), reload).at, 3250);
});

test('a reload that failed or was refused leaves no gap to the next', () => {
  const gate = new ReloadPolicy(() => 0);
  gate.succeeded(1000, { isStart: false });
  assert.equal(gate.slot(settings, sections('b'), reload).at, 3000);
  gate.failed(sections('a'), 2900);
  assert.equal(gate.slot(settings, sections('b'), reload).at, 3000);
});

test('a HAProxy that crashes again and again is started ever more rarely, one that lived well at once', () => {
  const gate = new ReloadPolicy(() => 0);
  const start = { since: 0, isStart: true, oldWorkers: 0 };
  const delays: number[] = [];
  let now = 1_000_000;
  for (let crash = 0; crash < 4; crash++) {
    gate.succeeded(now, { isStart: true });
    gate.crashed(sections('a'), now, now + 100);
    now += 100;
    const { at } = gate.slot(settings, sections('a'), start);
    delays.push(at - now);
    now = at;
  }
  assert.deepEqual(delays, [250, 500, 1000, 2000]);
  gate.succeeded(now, { isStart: true });
  gate.crashed(sections('a'), now, now + 60_000);
  assert.equal(gate.slot(settings, sections('a'), start).at, 0);
});

test('the jitter is drawn once a reload, so that asking again changes nothing', () => {
  let draws = 0;
  const gate = new ReloadPolicy(() => ++draws / 10);
  gate.succeeded(0, { isStart: false });
  const jittery = { ...settings, jitter: 1000 };
  assert.equal(gate.slot(jittery, sections('a'), reload).at, gate.slot(jittery, sections('a'), reload).at);
  assert.equal(draws, 2);
});
