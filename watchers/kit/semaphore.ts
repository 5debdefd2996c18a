/**
 * Shares connections among more requests, in the order in which they come, urgent ones first. A request that hangs holds its permit for long: so
 * requests that may hang (doubted ones) get only a part of the permits, and each group of them (a datacenter) a share of that.
 */

/** The part of all permits for one group of doubted requests… */
const groupShare = 0.1;
/** …and for all that are doubted. */
const doubtedShare = 0.5;

type Waiting = { readonly isProven: () => boolean; readonly begin: () => void };

export class Semaphore {
  readonly #mostOfGroup: number;
  readonly #mostDoubted: number;
  #free: number;
  #doubted = 0;
  readonly #urgent: (Waiting & { readonly group: string })[] = [];
  readonly #proven: (Waiting & { readonly group: string })[] = [];
  readonly #groups = new Map<string, { held: number; waiting: Waiting[] }>();

  /** `free`: the number of permits now; `most`: the number that there will be. */
  constructor(free: number, most = free) {
    this.#free = free;
    this.#mostOfGroup = Math.max(1, Math.floor(most * groupShare));
    this.#mostDoubted = Math.max(1, Math.floor(most * doubtedShare));
  }

  /**
   * Waits for a permit; disposing of it passes it on. `isProven` is called when it is this request's turn, which comes before that of
   * all that are not urgent.
   */
  acquire(group = '', isProven: () => boolean = () => true, isUrgent = false): Promise<Disposable> {
    const { promise, resolve } = Promise.withResolvers<Disposable>();
    const begin = (): void => {
      const isDoubted = !isProven();
      this.#free -= 1;
      this.#count(group, isDoubted ? 1 : 0);
      resolve({
        [Symbol.dispose]: () => {
          this.#count(group, isDoubted ? -1 : 0);
          this.add(1);
        },
      });
    };
    (isUrgent ? this.#urgent : this.#proven).push({ group, isProven, begin });
    this.#serve();
    return promise;
  }

  /** Adds permits; with Infinity no request waits any longer. */
  add(count: number): void {
    this.#free += count;
    this.#serve();
  }

  #serve(): void {
    while (this.#free > 0) {
      const next = this.#next();
      if (next === undefined) return;
      next.begin();
    }
  }

  #next(): Waiting | undefined {
    for (const its of this.#groups.values()) {
      const at = its.waiting.findIndex(({ isProven }) => isProven() || this.#isOpenTo(its.held));
      if (at >= 0) return its.waiting.splice(at, 1)[0];
    }
    while (true) {
      const first = this.#urgent.shift() ?? this.#proven.shift();
      if (first === undefined || first.isProven()) return first;
      const its = this.#group(first.group);
      if (this.#isOpenTo(its.held)) return first;
      its.waiting.push(first);
    }
  }

  #isOpenTo(held: number): boolean {
    return this.#free === Number.POSITIVE_INFINITY || (held < this.#mostOfGroup && this.#doubted < this.#mostDoubted);
  }

  #count(group: string, change: number): void {
    this.#doubted += change;
    this.#group(group).held += change;
  }

  #group(name: string): { held: number; waiting: Waiting[] } {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const made = { held: 0, waiting: [] };
    this.#groups.set(name, made);
    return made;
  }
}
