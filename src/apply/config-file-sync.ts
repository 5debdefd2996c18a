/**
 * Keeps what runs on disk, after each change by commands: as the file that HAProxy reads, and as the records that a
 * restarted Myelin reads. Also says what prevents that.
 */
import { describe } from '../errors.ts';
import { bytesOf } from '../haproxy/text/layout/bytes.ts';
import { filesIn } from '../haproxy/text/layout/files.ts';
import { ChunkedList } from '../lib/chunked-list.ts';
import type { ConfigFile } from '../lib/files/config-file.ts';
import { together } from '../lib/files/files.ts';
import { WriteBehind } from '../lib/files/write-behind.ts';
import { beginsChunk } from '../lib/sorted-map.ts';
import type { Moment, Ms, Section } from '../model.ts';
import type { Active, Trouble } from './driver.ts';
import type { DriverEvent } from './driver-event.ts';
import { ComingBackends } from './state/coming.ts';
import { writeReady, writeSections } from './state/records.ts';

type ConfigFileSyncOptions = {
  readonly file: ConfigFile;
  /** null: no HAProxy of ours runs, and the file stays as it is. */
  readonly active: () => Active | null;
  readonly maxLagMs: () => Ms;
  readonly now: () => Moment;
  readonly onEvent: (event: DriverEvent) => void;
};

export class ConfigFileSync {
  readonly #options: ConfigFileSyncOptions;
  readonly #writer: WriteBehind;
  readonly #coming = new ComingBackends();
  readonly #chunks = new ChunkedList<Section>(({ name }) => beginsChunk(name));
  #trouble: Trouble | null = null;
  /** The stamp of the files at the last inspection. */
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

  /** Writes down backends that commands are about to add. Returns what to call once they run, or where nothing was sent. */
  announce(sections: readonly Section[]): () => void {
    const record = this.#options.active()?.record ?? null;
    return record === null ? () => {} : this.#coming.announce(record.generation, sections);
  }

  /** Notes that the files on disk may be older than what runs. */
  note(): void {
    this.#writer.note();
  }

  /** Compares the file with what runs, where somebody else has changed the file, and restores it. */
  async inspect(): Promise<void> {
    const stamp = await this.#options.file.stampOfAll();
    if (stamp !== this.#stamp) this.note();
    this.#stamp = stamp;
  }

  /** Writes what runs before `replace` begins; until `replace` has ended, nothing else touches the file. */
  during<T>(replace: () => Promise<T>): Promise<T> {
    return this.#writer.during(async () => {
      try {
        return await replace();
      } finally {
        // The old process may have received more commands meanwhile, or may keep serving.
        this.#writer.note();
      }
    });
  }

  /** Writes the last changes, and nothing afterwards, even where that rejects. */
  async close(): Promise<void> {
    using _coming = this.#coming;
    await this.#writer.close();
  }

  async #write(): Promise<void> {
    const { worker = null, record = null } = this.#options.active() ?? {};
    // What nobody has written is still behind.
    if (worker === null || record === null) return;
    const { generation, ready } = record;
    const recorded = this.#coming.recording(generation);
    const {
      intended: { sections },
      leavingToRecord: leaving,
    } = worker;
    const chunks = this.#chunks.of(sections);
    const bytes = bytesOf(chunks);
    await together(
      writeSections(generation, sections, leaving, { chunks, bytes }),
      this.#options.file.write(bytes, filesIn(sections)),
    );
    await recorded();
    // Writing this record may have failed when the process became ready.
    await writeReady(generation, ready);
    if (this.#trouble !== null) this.#options.onEvent({ kind: 'file_caught_up' });
    this.#trouble = null;
  }

  #noteTrouble(error: unknown): void {
    if (this.#trouble === null) this.#options.onEvent({ kind: 'file_behind', error });
    this.#trouble = { reason: describe(error), since: this.#trouble?.since ?? this.#options.now() };
  }
}
