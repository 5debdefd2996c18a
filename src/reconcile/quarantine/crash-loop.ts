/**
 * A HAProxy that becomes ready and ends some seconds later is started again from the same structure. Where that happens
 * again and again, this structure is left alone for a while, and the last one that lived longer serves instead.
 */
import type { Crash, Running } from '../../apply/driver.ts';
import { type BackOff, backOff, isSameFailure, type Pace } from '../../haproxy/text/back-off.ts';
import { sameStructure } from '../../haproxy/text/structure.ts';
import type { Moment, Ms, Problem, Section } from '../../model.ts';
import { withoutOverrides } from '../overrides/overrides.ts';

/** A process that lived this long did not end because of its config. */
const livesMs: Ms = 30_000;
/** One crash may be an accident, and the second a repetition of it. */
const crashesUntilLeft = 3;
/** After the third: a minute. */
const pace: Pace = { shortestMs: 15_000, longestMs: 1_800_000 };

export class CrashLoop {
  #newest: Crash | null = null;
  #backOff: BackOff | null = null;
  /** The last sections that lived long enough, with their servers then and what operators have done to them. */
  #lasting: readonly Section[] | null = null;

  note(crash: Crash | null, running: Running | null, now: Moment): void {
    if (crash !== null && crash !== this.#newest) {
      if (crash.at - crash.since < livesMs) this.#backOff = backOff(this.#backOff, crash.sections, crash.at, pace);
      else this.#lived(crash.sections);
    }
    this.#newest = crash;
    if (running !== null && now - running.since >= livesMs) this.#lived(running.sections);
  }

  /** Until when `wanted` is not started, and what serves meanwhile; null: start it, or nothing else works. */
  of(wanted: readonly Section[], now: Moment) {
    const crashed = this.#backOff;
    if (!isSameFailure(crashed, wanted) || crashed.failures < crashesUntilLeft || crashed.until <= now) return null;
    const instead = this.#lasting === null ? null : withoutOverrides(this.#lasting);
    if (instead === null || sameStructure(instead, wanted)) return null;
    const message = `HAProxy ended by itself ${crashed.failures} times, each time soon after it was started with this; what lived longer serves instead`;
    const problems: readonly Problem[] = [{ message, service: null, code: 'MYELIN_HAPROXY_FAILED' }];
    return { instead, problems, until: crashed.until };
  }

  #lived(sections: readonly Section[]): void {
    if (isSameFailure(this.#backOff, sections)) this.#backOff = null;
    this.#lasting = sections;
  }
}
