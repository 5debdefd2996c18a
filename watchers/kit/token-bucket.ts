/** Limits a rate: `burst` at once, then one every `everyMs`. */
import type { Ms } from '../../src/model.ts';

export class TokenBucket {
  readonly #burst: number;
  readonly #everyMs: Ms;
  #tokens: number;
  #at: number;

  constructor({ burst, everyMs }: { readonly burst: number; readonly everyMs: Ms }, now: number) {
    this.#burst = burst;
    this.#everyMs = everyMs;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes a token, or several, perhaps of the future; returns how long to wait for them. */
  take(now: number, tokens = 1): Ms {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) / this.#everyMs) - tokens;
    this.#at = now;
    return Math.max(0, -this.#tokens * this.#everyMs);
  }
}
