/** Waits until files that somebody is writing no longer change. */

import type { Ms } from '../../model.ts';
import { pause } from './retry.ts';

/** Something that never rests is taken as it is after so many reads. */
const mostReads = 20;

export type Settling<T> = {
  readonly read: (last: T) => Promise<T>;
  readonly isSame: (one: T, other: T) => boolean;
  /** How long it must have been the same. */
  readonly waitMs: (value: T) => Ms;
  readonly signal: AbortSignal;
};

/** Reads on from `first` until two reads in a row agree, and returns what they agree on. */
export async function settle<T>(first: T, { read, isSame, waitMs, signal }: Settling<T>): Promise<T> {
  let last = first;
  for (let reads = 1; reads < mostReads && !signal.aborted; reads++) {
    await pause(waitMs(last), signal);
    const again = await read(last);
    if (isSame(last, again)) return again;
    last = again;
  }
  return last;
}
