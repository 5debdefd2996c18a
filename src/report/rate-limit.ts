/** What goes wrong again and again is told now and then. */
import type { Moment, Ms } from '../model.ts';

const sameMs: Ms = 300_000;
const mostKnown = 1000;

export class RateLimit {
  /** What was told, and when. */
  readonly #told = new Map<string, Moment>();

  /** Whether the same was told in the last five minutes; if not, it counts as told. */
  isNews(text: string, now: Moment): boolean {
    for (const [one, at] of this.#told) if (now - at >= sameMs) this.#told.delete(one);
    if (this.#told.has(text)) return false;
    if (this.#told.size >= mostKnown) this.#told.clear();
    this.#told.set(text, now);
    return true;
  }
}
