/**
 * What happened, over restarts of Myelin: kept in memory, and line by line in a file of `state`. A line that has the id of an
 * earlier one stands in its place. Whatever befalls the file, Myelin goes on.
 */
import { appendFile, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, describe, hasCode } from '../../errors.ts';
import { makeFolder, writeFailed, writeInPieces } from '../../lib/files/files.ts';
import { WriteBehind } from '../../lib/files/write-behind.ts';
import type { Ms, Timestamp } from '../../model.ts';
import type { Event } from '../events.ts';
import { entryOf } from '../messages.ts';
import { type Entry, entryFrom, isOpen, Kept, mostBytes, type PastEvent, pastEventOf } from './kept.ts';

/** What comes within a moment is written together. */
const lagMs: Ms = 2000;
/** A longer file is written again with what is kept; of what is much longer only the end is read. */
const longestFile = 2 * mostBytes;
const mode = 0o640;
/** After a failure. */
const pauseMs: Ms = 60_000;
/** While nothing can be written. */
const mostUnwritten = 1000;

export type HistoryOptions = {
  readonly path: string;
  readonly now: () => Timestamp;
  /** Masks secrets in what is shown. */
  readonly masked: <T>(value: T) => T;
  readonly onTrouble: (error: unknown) => void;
  /** An event is only counted, because many of its kind happened at once. */
  readonly onUnlisted: () => void;
};

/** `isNew`: the file has nothing of it. */
type Unwritten = { readonly entry: Entry; readonly isNew: boolean };

export class History implements AsyncDisposable {
  readonly #options: HistoryOptions;
  readonly #kept = new Kept();
  readonly #writer: WriteBehind;
  /** Settles when what happened before the start is known, too. */
  readonly loaded: Promise<void>;
  readonly #unwritten = new Map<string, Unwritten>();
  #fileBytes = 0;
  /** The file is to be written as a whole. */
  #isUnsound = false;
  /** The last line may be a part of one. */
  #isCut = false;
  #failedAt: Timestamp | null = null;
  #isClosing = false;

  /** The file is read beside the start of Myelin. */
  constructor(options: HistoryOptions) {
    this.#options = options;
    const { onTrouble } = options;
    this.#writer = new WriteBehind({ write: () => this.#write(), maxLagMs: () => lagMs, onTrouble });
    this.loaded = this.#readFile().catch((error: unknown) => {
      this.#isUnsound = true;
      onTrouble(error);
    });
  }

  /** Whether the file has what happened, but for the last moment. */
  get isCurrent(): boolean {
    return this.#failedAt === null;
  }

  get size(): number {
    return this.#kept.size;
  }

  add(event: Event): void {
    if (entryOf(event.kind).level === 'debug') return;
    const { entry, before, isListed } = this.#kept.add(event);
    const isNew = before === null || this.#unwritten.get(before.id)?.isNew === true;
    this.#unwritten.set(entry.id, { entry, isNew });
    if (!isListed) this.#options.onUnlisted();
    if (this.#unwritten.size > mostUnwritten) this.#writeAllLater();
    // A repetition is written with what is new, or at the end: what is lost with a crash is a number.
    if (isNew) this.#writer.note();
  }

  /** What happened at `since` or later, the last time at least, in the order in which it began. */
  list(since: Timestamp): readonly PastEvent[] {
    // Masked again: an event may contain a text that was learned to be a secret since then.
    return this.#options.masked(this.#kept.entries.map(pastEventOf).filter((event) => event.lastAt >= since));
  }

  /** Writes what is still to be written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    if (this.#unwritten.size > 0) this.#writer.note();
    await this.#writer.close().catch(this.#options.onTrouble);
  }

  async #readFile(): Promise<void> {
    const { path, onTrouble } = this.#options;
    const { text, size } = await tailOf(path);
    const lines = text.split('\n');
    // A crash may have cut off the last line.
    if (lines.pop() !== '') this.#isUnsound = true;
    const entries = lines.filter((line) => line !== '').map(entryFrom);
    const byId = new Map(entries.flatMap((entry) => (entry === null ? [] : [[entry.id, entry]])));
    this.#kept.restore([...byId.values()]);
    this.#fileBytes = size;
    const damaged = entries.filter((entry) => entry === null).length;
    if (damaged === 0) return;
    this.#isUnsound = true;
    onTrouble(unreadable(path, damaged));
  }

  async #write(): Promise<void> {
    await this.loaded;
    const now = this.#options.now();
    // A disk that is full is not for us to fill again and again.
    if (this.#failedAt !== null && Math.abs(now - this.#failedAt) < pauseMs) return;
    const due = [...this.#unwritten].filter(([, { entry, isNew }]) => isNew || this.#isClosing || !isOpen(entry, now));
    try {
      if (due.length > 0 || this.#isUnsound) await this.#put(due.map(([, { entry }]) => `${entry.text}\n`).join(''));
    } catch (error) {
      this.#failedAt = now;
      this.#isCut = true;
      throw error;
    }
    this.#failedAt = null;
    for (const [id, written] of due) {
      const since = this.#unwritten.get(id);
      if (since === written) this.#unwritten.delete(id);
      else if (since !== undefined) this.#unwritten.set(id, { ...since, isNew: false });
    }
  }

  async #put(lines: string): Promise<void> {
    const { path } = this.#options;
    const text = this.#isCut ? `\n${lines}` : lines;
    const bytes = Buffer.byteLength(text);
    await makeFolder(dirname(path));
    if (this.#isUnsound || this.#fileBytes + bytes > longestFile) {
      const all = this.#kept.entries.map((entry) => `${entry.text}\n`);
      this.#fileBytes = await writeInPieces(path, all);
    } else {
      await appendFile(path, text, { mode }).catch((error: unknown) => {
        throw writeFailed(path, error);
      });
      this.#fileBytes += bytes;
    }
    this.#isUnsound = this.#isCut = false;
  }

  #writeAllLater(): void {
    this.#isUnsound = true;
    this.#unwritten.clear();
  }
}

/** The end of the file, from the beginning of a line on, and the size of the whole; nothing where there is no file. */
async function tailOf(path: string): Promise<{ readonly text: string; readonly size: number }> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const from = Math.max(0, size - 2 * longestFile);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    const text = buffer.toString('utf8', 0, bytesRead);
    return { text: from === 0 ? text : text.slice(text.indexOf('\n') + 1), size };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { text: '', size: 0 };
    throw new AppError('MYELIN_WRITE_FAILED', `${path} cannot be read: ${describe(error)}`, { cause: error, remedy });
  }
}

function unreadable(path: string, lines: number): AppError {
  const what = lines === 1 ? '1 line' : `${lines} lines`;
  return new AppError('MYELIN_WRITE_FAILED', `${what} of ${path} cannot be read: the history goes on without`, {
    remedy,
  });
}

const remedy = 'nothing, unless it comes again: what happens from now on is kept';
