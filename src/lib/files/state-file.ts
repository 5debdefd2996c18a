/** Knowledge for the next start of Myelin, in a file of the folder `state`, written soon after each change. */
import { dirname } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Ms } from '../../model.ts';
import { isThere, makeFolder, readIfThere, readNewer, removeIfThere, writeInPieces } from './files.ts';
import { WriteBehind } from './write-behind.ts';

/** Soon enough for a restart, and once for the many changes of a start… */
const shortestLagMs: Ms = 1000;
/** …but where very much is known of which something changes all the time, no more than so much a second is written… */
const bytesPerMs = 250;
/** …and that at least once in this time. */
const longestLagMs: Ms = 120_000;

export class StateFile implements AsyncDisposable {
  readonly #path: string;
  readonly #formerPath: string | null;
  readonly #writer: WriteBehind;
  readonly #onTrouble: (error: unknown) => void;
  #parts: () => Iterable<string> = () => [];
  #bytes = 0;

  /** `formerPath`: its place in older versions. That file is read while it is the newer one, and removed by the next write. */
  constructor(path: string, onTrouble: (error: unknown) => void, formerPath: string | null = null) {
    this.#path = path;
    this.#formerPath = formerPath;
    this.#onTrouble = onTrouble;
    this.#writer = new WriteBehind({ write: () => this.#write(), maxLagMs: () => lagOf(this.#bytes), onTrouble });
  }

  /** The content, read by `parse`; null, and told, where it cannot be read, or `parse` throws because the format is unknown. */
  async read<T>(parse: (value: unknown) => T): Promise<T | null> {
    const [path, former] = [this.#path, this.#formerPath];
    const read = (): Promise<Buffer | null> => (former === null ? readIfThere(path) : readNewer(path, former));
    return readState(path, read, parse, this.#onTrouble);
  }

  /** Whether there is a file in the former place, which the next write removes. */
  async hasFormer(): Promise<boolean> {
    return this.#formerPath !== null && (await isThere(this.#formerPath));
  }

  /** `parts` is asked for when they are written, and each of them while they are. */
  keep(parts: () => Iterable<string>): void {
    this.#parts = parts;
    this.#writer.note();
  }

  /** Writes what is still to be written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(this.#onTrouble);
  }

  async #write(): Promise<void> {
    await makeFolder(dirname(this.#path));
    this.#bytes = await writeInPieces(this.#path, this.#parts());
    if (this.#formerPath !== null) await removeIfThere(this.#formerPath);
  }
}

/** What was kept in `state` for the next start of Myelin. What is lost with a damaged file is told: nobody may miss it otherwise. */
export async function readState<T>(
  path: string,
  read: () => Promise<Buffer | null>,
  parse: (value: unknown) => T,
  onTrouble: (error: unknown) => void,
): Promise<T | null> {
  try {
    const bytes = await read();
    return bytes === null ? null : parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    onTrouble(error instanceof AppError ? error : damaged(path, error));
    return null;
  }
}

function damaged(path: string, cause: unknown): AppError {
  return new AppError('MYELIN_WRITE_FAILED', `${path} has nothing in it that this Myelin can read`, {
    cause,
    remedy: 'nothing, unless it comes again: Myelin goes on without it and writes it anew',
  });
}

/** The writer waits for half of it. */
export function lagOf(bytes: number): Ms {
  return Math.min(longestLagMs, Math.max(shortestLagMs, (2 * bytes) / bytesPerMs));
}

/** The parts of a list in JSON, an entry a line. */
export function* listed<T>(entries: Iterable<T>, textOf: (entry: T) => string): Generator<string> {
  let before = '[';
  for (const entry of entries) {
    yield `${before}${textOf(entry)}`;
    before = ',\n';
  }
  yield before === '[' ? '[]\n' : ']\n';
}
