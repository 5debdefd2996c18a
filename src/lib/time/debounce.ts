/**
 * Gathers bursts: the first poke after quiet runs at once, together with all others of the same turn of the event loop;
 * further ones wait for quiet, but never longer than `maxMs`. A first run that finds nothing to do does not count: the
 * next poke runs at once as well. One run at a time; what is poked during a run is run for after it.
 *
 * p-debounce restarts the quiet time at every poke and ends it on abort. It has no longest wait (a change every 50 ms
 * with 100 ms of quiet would never run), lets runs overlap, and keeps one promise for every poke until it is quiet:
 * these three are ours. Its `promise` would keep runs apart, but loses a call made in the moment between the end of a
 * run and the release of its lock.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import pDebounce from 'p-debounce';
import type { Ms } from '../../model.ts';

/** The times are read whenever they are needed: they may change. */
export type DebounceOptions = {
  readonly quietMs: Ms;
  readonly maxMs: Ms;
  /** Aborted: nothing runs any more, but a run in progress ends by itself. */
  readonly signal: AbortSignal;
  /** A run that fails does not stop the next. */
  readonly onError: (error: unknown) => void;
};

export type Debounce = {
  /** Something changed: a run will start after this moment. */
  readonly poke: () => void;
  /** Settles when nothing runs and nothing waits; after an abort, when the run in progress has ended. */
  readonly idle: () => Promise<void>;
};

/** `idle`: it found nothing to do. */
export type Ran = 'worked' | 'idle';

export function createDebounce(run: () => Promise<Ran>, options: DebounceOptions): Debounce {
  return new Debouncer(run, options);
}

type Quiet = { readonly restart: () => Promise<void>; readonly drop: AbortController };

class Debouncer implements Debounce {
  readonly #run: () => Promise<Ran>;
  readonly #options: DebounceOptions;
  /** Poked since the last run started. */
  #isDirty = false;
  /** A run is to start now, or when the one in progress ends. */
  #isDue = false;
  #isRunning = false;
  #quiet: Quiet | null = null;
  /** What the first run after quiet came to; where it was idle, the next poke runs at once. */
  #first: 'due' | 'idle' | 'over' = 'over';
  #maxTimer: NodeJS.Timeout | undefined;
  #idle: PromiseWithResolvers<void> | null = null;

  constructor(run: () => Promise<Ran>, options: DebounceOptions) {
    this.#run = run;
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#stop(), { once: true });
  }

  readonly poke = (): void => {
    if (this.#options.signal.aborted) return;
    this.#isDirty = true;
    this.#idle ??= Promise.withResolvers();
    const isQuiet = this.#quiet === null;
    const isNext = this.#first === 'idle';
    this.#restartQuiet();
    if (isQuiet) this.#first = 'due';
    else if (isNext) this.#first = 'over';
    if (isQuiet || isNext) this.#runNow();
    else this.#maxTimer ??= setTimeout(() => this.#onMax(), this.#options.maxMs);
  };

  readonly idle = (): Promise<void> => this.#idle?.promise ?? Promise.resolve();

  #restartQuiet(): void {
    this.#quiet ??= this.#startQuiet();
    // It rejects when the quiet time is dropped, and then there is nothing to do.
    this.#quiet.restart().catch(() => undefined);
  }

  #startQuiet(): Quiet {
    const drop = new AbortController();
    const end = async (): Promise<void> => {
      this.#quiet = null;
      if (this.#isDirty) this.#runNow();
    };
    return { restart: pDebounce(end, this.#options.quietMs, { signal: drop.signal }), drop };
  }

  /** Dropping the quiet time lets go the promises of its pokes: without that an endless burst would pile them up. */
  #onMax(): void {
    this.#maxTimer = undefined;
    this.#quiet?.drop.abort();
    this.#quiet = null;
    this.#restartQuiet();
    this.#runNow();
  }

  #runNow(): void {
    this.#isDue = true;
    if (!this.#isRunning) void this.#runWhileDue();
  }

  async #runWhileDue(): Promise<void> {
    this.#isRunning = true;
    while (this.#isDue && !this.#options.signal.aborted) {
      // What a source says in several updates is often one change, as of a service that comes with its endpoints.
      await nextTurn();
      if (this.#options.signal.aborted) break;
      this.#isDue = false;
      this.#isDirty = false;
      clearTimeout(this.#maxTimer);
      this.#maxTimer = undefined;
      this.#ended(await this.#runOnce());
    }
    this.#isRunning = false;
    this.#settleIdle();
  }

  async #runOnce(): Promise<Ran> {
    try {
      return await this.#run();
    } catch (error) {
      this.#options.onError(error);
      return 'worked';
    }
  }

  #ended(ran: Ran): void {
    const isSpare = this.#first === 'due' && ran === 'idle';
    if (isSpare && this.#isDirty) this.#isDue = true;
    this.#first = isSpare && !this.#isDirty ? 'idle' : 'over';
  }

  #stop(): void {
    clearTimeout(this.#maxTimer);
    this.#quiet?.drop.abort();
    this.#settleIdle();
  }

  #settleIdle(): void {
    if (this.#isRunning || (this.#isDirty && !this.#options.signal.aborted)) return;
    this.#idle?.resolve();
    this.#idle = null;
  }
}
