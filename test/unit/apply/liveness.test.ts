import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DriverEvent } from '../../../src/apply/driver-event.ts';
import { Liveness } from '../../../src/apply/runtime/liveness.ts';
import { socketFailed, timedOut } from '../../../src/haproxy/cli/socket.ts';

const serving = { pid: 42, generation: 3 };
const slow = socketFailed('/s', timedOut(5000));

test('a HAProxy that does not answer for ten seconds is unresponsive, which is told once, and so is that it answers again', () => {
  const { pulse, events, at } = begin();
  at(5000);
  pulse.missed(serving, 0, slow);
  at(14_999);
  pulse.missed(serving, 9000, slow);
  assert.deepEqual([pulse.unresponsive, events], [null, []], 'it may be busy');
  for (const now of [15_000, 20_000, 29_999]) {
    at(now);
    pulse.missed(serving, now - 5000, slow);
    assert.equal(pulse.unresponsive?.since, 0);
    assert.equal(pulse.isHopeless, false);
  }
  assert.match(pulse.unresponsive?.reason ?? '', /no answer within 5000 ms/);
  at(30_000);
  pulse.missed(serving, 25_000, slow);
  assert.ok(pulse.isHopeless);
  at(31_000);
  pulse.answered(serving);
  assert.equal(pulse.isHopeless, false);
  assert.equal(pulse.unresponsive, null);
  assert.deepEqual(events, [
    { kind: 'unresponsive', ...serving, error: slow },
    { kind: 'responsive', ...serving, silentMs: 31_000 },
  ]);
});

test('silence is of one process, and is over with it', () => {
  const { pulse, events, at } = begin();
  pulse.missed(serving, 0, slow);
  at(20_000);
  pulse.missed({ pid: 43, generation: 4 }, 20_000, slow);
  assert.equal(pulse.unresponsive, null);
  pulse.none();
  pulse.answered({ pid: 43, generation: 4 });
  assert.deepEqual(events, []);
});

test('a pause of Myelin itself, in which it heard no answer either, is no hang', () => {
  const { pulse, events, at } = begin();
  const pauseMs = 3_600_000;
  at(pauseMs);
  pulse.missed(serving, 0, slow);
  assert.deepEqual([pulse.unresponsive, pulse.isHopeless, events], [null, false, []]);
  // Another one right after it: no process is ended for two answers that were missed.
  at(2 * pauseMs);
  pulse.missed(serving, pauseMs, slow);
  assert.equal(pulse.isHopeless, false);
});

test('a socket at which nobody listens is no hang: its process has ended, or somebody removed the socket', () => {
  const { pulse, at } = begin();
  for (const now of [0, 20_000]) {
    at(now);
    pulse.missed(serving, now, socketFailed('/s', Object.assign(new Error('gone'), { code: 'ENOENT' })));
  }
  assert.equal(pulse.unresponsive, null);
});

function begin() {
  const events: DriverEvent[] = [];
  let now = 0;
  const pulse = new Liveness({ now: () => now, onEvent: (event) => events.push(event) });
  const at = (moment: number): void => {
    now = moment;
  };
  return { pulse, events, at };
}
