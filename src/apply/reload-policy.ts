/** Decides when the next reload may start, by the minimum interval, the back-off after failures and the number of old workers. */
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
  /** The time of the last reload that went live. Failed reloads do not count: they leave no old process behind. */
  readonly reloadedAt: Moment | null;
  /** The end of the back-off, where a reload to the same sections has failed; null: none has. */
  readonly backingOffUntil: Moment | null;
};

export type Waiting = {
  /** Since when this reload has been wanted. */
  readonly since: Moment;
  /** No HAProxy serves: a start waits for the back-off alone. */
  readonly isStart: boolean;
  readonly oldWorkers: number;
};

export type ReloadSlot = {
  /** The earliest moment, which may have passed. */
  readonly at: Moment;
  readonly because: 'nothing' | 'min_interval' | 'back_off' | 'old_workers' | 'offer_interval';
  /** There are `maxOldWorkers` old processes: the reload ends the oldest one, unless one has ended by itself. */
  readonly retires?: true;
};

/** `random` in [0, 1) is drawn once after each reload, so that repeated calls return the same slot. */
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
  // When an old worker ends before that, the caller asks again and the reload starts at once.
  if (retires) later(since + settings.maxDelay, 'old_workers');
  return slot;
}

/** A HAProxy that ends by itself within this time counts as a failed reload. */
const healthyAfterMs: Ms = 10_000;

const pace: Pace = { shortestMs: 250, longestMs: 30_000 };

/** Keeps the history of the reloads of one driver, and decides by it. */
export class ReloadPolicy {
  readonly #drawRandom: () => number;
  /** The time of the last reload that went live. Failed reloads do not count: they leave no old process behind. */
  #reloadedAt: Moment | null = null;
  #backOff: BackOff | null = null;
  #random: number;
  #crash: Crash | null = null;

  constructor(drawRandom: () => number) {
    this.#drawRandom = drawRandom;
    this.#random = drawRandom();
  }

  /** The last crash; null: there was none, or the back-off was reset since. */
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
    // A HAProxy that starts after a crash may crash again: `crashed` ends the back-off once one has lived long enough.
    if (!isStart) this.resetBackOff();
  }

  failed(wanted: readonly Section[], at: Moment): void {
    this.#backOff = backOff(this.#backOff, wanted, at, pace);
  }

  /** HAProxy ended by itself; `running` is what it ran. */
  crashed(running: readonly Section[], since: Moment, at: Moment): void {
    if (at - since < healthyAfterMs) this.failed(running, at);
    else this.resetBackOff();
    this.#crash = { sections: running, since, at };
  }

  /** Something else has changed, so the sections that failed may be tried again at once. */
  resetBackOff(): void {
    this.#crash = null;
    this.#backOff = null;
  }
}
