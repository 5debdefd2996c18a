/**
 * Services that seem to have no endpoints any more, until a second read confirms it: lists of these Services and their
 * slices, consistent as the first one, asked after it. What the watch brings meanwhile ends a doubt at once. A Service
 * that was deleted gets a second before that, in which a replacement is created (docs/decisions/0036-replaced-services.md). One that has
 * just been created, perhaps again, gets the time that its slices take: to call it empty would be an answer that nobody meant.
 */
import { AppError } from '../../src/errors.ts';
import { backoffMs, pause } from '../../src/lib/time/retry.ts';
import type { Moment, Ms } from '../../src/model.ts';
import type { SecondRead } from './api/second-read.ts';
import { namesAtOnce, type ServiceKey } from './service-query.ts';

export type Doubting = {
  readonly read: (keys: readonly ServiceKey[]) => Promise<SecondRead>;
  /**
   * The second read, and the Services whose doubt has not changed since it began; the unsettled stay in doubt.
   * Returns false where it says nothing for now.
   */
  readonly onRead: (keys: readonly ServiceKey[], found: SecondRead) => boolean;
  /** The second read has failed, which says nothing about the Services. */
  readonly onFailure: (keys: readonly ServiceKey[], error: unknown) => void;
  readonly signal: AbortSignal;
};

const backoff = { baseMs: 200, capMs: 5000 };
/** Where list and watch go on to contradict each other for so many reads, neither is believed. */
const mostReads = 10;
/** From the deletion of a Service that is replaced to its creation: `kubectl replace --force` from 100 ms away. */
const replacedWithinMs: Ms = 1000;
/** For the slices of a Service that is created, perhaps again. */
const createdWithinMs: Ms = 1500;
/** Slices are written after their Service changes, such as a renamed port; in a large cluster that takes a while. */
const writtenWithinMs: Ms = 10_000;
const pauseMs: Ms = 1000;

/** `unsettled`: there are pods, in slices that are not written for what the Service has become. */
export type Why = 'empty' | 'without_slices' | 'deleted' | 'unsettled';

type Doubt = {
  readonly reads: number;
  readonly why: Why;
  /** When the second read may begin. */
  readonly dueAt: Moment;
};

export class Doubts {
  readonly #doubts = new Map<ServiceKey, Doubt>();
  /** Those that were created lately, the first one first. */
  readonly #createdAt = new Map<ServiceKey, Moment>();
  readonly #now: () => Moment;
  #news = Promise.withResolvers<void>();

  /** `now`: of a clock that only goes forward. */
  constructor(now: () => Moment = () => performance.now()) {
    this.#now = now;
  }

  /** The watch says that this Service has just been created, perhaps again. */
  created(key: ServiceKey): void {
    const now = this.#now();
    this.#createdAt.delete(key);
    this.#createdAt.set(key, now);
    for (const [one, at] of this.#createdAt) {
      if (at + createdWithinMs > now) break;
      this.#createdAt.delete(one);
    }
  }

  add(key: ServiceKey, why: Why): void {
    const before = this.#doubts.get(key);
    if (before?.why === why) return;
    this.#doubts.set(key, { reads: before?.reads ?? 0, why, dueAt: this.#dueAt(key, why) });
    this.#news.resolve();
  }

  end(key: ServiceKey): void {
    this.#doubts.delete(key);
  }

  has(key: ServiceKey): boolean {
    return this.#doubts.has(key);
  }

  /** Ends when `signal` aborts; throws when the source contradicts itself for good. */
  async settle({ read, onRead, onFailure, signal }: Doubting): Promise<void> {
    const wake = (): void => this.#news.resolve();
    signal.addEventListener('abort', wake, { once: true });
    for (let failures = 0; !signal.aborted; ) {
      const now = this.#now();
      // The Services with the fewest reads go first.
      const asked = [...this.#doubts]
        .filter(([, { dueAt }]) => dueAt <= now)
        .sort(([, a], [, b]) => a.reads - b.reads)
        .slice(0, namesAtOnce);
      const keys = asked.map(([key]) => key);
      if (keys.length === 0) {
        await this.#wait(now);
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
      // The read says too little about a Service that was deleted or created again meanwhile.
      const same = asked.filter(([key, doubt]) => this.#doubts.get(key) === doubt).map(([key]) => key);
      await pause(onRead(same, found) ? this.#count(same) : pauseMs, signal);
    }
  }

  #dueAt(key: ServiceKey, why: Why): Moment {
    const now = this.#now();
    switch (why) {
      case 'deleted':
        return now + replacedWithinMs;
      case 'unsettled':
        return now + writtenWithinMs;
      case 'without_slices':
        return Math.max(now, (this.#createdAt.get(key) ?? Number.NEGATIVE_INFINITY) + createdWithinMs);
      case 'empty':
        return now;
    }
  }

  /** Resolves when there is another doubt, or one is due. */
  async #wait(now: Moment): Promise<void> {
    this.#news = Promise.withResolvers();
    const { promise, resolve } = this.#news;
    const [first] = [...this.#doubts.values()].map(({ dueAt }) => dueAt).sort((a, b) => a - b);
    const timer = first === undefined ? undefined : setTimeout(resolve, first - now);
    await promise;
    clearTimeout(timer);
  }

  /** Returns how long to wait for those still in doubt: the watch may soon bring more. */
  #count(keys: readonly ServiceKey[]): Ms {
    let most = 0;
    for (const key of keys) {
      const doubt = this.#doubts.get(key);
      if (doubt === undefined) continue;
      if (doubt.reads >= mostReads)
        throw new AppError(
          'MYELIN_SOURCE_FAILED',
          `the watch says again and again that nobody serves ${key}, and the list that somebody does`,
        );
      this.#doubts.set(key, { ...doubt, reads: doubt.reads + 1 });
      most = Math.max(most, doubt.reads + 1);
    }
    return most === 0 ? 0 : backoffMs(most, backoff, () => 1) / 2;
  }
}
