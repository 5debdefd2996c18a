/** Which folder the next HAProxy is started from: a new one, or that of the process which served and has ended. */
import { type Generation, generationAt, removeGeneration } from '../state/generation.ts';

export class Folders {
  readonly #root: string;
  readonly #tolerate: (work: Promise<unknown>) => Promise<void>;
  #lastNumber: number;
  /** The folder of the ended process can be used again, because its files need no further disk space. */
  #fallen: Generation | null;

  /** `tolerate`: for work whose failure must not hide the outcome of a start. */
  constructor(
    root: string,
    { lastNumber, fallen }: { readonly lastNumber: number; readonly fallen: Generation | null },
    tolerate: (work: Promise<unknown>) => Promise<void>,
  ) {
    this.#root = root;
    this.#tolerate = tolerate;
    this.#lastNumber = lastNumber;
    this.#fallen = fallen;
  }

  get fallen(): Generation | null {
    return this.#fallen;
  }

  /** The serving process has ended: its folder is kept. */
  fell(generation: Generation): void {
    this.#fallen = generation;
  }

  /** `isUsed`: whether a process started from the folder lives; else it is removed, unless the next one can use it. */
  async during<T>(
    start: (generation: Generation) => Promise<T>,
    isUsed: (generation: Generation) => boolean,
  ): Promise<T> {
    this.#lastNumber += 1;
    const fallen = this.#fallen;
    const generation = { ...(fallen ?? generationAt(this.#root, this.#lastNumber)), number: this.#lastNumber };
    try {
      return await start(generation);
    } finally {
      if (isUsed(generation)) this.#fallen = null;
      else if (fallen === null) await this.#tolerate(removeGeneration(generation));
    }
  }

  async removeFallen(): Promise<void> {
    if (this.#fallen !== null) await this.#tolerate(removeGeneration(this.#fallen));
  }
}
