/** The states of a reload and of a service in quarantine, whatever happens in whatever order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';
import { nextQuarantineState, type QuarantineState } from '../../../src/reconcile/quarantine/state.ts';
import { nextReloadState, type ReloadState } from '../../../src/reconcile/reload-state.ts';

const structures = ['a', 'b', 'none'] as const;
type Structure = (typeof structures)[number];
const sectionsOf: { readonly [S in Structure]: readonly Section[] } = {
  a: splitSections('backend web\n    mode http\n    server s1 192.0.2.1:80\n', 'web'),
  b: splitSections('backend web\n    mode tcp\n', 'web'),
  none: [],
};
const structureOf = (sections: readonly Section[]): Structure =>
  structures.find((each) => sectionsOf[each] === sections) ?? assert.fail('no structure of this test');

const shortestMs = 1000;
const longestMs = 30_000;
const pauseAfter = (failures: number): number => Math.min(shortestMs * 2 ** (failures - 1), longestMs);

type Failure = {
  readonly structure: Structure;
  readonly failures: number;
  readonly at: number;
  readonly until: number;
};
const failed = (before: Failure | null, structure: Structure, at: number): Failure => {
  const failures = before?.structure === structure ? before.failures + 1 : 1;
  return { structure, failures, at, until: at + pauseAfter(failures) };
};
const soon = (failure: Failure): Failure => ({ ...failure, until: Math.min(failure.until, failure.at + shortestMs) });

/** One that does `step` to the model and to the real thing, where `when` holds of the model. */
function command<Model extends object, Real>(
  name: string,
  step: (model: Model, real: Real) => void,
  when: (model: Model) => boolean = () => true,
): fc.Command<Model, Real> {
  return { check: (model) => when(model), run: step, toString: () => name };
}

test('ReloadState: it knows since when a reload is needed, whether one is under way, and what was refused since the last success', () => {
  type Model = { now: number; since: number | null; isReloading: boolean; isLive: boolean; refusal: Failure | null };
  type Real = { state: ReloadState };
  const agree = (model: Model, { state }: Real): void => {
    assert.equal(state.kind, model.isReloading ? 'reloading' : model.since === null ? 'idle' : 'waiting');
    assert.equal(state.kind === 'idle' ? null : state.since, model.since);
    const { refusal } = state;
    assert.deepEqual(
      refusal && [structureOf(refusal.sections), refusal.failures, refusal.failedAt, refusal.until],
      model.refusal && [model.refusal.structure, model.refusal.failures, model.refusal.at, model.refusal.until],
    );
  };
  const commands = [
    fc.integer({ min: 0, max: 40_000 }).map((ms) =>
      command<Model, Real>(`${ms} ms pass`, (model) => {
        model.now += ms;
      }),
    ),
    fc.constant(
      command<Model, Real>('needed', (model, real) => {
        real.state = nextReloadState(real.state, { kind: 'needed', now: model.now });
        model.since ??= model.now;
        agree(model, real);
      }),
    ),
    fc.constant(
      command<Model, Real>('not needed', (model, real) => {
        real.state = nextReloadState(real.state, { kind: 'not_needed' });
        if (!model.isReloading) model.since = null;
        agree(model, real);
      }),
    ),
    fc.constant(
      command<Model, Real>(
        'begun',
        (model, real) => {
          real.state = nextReloadState(real.state, { kind: 'begun', now: model.now });
          model.isReloading = true;
          agree(model, real);
        },
        ({ since }) => since !== null,
      ),
    ),
    fc.constant(
      command<Model, Real>(
        'live',
        (model, real) => {
          real.state = nextReloadState(real.state, { kind: 'live' });
          model.isLive = true;
          model.refusal = null;
          agree(model, real);
        },
        ({ isReloading }) => isReloading,
      ),
    ),
    fc.constantFrom(...structures).map((structure) =>
      command<Model, Real>(
        `${structure} refused`,
        (model, real) => {
          const { now } = model;
          real.state = nextReloadState(real.state, {
            kind: 'refused',
            sections: sectionsOf[structure],
            problems: [],
            now,
          });
          model.refusal = failed(model.refusal, structure, now);
          agree(model, real);
        },
        ({ isReloading, isLive }) => isReloading && !isLive,
      ),
    ),
    fc.constant(
      command<Model, Real>('retry soon', (model, real) => {
        real.state = nextReloadState(real.state, { kind: 'retry_soon' });
        model.refusal = model.refusal && soon(model.refusal);
        agree(model, real);
      }),
    ),
    fc.constant(
      command<Model, Real>('ended', (model, real) => {
        real.state = nextReloadState(real.state, { kind: 'ended' });
        if (model.isLive) model.since = null;
        model.isReloading = false;
        model.isLive = false;
        agree(model, real);
      }),
    ),
  ];
  fc.assert(
    fc.property(fc.commands(commands, { maxCommands: 60, size: 'max' }), (run) => {
      const setup = (): { model: Model; real: Real } => ({
        model: { now: 0, since: null, isReloading: false, isLive: false, refusal: null },
        real: { state: { kind: 'idle', refusal: null } },
      });
      fc.modelRun(setup, run);
    }),
  );
});

