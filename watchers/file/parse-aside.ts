/**
 * Parses each large file on a thread of its own. On the main thread it would delay all other sources for seconds; on a shared
 * thread it would delay the other files.
 */
import { once } from 'node:events';
import { describe } from '../../src/errors.ts';
import { startOwnWorker } from '../../src/lib/own-package.ts';
import { type Parsed, parseServices } from './parse.ts';

/** Text of this length is parsed in some 20 ms: starting a thread takes longer. */
const longestHere = 32_768;
const limits = { maxOldGenerationSizeMb: 384 };

/** What a file is parsed from, on that thread. */
export type Work = { readonly file: string; readonly text: string };

type Job = { readonly text: string; readonly ended: Promise<void>; parsed: Parsed | null };

export class Parsing implements AsyncDisposable {
  readonly #onDone: () => void;
  readonly #jobs = new Map<string, Job>();
  readonly #stop = new AbortController();

  constructor(onDone: () => void) {
    this.#onDone = onDone;
  }

  /** null: the text, or an earlier one of this file, is still being parsed; `onDone` is called when that has ended. */
  parse({ file, text }: Work): Parsed | null {
    if (text.length <= longestHere) return parseServices(file, text);
    const before = this.#jobs.get(file);
    if (before !== undefined && (before.parsed === null || before.text === text)) return before.parsed;
    const job: Job = { text, parsed: null, ended: this.#start({ file, text }, (parsed) => this.#end(job, parsed)) };
    this.#jobs.set(file, job);
    return null;
  }

  /** Forgets all other files. */
  keep(files: ReadonlyMap<string, unknown>): void {
    for (const [file, { parsed }] of this.#jobs) if (parsed !== null && !files.has(file)) this.#jobs.delete(file);
  }

  /** Settles when all files that are being parsed now are done. */
  async idle(): Promise<void> {
    await Promise.all([...this.#jobs.values()].map(({ ended }) => ended));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.idle();
  }

  #end(job: Job, parsed: Parsed): void {
    job.parsed = parsed;
    this.#onDone();
  }

  async #start(work: Work, onEnd: (parsed: Parsed) => void): Promise<void> {
    const { signal } = this.#stop;
    const worker = startOwnWorker('watchers/file/parse-worker', { workerData: work, resourceLimits: limits });
    // An error after the result does not matter.
    worker.on('error', () => {});
    try {
      const [parsed] = (await once(worker, 'message', { signal })) as [Parsed];
      onEnd(parsed);
    } catch (error) {
      // A file that needs too much memory counts as invalid.
      if (!signal.aborted) onEnd({ kind: 'invalid', reason: `${work.file}:1:1: cannot be parsed: ${describe(error)}` });
    } finally {
      await worker.terminate();
    }
  }
}
