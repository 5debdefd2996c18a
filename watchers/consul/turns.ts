/** Shares a number of connections among more questions, in the order in which they ask. */

export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(free: number) {
    this.#free = free;
  }

  /** Waits for a turn; disposing of it hands it to the next. */
  async take(): Promise<Disposable> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return { [Symbol.dispose]: () => this.add(1) };
  }

  /** Makes this many more turns; with Infinity nobody waits any longer. */
  add(count: number): void {
    this.#free += count;
    while (this.#free > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#free -= 1;
      next();
    }
  }
}
