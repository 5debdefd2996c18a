/** The file on disk, which follows what commands have changed, and what keeps it from that. */
import { describe } from '../errors.ts';
import type { Moment, Ms } from '../model.ts';
import type { Control, ControlEvent } from './control.ts';
import { LateWriter } from './late-writer.ts';

type FileBehindOptions = {
  /** Writes what runs now. */
  readonly write: () => Promise<void>;
  readonly maxLagMs: () => Ms;
  readonly now: () => Moment;
  readonly onEvent: (event: ControlEvent) => void;
};

export class FileBehind {
  readonly #options: FileBehindOptions;
  readonly #writer: LateWriter;
  #trouble: Control['fileTrouble'] = null;

  constructor(options: FileBehindOptions) {
    this.#options = options;
    this.#writer = new LateWriter({
      write: () => this.#write(),
      maxLagMs: options.maxLagMs,
      onTrouble: (error) => this.#noteTrouble(error),
    });
  }

  get trouble(): Control['fileTrouble'] {
    return this.#trouble;
  }

  /** What runs is not what was written, or may not be. */
  note(): void {
    this.#writer.note();
  }

  /** Writes now what is to be written. Rejects where that fails. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** Nothing is written by itself any more. */
  hold(): void {
    this.#writer.hold();
  }

  /** What is written before `replace` is what runs; what it puts in the file's place is not touched until it is over. */
  async during<T>(replace: () => Promise<T>): Promise<T> {
    this.#writer.hold();
    try {
      await this.#writer.flush();
      return await replace();
    } finally {
      // What ran before may have been told more meanwhile, or serve on.
      this.#writer.note();
      this.#writer.release();
    }
  }

  async #write(): Promise<void> {
    await this.#options.write();
    if (this.#trouble !== null) this.#options.onEvent({ kind: 'file_caught_up' });
    this.#trouble = null;
  }

  #noteTrouble(error: unknown): void {
    if (this.#trouble === null) this.#options.onEvent({ kind: 'file_behind', error });
    this.#trouble = { reason: describe(error), since: this.#trouble?.since ?? this.#options.now() };
  }
}
