/**
 * The time, in one place. Spans are measured by a steady clock, which no step of the time of day moves: neither the first
 * answer of a time server, nor a machine that was asleep. Only what is shown, and what is written down for a later
 * process, is a time of day.
 */
import type { Moment, Ms, Timestamp } from '../../model.ts';

/** One moment is shown as the same time of day each time, as long as the two clocks only drift and neither has stepped. */
const driftMs: Ms = 20;

/** From the steady clock to the time of day: they begin as one. */
let lastOffset: Ms = 0;

export function now(): Moment {
  return performance.timeOrigin + performance.now();
}

/** The time of day as the machine has it now: it may step in either direction, by any amount. */
export function wallClock(): Timestamp {
  return Date.now();
}

export function toWallClock(moment: Moment): Timestamp {
  return Math.floor(moment + offsetMs());
}

/** What was written down before the time of day stepped is as far off as it stepped. */
export function fromWallClock(time: Timestamp): Moment {
  return time - offsetMs();
}

/** For what has begun already: never later than now, whatever the time of day was when it was written down. */
export function pastFromWallClock(time: Timestamp): Moment {
  return Math.min(fromWallClock(time), now());
}

/** The machine may pause the process between two readings of the clocks: only what no pause explains is a step. */
function offsetMs(): Ms {
  const earliest = now();
  const time = wallClock();
  const latest = now();
  if (lastOffset < time - latest - driftMs || lastOffset > time - earliest + driftMs) lastOffset = time - latest;
  return lastOffset;
}
