/** Decides when the next reload may start: a minimum gap, patience after failures, a budget of old workers. Pure. */
import type { Moment, Ms } from '../model.ts';

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
  readonly failedAt: Moment | null;
  /** In a row, of the same wanted state. */
  readonly failures: number;
};

export type Waiting = {
  /** Since when this reload has been wanted. */
  readonly since: Moment;
  /** It wants what failed last time; anything else deserves a try without patience. */
  readonly failedBefore: boolean;
  /** Nothing serves: no gap is kept then, only the patience after failures. */
  readonly isStart: boolean;
  readonly oldWorkers: number;
};

export type ReloadSlot = {
  /** The earliest moment, which may have passed. */
  readonly at: Moment;
  readonly because: 'free' | 'min_interval' | 'back_off' | 'old_workers' | 'offer_interval';
  /** So many old processes are left that the oldest one has to make room. */
  readonly retires?: true;
};

const shortestBackOffMs = 250;
const longestBackOffMs = 30_000;

/** `random` in [0, 1) is drawn once after each reload, so that asking again gives the same answer. */
export function nextReload(
  settings: ReloadLimits,
  history: ReloadHistory,
  waiting: Waiting,
  random: number,
): ReloadSlot {
  const { since, isStart } = waiting;
  const { reloadedAt, failedAt, failures } = history;
  const retires = !isStart && waiting.oldWorkers >= settings.maxOldWorkers;
  const its = retires ? ({ retires } as const) : {};
  let slot: ReloadSlot = { at: since, because: 'free', ...its };
  const later = (at: Moment, because: ReloadSlot['because']): void => {
    if (at > slot.at) slot = { at, because, ...its };
  };
  if (reloadedAt !== null && !isStart)
    later(reloadedAt + settings.minInterval + settings.jitter * random, 'min_interval');
  if (failedAt !== null && failures > 0 && waiting.failedBefore) later(failedAt + backOff(failures), 'back_off');
  // A worker that goes sooner makes its place at once; then the caller asks again.
  if (retires) later(since + settings.maxDelay, 'old_workers');
  return slot;
}

/** Doubles with each failure in a row, up to half a minute. */
function backOff(failures: number): Ms {
  return Math.min(shortestBackOffMs * 2 ** Math.min(failures - 1, 20), longestBackOffMs);
}
