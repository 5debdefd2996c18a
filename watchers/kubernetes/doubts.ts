/**
 * Services that seem to have nobody any more, until a second read says so too: lists of just these Services and their
 * slices, consistent as the first one, asked after it. What the watch brings meanwhile ends a doubt at once.
 */
import { AppError } from '../../src/errors.ts';
import type { Ms } from '../../src/model.ts';
import { backoffMs, pause } from '../../src/retry.ts';
import { namesAtOnce, type ServiceKey } from './question.ts';
import type { SecondRead } from './second-read.ts';

export type Doubting = {
  readonly read: (keys: readonly ServiceKey[]) => Promise<SecondRead>;
  /** The second read; whoever is still in doubt after it stays so. */
  readonly onRead: (keys: readonly ServiceKey[], found: SecondRead) => void;
  /** Of the read, not of the Services. */
  readonly onFailure: (keys: readonly ServiceKey[], error: unknown) => void;
  readonly signal: AbortSignal;
};

const backoff = { baseMs: 200, capMs: 5000 };
/** Where list and watch go on to contradict each other for so many reads, neither is believed. */
const mostReads = 10;

export class Doubts {
  readonly #reads = new Map<ServiceKey, number>();
  #news = Promise.withResolvers<void>();

  add(key: ServiceKey): void {
    if (this.#reads.has(key)) return;
    this.#reads.set(key, 0);
    this.#news.resolve();
  }

  end(key: ServiceKey): void {
    this.#reads.delete(key);
  }

  has(key: ServiceKey): boolean {
    return this.#reads.has(key);
  }

  /** Ends when `signal` aborts; throws when the source contradicts itself for good. */
  async settle({ read, onRead, onFailure, signal }: Doubting): Promise<void> {
    const wake = (): void => this.#news.resolve();
    signal.addEventListener('abort', wake, { once: true });
    for (let failures = 0; !signal.aborted; ) {
      // Who has been asked about least goes first.
      const keys = [...this.#reads]
        .sort(([, a], [, b]) => a - b)
        .slice(0, namesAtOnce)
        .map(([key]) => key);
      if (keys.length === 0) {
        this.#news = Promise.withResolvers();
        await this.#news.promise;
        continue;
      }
      let found: SecondRead;
      try {
        found = await read(keys);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        onFailure(keys, error);
        await pause(backoffMs(failures, backoff), signal);
        failures += 1;
        continue;
      }
      onRead(keys, found);
      await pause(this.#count(keys), signal);
    }
  }

  /** Returns how long to leave those alone that are still in doubt: the watch is about to tell more. */
  #count(keys: readonly ServiceKey[]): Ms {
    let most = 0;
    for (const key of keys) {
      const reads = this.#reads.get(key);
      if (reads === undefined) continue;
      if (reads >= mostReads)
        throw new AppError(
          'MYELIN_SOURCE_FAILED',
          `the watch says again and again that nobody serves ${key}, and the list that somebody does`,
        );
      this.#reads.set(key, reads + 1);
      most = Math.max(most, reads + 1);
    }
    return most === 0 ? 0 : backoffMs(most, backoff, () => 1) / 2;
  }
}
