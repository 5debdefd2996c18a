/** Writes a file behind what is live: soon, once for many changes, and again where it failed. */
import timers from 'node:timers';
import type { Ms } from '../../model.ts';
import { createMutex } from '../mutex.ts';
import { transitions } from '../state-table.ts';

type WriteBehindOptions = {
  /** Writes the newest state, whatever has been written before. */
  readonly write: () => Promise<void>;
  readonly maxLagMs: () => Ms;
  /** Called with each failure that no caller waits for. */
  readonly onTrouble: (error: unknown) => void;
};

/** What is on disk: the newest state, an older one, or what a write that is under way will leave there. */
type State =
  | { readonly kind: 'clean' }
  | { readonly kind: 'dirty' }
  | { readonly kind: 'writing'; readonly written: Promise<void> }
  /** Something has changed since the write began. */
  | { readonly kind: 'writing_dirty'; readonly written: Promise<void> };

type Event =
  | { readonly kind: 'noted' }
  | { readonly kind: 'begun'; readonly written: Promise<void> }
  | { readonly kind: 'written' }
  | { readonly kind: 'failed' };

const same = (state: State): State => state;
const clean = (): State => ({ kind: 'clean' });
const dirty = (): State => ({ kind: 'dirty' });
const writing = (_: State, { written }: { readonly written: Promise<void> }): State => ({ kind: 'writing', written });

/** A write begins from `dirty`, and ends in one of the two that are writing. */
const nextState = transitions<State, Event>({
  clean: { noted: dirty, begun: writing, written: same, failed: same },
  dirty: { noted: same, begun: writing, written: same, failed: same },
  writing: {
    noted: ({ written }) => ({ kind: 'writing_dirty', written }),
    begun: writing,
    written: clean,
    failed: dirty,
  },
  writing_dirty: { noted: same, begun: writing, written: dirty, failed: dirty },
});

const retryAfterMs: Ms = 1000;

export class WriteBehind {
  readonly #options: WriteBehindOptions;
  readonly #mutex = createMutex();
  #state: State = { kind: 'clean' };
  /** Whether writes begin by themselves: not while it is held, and never again once it is closed. */
  #policy: 'open' | 'held' | 'closed' = 'open';
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WriteBehindOptions) {
    this.#options = options;
  }

  /** There is something to write. */
  note(): void {
    this.#on({ kind: 'noted' });
    // Half of the time that it may take is for the writing itself.
    this.#schedule(this.#options.maxLagMs() / 2);
  }

  /**
   * What was noted before is written before `work` begins, and until it ends no write runs: somebody else sees to the
   * file. Rejects where that fails; it stays to be written then.
   */
  during<T>(work: () => Promise<T>): Promise<T> {
    return this.#mutex(async () => {
      try {
        if (this.#policy === 'open') {
          this.#policy = 'held';
          await this.#flush();
        }
        return await work();
      } finally {
        if (this.#policy === 'held') this.#policy = 'open';
        if (this.#state.kind !== 'clean') this.note();
      }
    });
  }

  /** Writes the last changes, and nothing afterwards, even where that rejects. */
  close(): Promise<void> {
    return this.#mutex(async () => {
      if (this.#policy === 'closed') return;
      this.#policy = 'closed';
      await this.#flush();
    });
  }

  /** One at a time, while no other write begins, so that what comes to rest here stays at rest. */
  async #flush(): Promise<void> {
    timers.clearTimeout(this.#timer);
    this.#timer = undefined;
    if ('written' in this.#state) await this.#state.written.catch(() => {});
    if (this.#state.kind === 'dirty') await this.#write();
  }

  /** From `dirty` only. */
  #write(): Promise<void> {
    const written = this.#options.write().then(
      () => this.#on({ kind: 'written' }),
      (error: unknown) => {
        this.#on({ kind: 'failed' });
        throw error;
      },
    );
    this.#on({ kind: 'begun', written });
    return written;
  }

  #on(event: Event): void {
    this.#state = nextState(this.#state, event);
  }

  #schedule(afterMs: Ms): void {
    if (this.#policy !== 'open') return;
    this.#timer ??= timers.setTimeout(() => void this.#writeByItself(), afterMs);
  }

  async #writeByItself(): Promise<void> {
    this.#timer = undefined;
    // A change during a write is written after it.
    if (this.#state.kind !== 'dirty') return;
    try {
      await this.#write();
      if (this.#state.kind === 'dirty') this.note();
    } catch (error) {
      this.#options.onTrouble(error);
      this.#schedule(retryAfterMs);
    }
  }
}
