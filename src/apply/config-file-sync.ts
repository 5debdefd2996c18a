/**
 * What runs, on disk, where it follows what commands have changed: as the file that HAProxy reads, and as what a
 * restarted Myelin finds out from. And what keeps it from that.
 */
import { describe } from '../errors.ts';
import { layoutOf } from '../haproxy/text/layout/layout.ts';
import type { ConfigFile } from '../lib/files/config-file.ts';
import { together } from '../lib/files/files.ts';
import { WriteBehind } from '../lib/files/write-behind.ts';
import type { Moment, Ms } from '../model.ts';
import type { Active, Trouble } from './driver.ts';
import type { DriverEvent } from './driver-event.ts';
import { writeReady, writeSections } from './state/records.ts';

type ConfigFileSyncOptions = {
  readonly file: ConfigFile;
  /** null: nothing of ours runs, and the file stays as it is. */
  readonly active: () => Active | null;
  readonly maxLagMs: () => Ms;
  readonly now: () => Moment;
  readonly onEvent: (event: DriverEvent) => void;
};

export class ConfigFileSync {
  readonly #options: ConfigFileSyncOptions;
  readonly #writer: WriteBehind;
  #trouble: Trouble | null = null;
  /** Of the files when they were last looked at. */
  #stamp = '';

  constructor(options: ConfigFileSyncOptions) {
    this.#options = options;
    this.#writer = new WriteBehind({
      write: () => this.#write(),
      maxLagMs: options.maxLagMs,
      onTrouble: (error) => this.#noteTrouble(error),
    });
  }

  get trouble(): Trouble | null {
    return this.#trouble;
  }

  /** What runs is not what was written, or may not be. */
  note(): void {
    this.#writer.note();
  }

  /** Compares it with what runs where somebody else has changed it, and puts it right. */
  async inspect(): Promise<void> {
    const stamp = await this.#options.file.stampOfAll();
    if (stamp !== this.#stamp) this.note();
    this.#stamp = stamp;
  }

  /** What is written before `replace` is what runs; what it puts in the file's place is not touched until it is over. */
  during<T>(replace: () => Promise<T>): Promise<T> {
    return this.#writer.during(async () => {
      try {
        return await replace();
      } finally {
        // What ran before may have been told more meanwhile, or serve on.
        this.#writer.note();
      }
    });
  }

  /** Writes what is to be written, and nothing any more from then on, even where that rejects. */
  close(): Promise<void> {
    return this.#writer.close();
  }

  async #write(): Promise<void> {
    const { worker = null, record = null } = this.#options.active() ?? {};
    if (worker !== null && record !== null) {
      const { generation, ready } = record;
      const {
        intended: { sections },
        leavingToRecord: leaving,
      } = worker;
      const { text, files } = layoutOf(sections);
      await together(writeSections(generation, sections, leaving), this.#options.file.write(text, files));
      // When the process became ready it may have failed to be written.
      await writeReady(generation, ready);
    }
    if (this.#trouble !== null) this.#options.onEvent({ kind: 'file_caught_up' });
    this.#trouble = null;
  }

  #noteTrouble(error: unknown): void {
    if (this.#trouble === null) this.#options.onEvent({ kind: 'file_behind', error });
    this.#trouble = { reason: describe(error), since: this.#trouble?.since ?? this.#options.now() };
  }
}
