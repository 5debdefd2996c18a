/** What a Myelin that starts again should know, in a file of the folder `state`, written behind what it is about. */
import { dirname } from 'node:path';
import { makeFolder, readIfThere, writeDurably } from './apply/files.ts';
import { LateWriter } from './apply/late-writer.ts';

/** Soon enough for a restart, and once for the many changes of a start. */
const maxLagMs = 1000;

export class StateFile implements AsyncDisposable {
  readonly #path: string;
  readonly #writer: LateWriter;
  readonly #onTrouble: (error: unknown) => void;
  #text: () => string = () => '';

  constructor(path: string, onTrouble: (error: unknown) => void) {
    this.#path = path;
    this.#onTrouble = onTrouble;
    this.#writer = new LateWriter({ write: () => this.#write(), maxLagMs: () => maxLagMs, onTrouble });
  }

  /** What it holds, read by `parse`; what that throws at is not ours to understand, and counts as nothing: null. */
  async read<T>(parse: (value: unknown) => T): Promise<T | null> {
    const text = (await readIfThere(this.#path))?.toString('utf8');
    try {
      return text === undefined ? null : parse(JSON.parse(text));
    } catch {
      return null;
    }
  }

  /** `text` is asked for when it is written. */
  keep(text: () => string): void {
    this.#text = text;
    this.#writer.note();
  }

  /** Writes what is still to be written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(this.#onTrouble);
  }

  async #write(): Promise<void> {
    await makeFolder(dirname(this.#path));
    await writeDurably(this.#path, `${this.#text()}\n`);
  }
}
