/**
 * The state of a service that HAProxy has refused. While it is held, its last good sections replace it; while it
 * is retrying, its desired sections are part of the attempt. The refused structure identifies a fault:
 * changes of servers do not matter.
 */
import { type BackOff, backOff, isSameFailure, type Pace, retriedSoon } from '../../haproxy/text/back-off.ts';
import { transitions } from '../../lib/state-table.ts';
import type { Moment, Problem, Section } from '../../model.ts';

/** The pause between two tries; even a change never makes it shorter than the shortest. */
export const pace: Pace = { shortestMs: 1000, longestMs: 30_000 };

type Fault = {
  readonly problems: readonly Problem[];
  readonly since: Moment;
  /** The desired sections, refused or newer than the refused ones; empty: the service was removed. */
  readonly backOff: BackOff;
};

export type QuarantineState =
  | { readonly kind: 'healthy' }
  | ({ readonly kind: 'held' } & Fault)
  /** `isKnown`: the same structure was refused before. */
  | ({ readonly kind: 'retrying'; readonly isKnown: boolean } & Fault);

export type QuarantineEvent =
  /** The service is at fault; `sections` is what was refused. */
  | {
      readonly kind: 'refused';
      readonly problems: readonly Problem[];
      readonly sections: readonly Section[];
      readonly now: Moment;
    }
  /** A reconcile begins, and these sections are wanted of it. */
  | { readonly kind: 'wanted'; readonly sections: readonly Section[]; readonly now: Moment }
  /** Something other than servers has changed, so that it may be accepted now. */
  | { readonly kind: 'retry_soon' }
  /** What was tried did not go live. */
  | { readonly kind: 'not_live'; readonly now: Moment }
  /** The desired sections are live. `isAccepted` false: they ran before, which says nothing about the next start. */
  | { readonly kind: 'live'; readonly isAccepted: boolean; readonly now: Moment }
  /** The service was left out in the search for the one at fault, and is not at fault. */
  | { readonly kind: 'released' };

const healthy: QuarantineState = { kind: 'healthy' };
const same = (state: QuarantineState): QuarantineState => state;
const released = (): QuarantineState => healthy;

export const nextQuarantineState = transitions<QuarantineState, QuarantineEvent>({
  healthy: {
    refused: (_, { problems, sections, now }) => held({ problems, since: now, backOff: null }, sections, now),
    wanted: same,
    retry_soon: same,
    not_live: same,
    live: same,
    released,
  },
  held: {
    refused: same,
    wanted,
    retry_soon: (state) => ({ ...state, backOff: retriedSoon(state.backOff, pace) }),
    not_live: same,
    // The sections that went live are its last good ones.
    live: same,
    released,
  },
  retrying: {
    refused: (state, { problems, sections, now }) => held({ ...state, problems }, sections, now),
    wanted,
    retry_soon: same,
    not_live: (state, { now }) => held(state, state.backOff.sections, now),
    live: (state, { isAccepted, now }) =>
      isAccepted || !state.isKnown ? healthy : held(state, state.backOff.sections, now),
    released,
  },
});

type Faulty = Exclude<QuarantineState, { readonly kind: 'healthy' }>;

function held(
  { problems, since, backOff: before }: Omit<Fault, 'backOff'> & { readonly backOff: BackOff | null },
  sections: readonly Section[],
  now: Moment,
): QuarantineState {
  return { kind: 'held', problems, since, backOff: backOff(before, sections, now, pace) };
}

/** A refused structure is retried after a while, a different one as soon as possible. */
function wanted(
  state: Faulty,
  { sections, now }: Extract<QuarantineEvent, { readonly kind: 'wanted' }>,
): QuarantineState {
  const { problems, since, backOff: before } = state;
  if (sections.length === 0 && before.sections.length > 0) return healthy;
  const isKnown = isSameFailure(before, sections);
  const backingOff = { ...(isKnown ? before : { ...retriedSoon(before, pace), failures: 0 }), sections };
  if (state.kind === 'held' && backingOff.until > now) return { kind: 'held', problems, since, backOff: backingOff };
  const wasKnown = isKnown && state.kind === 'retrying' ? state.isKnown : isKnown;
  return { kind: 'retrying', problems, since, backOff: backingOff, isKnown: wasKnown };
}
