/**
 * The blocking queries about the services of one datacenter, while they wait. When a snapshot is restored, a server ends those that it
 * answers, before their time and without news; one that an agent answers from a stream of its own goes on to wait for an index
 * beyond the last, which the restored catalog may be far from. So one query at a time is for a server to answer, and when it is
 * ended so are the others.
 */
import type { Ms } from '../../../src/model.ts';

/** The services are queried anew within this time, and not all at once. */
const spreadMs: Ms = 2000;
/** A proxy may answer every query at once, which says nothing about the others. */
const everyMs: Ms = 30_000;

type Waiting = { readonly stop: AbortController; readonly isSentinel: boolean; timer: NodeJS.Timeout | undefined };

export type BlockingQuery = Disposable & {
  /** This one is for a server to answer. */
  readonly isSentinel: boolean;
  /** Aborts when what is known may be outdated. */
  readonly signal: AbortSignal;
};

export class BlockingQueries {
  readonly #waiting = new Set<Waiting>();
  #endedAt = Number.NEGATIVE_INFINITY;

  /** It waits until it is disposed of. */
  begin(): BlockingQuery {
    const stop = new AbortController();
    const isSentinel = ![...this.#waiting].some((one) => one.isSentinel);
    const one: Waiting = { stop, isSentinel, timer: undefined };
    this.#waiting.add(one);
    return {
      isSentinel,
      signal: stop.signal,
      [Symbol.dispose]: () => {
        clearTimeout(one.timer);
        this.#waiting.delete(one);
      },
    };
  }

  /** Ends those that wait now: a response shows that the catalog is another one than before. */
  endAll(): void {
    const now = performance.now();
    if (now - this.#endedAt < everyMs) return;
    this.#endedAt = now;
    for (const one of this.#waiting) one.timer ??= setTimeout(() => one.stop.abort(), spreadMs * Math.random());
  }
}
