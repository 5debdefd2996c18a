/** Remembers what the policy needs to know of past reloads, for one control. */

import { sameStructure } from '../haproxy/text/structure.ts';
import type { Moment, Ms, Section } from '../model.ts';
import { nextReload, type ReloadHistory, type ReloadLimits, type ReloadSlot } from './reload-slot.ts';

/** A HAProxy that ended by itself sooner than this is taken for one that cannot live. */
const healthyAfterMs: Ms = 10_000;

export class ReloadPolicy {
  readonly #drawRandom: () => number;
  #history: ReloadHistory = { reloadedAt: null, failedAt: null, failures: 0 };
  #failedWith: readonly Section[] | null = null;
  #random: number;

  constructor(drawRandom: () => number) {
    this.#drawRandom = drawRandom;
    this.#random = drawRandom();
  }

  slot(
    settings: ReloadLimits,
    wanted: readonly Section[],
    waiting: { readonly since: Moment; readonly isStart: boolean; readonly oldWorkers: number },
  ): ReloadSlot {
    const failedBefore = this.#failedWith !== null && sameStructure(wanted, this.#failedWith);
    return nextReload(settings, this.#history, { ...waiting, failedBefore }, this.#random);
  }

  succeeded(at: Moment, { isStart }: { readonly isStart: boolean }): void {
    this.#history = { ...this.#history, reloadedAt: at };
    this.#random = this.#drawRandom();
    // A start that succeeds after a crash proves little: only living on does.
    if (!isStart) this.forgive();
  }

  failed(wanted: readonly Section[], at: Moment): void {
    const again = this.#failedWith !== null && sameStructure(wanted, this.#failedWith);
    this.#failedWith = wanted;
    this.#history = { ...this.#history, failedAt: at, failures: again ? this.#history.failures + 1 : 1 };
  }

  /** What ran ended by itself. */
  crashed(running: readonly Section[], since: Moment, at: Moment): void {
    if (at - since < healthyAfterMs) this.failed(running, at);
    else this.forgive();
  }

  /** What failed may be tried again at once: something else has changed. */
  forgive(): void {
    this.#failedWith = null;
    this.#history = { ...this.#history, failures: 0 };
  }
}
