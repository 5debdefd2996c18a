/** What became of the HAProxy that is to serve, whatever happens in whatever order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DriverEvent } from '../../../src/apply/driver-event.ts';
import { ProcessTracker } from '../../../src/apply/process-state.ts';
import { socketFailed, timedOut } from '../../../src/haproxy/cli/socket.ts';

type Process = { readonly pid: number };
type Tracker = ProcessTracker<Process, Process>;

const slow = socketFailed('/s', timedOut(5000));

test('ProcessTracker: a process that is silent is unresponsive until it answers, and goes on being the one that serves', () => {
  const { tracker, events, clock } = begin({ pid: 1 });
  const process = tracker.process ?? assert.fail();
  for (const now of [0, 5000, 15_000]) {
    clock.now = now;
    tracker.heard(process, now - 1000, slow);
  }
  assert.equal(tracker.unresponsive?.since, -1000);
  assert.equal(tracker.process, process);
  assert.deepEqual(tracker.whyNone, []);
  tracker.heard(process, 16_000, null);
  assert.equal(tracker.unresponsive, null);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['unresponsive', 'haproxy_answered', 'responsive'],
  );
});

test('ProcessTracker: with another process the silence of the one before is over', () => {
  const { tracker, clock } = begin({ pid: 1 });
  const process = tracker.process ?? assert.fail();
  for (const now of [0, 30_000, 60_000, 90_000]) {
    clock.now = now;
    tracker.heard(process, now, slow);
  }
  assert.ok(tracker.isHopeless);
  const next = { pid: 2 };
  tracker.on({ kind: 'serves', process: next });
  assert.equal(tracker.unresponsive, null);
  assert.equal(tracker.isHopeless, false);
  tracker.heard(process, 90_000, slow);
  assert.deepEqual(tracker.state, { kind: 'active', process: next }, 'nothing is heard of one that serves no more');
});

test('ProcessTracker: who started what serves is part of the reason to start what is wanted', () => {
  const { tracker } = begin(null);
  assert.deepEqual(tracker.whyNone, [{ code: 'first_start' }]);
  tracker.on({ kind: 'foreign_found', foreign: { pid: 7 }, isInPlaceOfOurs: false });
  assert.deepEqual(tracker.whyNone, [{ code: 'first_start' }]);
  tracker.on({ kind: 'foreign_found', foreign: { pid: 7 }, isInPlaceOfOurs: true });
  assert.deepEqual(tracker.whyNone, [{ code: 'haproxy_exited', detail: 'process 7 was started by somebody else' }]);
  tracker.on({ kind: 'gone' });
  assert.deepEqual(tracker.whyNone, [{ code: 'haproxy_exited' }]);
});

/** What is known of each process by itself. */
type Model = {
  serving: number | null;
  isSilent: boolean;
  foreign: number | null;
  isLeaving: boolean;
  hasServed: boolean;
};

class Step implements fc.Command<Model, Tracker> {
  readonly #name: string;
  readonly #change: (model: Model) => void;
  readonly #act: (tracker: Tracker) => void;

  constructor(name: string, change: (model: Model) => void, act: (tracker: Tracker) => void) {
    this.#name = name;
    this.#change = change;
    this.#act = act;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, tracker: Tracker): void {
    this.#change(model);
    this.#act(tracker);
    const { kind } = tracker.state;
    assert.equal(kind, kindOf(model));
    assert.equal(tracker.process?.pid ?? null, model.serving);
    assert.equal(tracker.unresponsive !== null, model.isSilent);
    assert.equal(
      tracker.whyNone.length,
      model.serving === null ? 1 : 0,
      'nothing serves exactly where there is a reason',
    );
    if (model.serving === null && model.hasServed) assert.equal(tracker.whyNone[0]?.code, 'haproxy_exited');
    assert.equal(tracker.state.kind === 'foreign' ? tracker.state.foreign.pid : null, model.foreign);
  }

  toString(): string {
    return this.#name;
  }
}

function kindOf({ serving, isSilent, foreign, isLeaving }: Model): Tracker['state']['kind'] {
  if (serving !== null) return isSilent ? 'unresponsive' : 'active';
  if (foreign !== null) return 'foreign';
  return isLeaving ? 'leaving' : 'absent';
}

const nobody = { serving: null, isSilent: false, foreign: null, isLeaving: false };
const pid = fc.integer({ min: 1, max: 3 });
const steps = [
  pid.map(
    (its) =>
      new Step(
        `${its} serves`,
        (model) => Object.assign(model, nobody, { serving: its, hasServed: true }),
        (tracker) => tracker.on({ kind: 'serves', process: { pid: its } }),
      ),
  ),
  fc.constant(
    new Step(
      'an answer',
      (model) => Object.assign(model, { isSilent: false }),
      (tracker) => tracker.on({ kind: 'answered' }),
    ),
  ),
  fc.constant(
    new Step(
      'silence',
      (model) => Object.assign(model, { isSilent: model.serving !== null }),
      (tracker) => tracker.on({ kind: 'silent', since: 0, reason: 'no answer' }),
    ),
  ),
  fc.constant(
    new Step(
      'somebody tells it to leave',
      (model) => Object.assign(model, nobody, { isLeaving: true }),
      (tracker) => tracker.on({ kind: 'soft_stop' }),
    ),
  ),
  fc.constant(
    new Step(
      'it is gone',
      (model) => Object.assign(model, nobody),
      (tracker) => tracker.on({ kind: 'gone' }),
    ),
  ),
  pid.map(
    (its) =>
      new Step(
        `${its} was started by somebody else`,
        (model) => Object.assign(model, nobody, { foreign: its }),
        (tracker) => tracker.on({ kind: 'foreign_found', foreign: { pid: its }, isInPlaceOfOurs: false }),
      ),
  ),
];

test('ProcessState: in any order of events it is known who serves, whether he answers, and why nobody does', () => {
  fc.assert(
    fc.property(fc.commands(steps, { maxCommands: 40 }), (commands) => {
      fc.modelRun(() => ({ model: { ...nobody, hasServed: false }, real: begin(null).tracker }), commands);
    }),
    { numRuns: 500 },
  );
});

function begin(serving: Process | null) {
  const events: DriverEvent[] = [];
  const clock = { now: 0 };
  const tracker: Tracker = new ProcessTracker<Process, Process>(serving, {
    now: () => clock.now,
    onEvent: (event) => events.push(event),
    nameOf: (process) => ({ pid: process.pid, generation: 1 }),
  });
  return { tracker, events, clock };
}