test('QuarantineState: the same structure waits longer each time, another is tried within a second, and one in quarantine is released only by what went live', () => {
  type Model = { now: number; kind: QuarantineState['kind']; failure: Failure | null; isKnown: boolean };
  type Real = { state: QuarantineState };
  const agree = (model: Model, { state }: Real): void => {
    assert.equal(state.kind, model.kind);
    if (state.kind === 'healthy') return;
    const { sections, failures, failedAt, until } = state.backOff;
    const { failure } = model;
    assert.deepEqual([structureOf(sections), failures, failedAt], [failure?.structure, failure?.failures, failure?.at]);
    if (state.kind === 'held') assert.equal(until, failure?.until);
    else assert.equal(state.isKnown, model.isKnown);
  };
  const hold = (model: Model, structure: Structure): void => {
    model.failure = failed(model.failure, structure, model.now);
    model.kind = 'held';
  };
  const release = (model: Model): void => {
    model.kind = 'healthy';
    model.failure = null;
  };
  const commands = [
    fc.integer({ min: 0, max: 40_000 }).map((ms) =>
      command<Model, Real>(`${ms} ms pass`, (model) => {
        model.now += ms;
      }),
    ),
    fc.constantFrom(...structures).map((structure) =>
      command<Model, Real>(
        `${structure} refused`,
        (model, real) => {
          const sections = sectionsOf[structure];
          real.state = nextQuarantineState(real.state, { kind: 'refused', problems: [], sections, now: model.now });
          if (model.kind !== 'held') hold(model, structure);
          agree(model, real);
        },
        // What is refused is what was wanted when the reconcile began.
        ({ kind, failure }) => kind !== 'retrying' || failure?.structure === structure,
      ),
    ),
    fc.constantFrom(...structures).map((structure) =>
      command<Model, Real>(`${structure} wanted`, (model, real) => {
        const { now, failure } = model;
        real.state = nextQuarantineState(real.state, { kind: 'wanted', sections: sectionsOf[structure], now });
        if (failure !== null) {
          if (structure === 'none' && failure.structure !== 'none') release(model);
          else {
            const isKnown = structure === failure.structure;
            model.failure = isKnown ? failure : { ...soon(failure), structure, failures: 0 };
            const isDue = model.kind === 'retrying' || model.failure.until <= now;
            model.isKnown = isKnown && (model.kind === 'retrying' ? model.isKnown : true);
            model.kind = isDue ? 'retrying' : 'held';
          }
        }
        agree(model, real);
      }),
    ),
    fc.constant(
      command<Model, Real>('retry soon', (model, real) => {
        real.state = nextQuarantineState(real.state, { kind: 'retry_soon' });
        if (model.kind === 'held') model.failure = model.failure && soon(model.failure);
        agree(model, real);
      }),
    ),
    fc.constant(
      command<Model, Real>('not live', (model, real) => {
        real.state = nextQuarantineState(real.state, { kind: 'not_live', now: model.now });
        if (model.kind === 'retrying') hold(model, model.failure?.structure ?? 'none');
        agree(model, real);
      }),
    ),
    fc.boolean().map((isAccepted) =>
      command<Model, Real>(isAccepted ? 'live' : 'live, unproven', (model, real) => {
        real.state = nextQuarantineState(real.state, { kind: 'live', isAccepted, now: model.now });
        if (model.kind === 'retrying') {
          if (isAccepted || !model.isKnown) release(model);
          else hold(model, model.failure?.structure ?? 'none');
        }
        agree(model, real);
      }),
    ),
    fc.constant(
      command<Model, Real>('released', (model, real) => {
        real.state = nextQuarantineState(real.state, { kind: 'released' });
        release(model);
        agree(model, real);
      }),
    ),
  ];
  fc.assert(
    fc.property(fc.commands(commands, { maxCommands: 60, size: 'max' }), (run) => {
      const setup = (): { model: Model; real: Real } => ({
        model: { now: 0, kind: 'healthy', failure: null, isKnown: false },
        real: { state: { kind: 'healthy' } },
      });
      fc.modelRun(setup, run);
    }),
  );
});
