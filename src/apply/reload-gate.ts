/** Remembers what the gate needs to know of past reloads, for one control. */
import type { Moment, Ms, Section } from '../model.ts';
import { type GateHistory, type GateSettings, nextReload, type Turn } from './gate.ts';
import { sameText } from './sections.ts';

/** A HAProxy that ended by itself sooner than this is taken for one that cannot live. */
const healthyAfterMs: Ms = 10_000;

export class ReloadGate {
  readonly #settings: GateSettings;
  readonly #drawRandom: () => number;
  #history: GateHistory = { lastEndedAt: null, failures: 0 };
  #failedWith: readonly Section[] | null = null;
  #random: number;

  constructor(settings: GateSettings, drawRandom: () => number) {
    this.#settings = settings;
    this.#drawRandom = drawRandom;
    this.#random = drawRandom();
  }

  turn(wanted: readonly Section[], since: Moment, state: { isStart: boolean; oldWorkers: number }): Turn {
    const failedBefore = this.#failedWith !== null && sameText(wanted, this.#failedWith);
    return nextReload(this.#settings, this.#history, { since, failedBefore, ...state }, this.#random);
  }

  /** A start that succeeds after a crash proves little: only living on does. */
  succeeded(at: Moment, { isStart }: { isStart: boolean }): void {
    if (!isStart) this.#failedWith = null;
    this.#note(at, isStart ? this.#history.failures : 0);
  }

  failed(wanted: readonly Section[], at: Moment): void {
    const again = this.#failedWith !== null && sameText(wanted, this.#failedWith);
    this.#failedWith = wanted;
    this.#note(at, again ? this.#history.failures + 1 : 1);
  }

  /** What ran ended by itself. */
  crashed(running: readonly Section[], since: Moment, at: Moment): void {
    if (at - since < healthyAfterMs) this.failed(running, at);
    else this.#note(at, 0);
  }

  #note(at: Moment, failures: number): void {
    this.#history = { lastEndedAt: at, failures };
    this.#random = this.#drawRandom();
  }
}
