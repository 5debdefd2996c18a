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

  /** Takes a token, perhaps one of the future; returns how long to wait for it. */
  take(now: number): Ms {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) / this.#everyMs) - 1;
    this.#at = now;
    return Math.max(0, -this.#tokens * this.#everyMs);
  }
}
