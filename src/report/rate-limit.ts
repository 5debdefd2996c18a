/** Reports a failure that repeats only now and then. */
import type { Moment, Ms } from '../model.ts';

const sameMs: Ms = 300_000;
const mostKnown = 1000;

export class RateLimit {
  /** The time of each report, by its text. */
  readonly #told = new Map<string, Moment>();

  /** Returns whether the text was not reported in the last five minutes; if so, it counts as reported now. */
  isNews(text: string, now: Moment): boolean {
    for (const [one, at] of this.#told) if (now - at >= sameMs) this.#told.delete(one);
    if (this.#told.has(text)) return false;
    if (this.#told.size >= mostKnown) this.#told.clear();
    this.#told.set(text, now);
    return true;
  }
}
