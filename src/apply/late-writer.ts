/** Writes a file behind what is live: soon, once for many changes, and again where it failed. */
import timers from 'node:timers';
import type { Ms } from '../model.ts';

type LateWriterOptions = {
  /** Writes the newest state, whatever has been written before. */
  readonly write: () => Promise<void>;
  readonly maxLagMs: () => Ms;
  /** Told of each failure, and with null of the success after one. */
  readonly onTrouble: (error: unknown) => void;
};

const retryAfterMs: Ms = 1000;

export class LateWriter {
  readonly #options: LateWriterOptions;
  #isDirty = false;
  #isHeld = false;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: LateWriterOptions) {
    this.#options = options;
  }

  /** There is something to write. */
  note(): void {
    this.#isDirty = true;
    // Half of the time that it may take is for the writing itself.
    this.#schedule(this.#options.maxLagMs() / 2);
  }

  /** Writes now what is to be written. Rejects where that fails; it stays to be written then. */
  async flush(): Promise<void> {
    timers.clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing.catch(() => {});
    if (!this.#isDirty) return;
    this.#isDirty = false;
    this.#writing = this.#options.write().catch((error: unknown) => {
      this.#isDirty = true;
      throw error;
    });
    await this.#writing;
  }

  /** Nothing is written by itself until `release`: somebody else sees to the file. */
  hold(): void {
    this.#isHeld = true;
    timers.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  release(): void {
    this.#isHeld = false;
    if (this.#isDirty) this.note();
  }

  #schedule(afterMs: Ms): void {
    if (this.#isHeld) return;
    this.#timer ??= timers.setTimeout(() => {
      this.#timer = undefined;
      this.flush().catch((error: unknown) => {
        this.#options.onTrouble(error);
        this.#schedule(retryAfterMs);
      });
    }, afterMs);
  }
}
