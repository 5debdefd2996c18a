/**
 * Parses large files on threads of their own, one a file: here they would hold up all other sources, and HAProxy, for seconds;
 * and who writes a file that takes long holds up no file beside it.
 */
import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe } from '../../src/errors.ts';
import { type Parsed, parseServices } from './parse.ts';

/** Parsed in some 20 ms, which is less than a thread takes to start. */
const longestHere = 32_768;
const script = new URL(`./parse-worker${extname(import.meta.url)}`, import.meta.url);
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

  /** null: it, or what stood there before, is still being parsed; `onDone` is told when that is over. */
  parse({ file, text }: Work): Parsed | null {
    if (text.length <= longestHere) return parseServices(file, text);
    const before = this.#jobs.get(file);
    if (before !== undefined && (before.parsed === null || before.text === text)) return before.parsed;
    const job: Job = { text, parsed: null, ended: this.#start({ file, text }, (parsed) => this.#end(job, parsed)) };
    this.#jobs.set(file, job);
    return null;
  }

  /** Forgets the others. */
  keep(files: ReadonlyMap<string, unknown>): void {
    for (const [file, { parsed }] of this.#jobs) if (parsed !== null && !files.has(file)) this.#jobs.delete(file);
  }

  /** All that is under way now. */
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
    const worker = new Worker(script, { workerData: work, resourceLimits: limits });
    // What it may still suffer once it has answered is of no consequence.
    worker.on('error', () => {});
    try {
      const [parsed] = (await once(worker, 'message', { signal })) as [Parsed];
      onEnd(parsed);
    } catch (error) {
      // What cannot be parsed for want of memory is a file that cannot be used.
      if (!signal.aborted) onEnd({ kind: 'invalid', reason: `${work.file}:1:1: cannot be parsed: ${describe(error)}` });
    } finally {
      await worker.terminate();
    }
  }
}
