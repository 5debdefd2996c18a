/**
 * The back-off after a failure: longer with each failure in a row of the same structure, so that servers
 * that come and go neither hasten nor delay the next try. A plain value: the caller keeps it and replaces it by the next.
 */
import type { Moment, Ms, Section } from '../../model.ts';
import { sameStructure } from './structure.ts';

export type BackOff = {
  /** What failed. */
  readonly sections: readonly Section[];
  /** In a row. */
  readonly failures: number;
  readonly failedAt: Moment;
  /** When the same structure gets its next try. */
  readonly until: Moment;
};

/** The shortest pause, which doubles with each failure, up to the longest. */
export type Pace = { readonly shortestMs: Ms; readonly longestMs: Ms };

/** `sections` have failed. With another structure than in `before` the count starts again at one. */
export function backOff(
  before: BackOff | null,
  sections: readonly Section[],
  failedAt: Moment,
  { shortestMs, longestMs }: Pace,
): BackOff {
  const failures = isSameFailure(before, sections) ? before.failures + 1 : 1;
  const pauseMs = Math.min(shortestMs * 2 ** Math.min(failures - 1, 20), longestMs);
  return { sections, failures, failedAt, until: failedAt + pauseMs };
}

/** Whether these sections have failed before; their servers do not matter. */
export function isSameFailure(backOff: BackOff | null, sections: readonly Section[]): backOff is BackOff {
  return backOff !== null && sameStructure(backOff.sections, sections);
}

/** Something has changed that may help: the next try comes as soon as after a first failure. */
export function retriedSoon(backOff: BackOff, { shortestMs }: Pace): BackOff {
  return { ...backOff, until: Math.min(backOff.until, backOff.failedAt + shortestMs) };
}
