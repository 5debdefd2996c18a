/** Decides when the next reload may start: a minimum gap, patience after failures, a budget of old workers. */
import { type BackOff, backOff, isSameFailure, type Pace } from '../haproxy/text/back-off.ts';
import type { Moment, Ms, Section } from '../model.ts';
import type { Crash } from './driver.ts';

export type ReloadLimits = {
  readonly minInterval: Ms;
  readonly jitter: Ms;
  readonly maxOldWorkers: number;
  readonly maxDelay: Ms;
};

/** What the policy has seen. */
export type ReloadHistory = {
  /** The last reload that went live; those that failed leave nothing that would need a pause. */
  readonly reloadedAt: Moment | null;
  /** Until when what is wanted is left alone, because the same has failed; null: it has not. */
  readonly backingOffUntil: Moment | null;
};

export type Waiting = {
  /** Since when this reload has been wanted. */
  readonly since: Moment;
  /** Nothing serves: no gap is kept then, only the patience after failures. */
  readonly isStart: boolean;
  readonly oldWorkers: number;
};

export type ReloadSlot = {
  /** The earliest moment, which may have passed. */
  readonly at: Moment;
  readonly because: 'nothing' | 'min_interval' | 'back_off' | 'old_workers' | 'offer_interval';
  /** So many old processes are left that the oldest one has to make room. */
  readonly retires?: true;
};

/** `random` in [0, 1) is drawn once after each reload, so that asking again gives the same answer. */
export function nextReload(
  settings: ReloadLimits,
  history: ReloadHistory,
  waiting: Waiting,
  random: number,
): ReloadSlot {
  const { since, isStart } = waiting;
  const { reloadedAt, backingOffUntil } = history;
  const retires = !isStart && waiting.oldWorkers >= settings.maxOldWorkers;
  const its = retires ? ({ retires } as const) : {};
  let slot: ReloadSlot = { at: since, because: 'nothing', ...its };
  const later = (at: Moment, because: ReloadSlot['because']): void => {
    if (at > slot.at) slot = { at, because, ...its };
  };
  if (reloadedAt !== null && !isStart)
    later(reloadedAt + settings.minInterval + settings.jitter * random, 'min_interval');
  if (backingOffUntil !== null) later(backingOffUntil, 'back_off');
  // A worker that goes sooner makes its place at once; then the caller asks again.
  if (retires) later(since + settings.maxDelay, 'old_workers');
  return slot;
}

/** A HAProxy that ended by itself sooner than this is taken for one that cannot live. */
const healthyAfterMs: Ms = 10_000;

const pace: Pace = { shortestMs: 250, longestMs: 30_000 };

/** Remembers what the decision needs to know of past reloads, for one driver. */
export class ReloadPolicy {
  readonly #drawRandom: () => number;
  /** The last reload that went live; those that failed leave nothing that would need a pause. */
  #reloadedAt: Moment | null = null;
  #backOff: BackOff | null = null;
  #random: number;
  #crash: Crash | null = null;

  constructor(drawRandom: () => number) {
    this.#drawRandom = drawRandom;
    this.#random = drawRandom();
  }

  /** The last crash; null: there was none, or something has changed since. */
  get crash(): Crash | null {
    return this.#crash;
  }

  slot(
    settings: ReloadLimits,
    wanted: readonly Section[],
    waiting: { readonly since: Moment; readonly isStart: boolean; readonly oldWorkers: number },
  ): ReloadSlot {
    const backingOffUntil = isSameFailure(this.#backOff, wanted) ? this.#backOff.until : null;
    return nextReload(settings, { reloadedAt: this.#reloadedAt, backingOffUntil }, waiting, this.#random);
  }

  succeeded(at: Moment, { isStart }: { readonly isStart: boolean }): void {
    this.#reloadedAt = at;
    this.#random = this.#drawRandom();
    // A start that succeeds after a crash proves little: only living on does.
    if (!isStart) this.resetBackOff();
  }

  failed(wanted: readonly Section[], at: Moment): void {
    this.#backOff = backOff(this.#backOff, wanted, at, pace);
  }

  /** What ran ended by itself. */
  crashed(running: readonly Section[], since: Moment, at: Moment): void {
    if (at - since < healthyAfterMs) this.failed(running, at);
    else this.resetBackOff();
    this.#crash = { sections: running, since, at };
  }

  /** What failed may be tried again at once: something else has changed. */
  resetBackOff(): void {
    this.#crash = null;
    this.#backOff = null;
  }
}
