/**
 * Lines of a file that is open already: each is there, for whoever reads the file, as soon as `add` returns, some hundredths of a
 * millisecond later. Not synced to disk: a line outlives its process, not its machine.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { isThere } from './files.ts';

export class Journal implements Disposable {
  readonly #path: string;
  readonly #descriptor: number;
  /** Behind what an earlier process left there, which stays until `replace`. */
  #end: number;

  /** Throws where the file cannot be opened. */
  constructor(path: string) {
    const { O_WRONLY, O_CREAT, O_NOFOLLOW } = constants;
    this.#path = path;
    this.#descriptor = openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o640);
    this.#end = fstatSync(this.#descriptor).size;
  }

  /** Throws where it cannot be written. */
  add(line: string): void {
    // One that could not be written whole does not spoil the next.
    this.#end += writeSync(this.#descriptor, `\n${line}`, this.#end);
  }

  /** These are its lines now. A process that is killed meanwhile leaves these and some of the others. */
  replace(lines: readonly string[]): void {
    if (this.#end === 0 && lines.length === 0) return;
    this.#end = writeSync(this.#descriptor, lines.map((line) => `\n${line}`).join(''), 0);
    ftruncateSync(this.#descriptor, this.#end);
  }

  /** Whether the file is still in its place: somebody may have removed it. */
  isInPlace(): Promise<boolean> {
    return isThere(this.#path);
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
