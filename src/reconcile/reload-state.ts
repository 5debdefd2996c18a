/**
 * The state of the reload: whether one is needed, waits or is under way; and the last refusal for which no service is at fault.
 * When a waiting reload may start, the reload policy of the driver decides.
 */
import { type BackOff, backOff, retriedSoon } from '../haproxy/text/back-off.ts';
import { transitions } from '../lib/state-table.ts';
import type { Moment, Problem, Section } from '../model.ts';
import { pace } from './quarantine/state.ts';

/** The same structure is tried again after the back-off, since the cause may lie outside it. */
type Refusal = BackOff & { readonly problems: readonly Problem[] };

/** The last refusal, until something goes live; null: there is none. */
type Known = { readonly refusal: Refusal | null };

export type ReloadState =
  /** No reload is needed. */
  | ({ readonly kind: 'idle' } & Known)
  /** A reload is needed, `since` then. */
  | ({ readonly kind: 'waiting'; readonly since: Moment } & Known)
  /** `isLive`: the new process serves, and the rest of the reload is still under way. */
  | ({ readonly kind: 'reloading'; readonly since: Moment; readonly isLive: boolean } & Known);

export type ReloadEvent =
  | { readonly kind: 'needed'; readonly now: Moment }
  /** What is desired runs, or commands suffice. */
  | { readonly kind: 'not_needed' }
  | { readonly kind: 'begun'; readonly now: Moment }
  | { readonly kind: 'live' }
  /** HAProxy refused the config, and no service can be put into quarantine for it. */
  | {
      readonly kind: 'refused';
      readonly sections: readonly Section[];
      readonly problems: readonly Problem[];
      readonly now: Moment;
    }
  /** Something other than servers has changed, so the refused config may be accepted now. */
  | { readonly kind: 'retry_soon' }
  /** The reconcile is over, whatever its result. */
  | { readonly kind: 'ended' };

const same = <State>(state: State): State => state;
const idle = ({ refusal }: Known): ReloadState => ({ kind: 'idle', refusal });

export const nextReloadState = transitions<ReloadState, ReloadEvent>({
  idle: {
    needed: ({ refusal }, { now }) => ({ kind: 'waiting', since: now, refusal }),
    not_needed: same,
    begun: ({ refusal }, { now }) => ({ kind: 'reloading', since: now, isLive: false, refusal }),
    live: () => idle({ refusal: null }),
    refused,
    retry_soon: retrySoon,
    ended: same,
  },
  waiting: {
    needed: same,
    not_needed: idle,
    begun: ({ since, refusal }) => ({ kind: 'reloading', since, isLive: false, refusal }),
    live: () => idle({ refusal: null }),
    refused,
    retry_soon: retrySoon,
    ended: same,
  },
  reloading: {
    needed: same,
    // The reconcile that follows deals with it.
    not_needed: same,
    begun: same,
    live: ({ since }) => ({ kind: 'reloading', since, isLive: true, refusal: null }),
    refused,
    retry_soon: retrySoon,
    ended: ({ since, isLive, refusal }) => (isLive ? idle({ refusal }) : { kind: 'waiting', since, refusal }),
  },
});

function refused(
  state: ReloadState,
  { sections, problems, now }: Extract<ReloadEvent, { readonly kind: 'refused' }>,
): ReloadState {
  return { ...state, refusal: { ...backOff(state.refusal, sections, now, pace), problems } };
}

function retrySoon(state: ReloadState): ReloadState {
  const { refusal } = state;
  return refusal === null ? state : { ...state, refusal: { ...refusal, ...retriedSoon(refusal, pace) } };
}
