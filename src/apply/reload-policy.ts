/** Remembers what the policy needs to know of past reloads, for one driver. */
import { type BackOff, backOff, isSameFailure, type Pace } from '../haproxy/text/back-off.ts';
import type { Moment, Ms, Section } from '../model.ts';
import type { Crash } from './driver.ts';
import { nextReload, type ReloadLimits, type ReloadSlot } from './reload-slot.ts';

/** A HAProxy that ended by itself sooner than this is taken for one that cannot live. */
const healthyAfterMs: Ms = 10_000;

const pace: Pace = { shortestMs: 250, longestMs: 30_000 };

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

  /** The last one; null: there was none, or it counts no more. */
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
