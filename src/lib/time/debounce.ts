/**
 * Gathers bursts: the first poke after quiet runs at once, further ones wait for quiet, but never longer than `maxMs`.
 * One run at a time; what is poked during a run is run for after it.
 *
 * p-debounce restarts the quiet time at every poke and ends it on abort. It has no longest wait (a change every 50 ms
 * with 100 ms of quiet would never run), lets runs overlap, and keeps one promise for every poke until it is quiet:
 * these three are ours. Its `promise` would keep runs apart, but loses a call made in the moment between the end of a
 * run and the release of its lock.
 */
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

export function createDebounce(run: () => Promise<void>, options: DebounceOptions): Debounce {
  return new Debouncer(run, options);
}

type Quiet = { readonly restart: () => Promise<void>; readonly drop: AbortController };

class Debouncer implements Debounce {
  readonly #run: () => Promise<void>;
  readonly #options: DebounceOptions;
  /** Poked since the last run started. */
  #isDirty = false;
  /** A run is to start now, or when the one in progress ends. */
  #isDue = false;
  #isRunning = false;
  #quiet: Quiet | null = null;
  #maxTimer: NodeJS.Timeout | undefined;
  #idle: PromiseWithResolvers<void> | null = null;

  constructor(run: () => Promise<void>, options: DebounceOptions) {
    this.#run = run;
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#stop(), { once: true });
  }

  readonly poke = (): void => {
    if (this.#options.signal.aborted) return;
    this.#isDirty = true;
    this.#idle ??= Promise.withResolvers();
    const isQuiet = this.#quiet === null;
    this.#restartQuiet();
    if (isQuiet) this.#runNow();
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
      this.#isDue = false;
      this.#isDirty = false;
      clearTimeout(this.#maxTimer);
      this.#maxTimer = undefined;
      try {
        await this.#run();
      } catch (error) {
        this.#options.onError(error);
      }
    }
    this.#isRunning = false;
    this.#settleIdle();
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
