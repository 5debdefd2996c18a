/**
 * When each service is queried, where services outnumber connections. While a change feed (`change-feed.ts`) is up, a service is
 * queried when the feed names it, and once in a while in any case. Without a feed all services are queried in turn.
 */

import type { Moment, Ms } from '../../../src/model.ts';
import { folded } from '../names.ts';
import type { ServiceResult } from '../service/result.ts';

/** The services that changed in a datacenter, each with the index that its result must reach; `all`: any may have changed. */
export type Changed = ReadonlyMap<string, bigint | null> | 'all';

/** How long a query blocks when the service has changed: the responding server may not know the change yet. */
const changedWaitMs: Ms = 2000;
/** The same when the service may have changed. */
const maybeChangedWaitMs: Ms = 100;
/** Every service is queried this often in any case… */
const leastSweepMs: Ms = 60_000;
/** …where there are no more than a thousand; else so many of them, in turn. */
const sweepMsPerService: Ms = 60;
/** After a new result the service is queried once more: a change between two lists that was undone stands in neither. */
const againMs: Ms = 3000;
const tickMs: Ms = 1000;
/** A result may never reach the index: a proxy may drop it. */
const mostTries = 3;

/** A query that is due. */
type Due = {
  /** The index that the result must reach; null: any. */
  readonly atLeast: bigint | null;
  /** It is sent even if the last result has that index: the service went away, or the index is unknown. */
  readonly isForced: boolean;
  readonly waitMs: Ms;
  tries: number;
};
/** A service in the schedule. */
type Entry = { due: Due | null; wake: (() => void) | null; sweepAt: Moment };
type Datacenter = { hasFeed: boolean; readonly services: Map<string, Entry[]> };

export class Schedule {
  readonly #turnMs: () => Ms;
  readonly #datacenters = new Map<string, Datacenter>();
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  /** `turnMs`: how long a query blocks where all services are queried in turn. */
  constructor(turnMs: () => Ms) {
    this.#turnMs = turnMs;
    this.#timer = setInterval(() => this.#sweep(performance.now()), tickMs);
  }

  /**
   * Returns a function to be called before each query but the first: it resolves when that query is due, to how long it may
   * block. The service leaves when `signal` aborts.
   */
  join(datacenter: string, service: string, signal: AbortSignal): (last: ServiceResult) => Promise<Ms> {
    const its = this.#datacenter(datacenter);
    // The first sweep is spread over the minute.
    const entry: Entry = { due: null, wake: null, sweepAt: performance.now() + leastSweepMs * Math.random() };
    const name = folded(service);
    its.services.set(name, [...(its.services.get(name) ?? []), entry]);
    const leave = (): void => {
      const others = (its.services.get(name) ?? []).filter((one) => one !== entry);
      if (others.length > 0) its.services.set(name, others);
      else its.services.delete(name);
      wake(entry);
    };
    signal.addEventListener('abort', leave, { once: true });
    let before: ServiceResult | null = null;
    return async (last) => {
      if (last !== before)
        entry.sweepAt = Math.min(entry.sweepAt, performance.now() + againMs * (1 + Math.random() / 2));
      before = last;
      const mayRest = (): boolean => its.hasFeed && !this.#isOver && !signal.aborted;
      if (!mayRest()) return this.#turnMs();
      while (mayRest() && (entry.due === null || isReached(entry.due, last))) {
        entry.due = null;
        await new Promise<void>((resolve) => (entry.wake = resolve));
      }
      if (entry.due === null) return this.#turnMs();
      entry.due.tries += 1;
      const sweepMs = Math.max(leastSweepMs, its.services.size * sweepMsPerService);
      entry.sweepAt = performance.now() + sweepMs * (0.5 + Math.random());
      return entry.due.waitMs;
    };
  }

  /** The change feed of this datacenter is up, or down. */
  setFeed(datacenter: string, hasFeed: boolean): void {
    const its = this.#datacenter(datacenter);
    its.hasFeed = hasFeed;
    if (hasFeed) this.changed(datacenter, 'all');
    else for (const entries of its.services.values()) entries.forEach(wake);
  }

  changed(datacenter: string, changed: Changed): void {
    const { services } = this.#datacenter(datacenter);
    if (changed === 'all') for (const entries of services.values()) entries.forEach(force);
    else
      for (const [service, atLeast] of changed)
        for (const entry of services.get(service) ?? []) {
          const { due } = entry;
          const isForced = atLeast === null || (due?.isForced === true && due.tries === 0);
          entry.due = { atLeast: atLeast ?? due?.atLeast ?? null, isForced, waitMs: changedWaitMs, tries: 0 };
          wake(entry);
        }
  }

  /** All services are free to end. */
  end(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    for (const { services } of this.#datacenters.values())
      for (const entries of services.values()) entries.forEach(wake);
  }

  #sweep(now: number): void {
    for (const { services } of this.#datacenters.values())
      for (const entries of services.values()) for (const entry of entries) if (entry.sweepAt <= now) force(entry);
  }

  #datacenter(name: string): Datacenter {
    const known = this.#datacenters.get(name);
    if (known !== undefined) return known;
    const made = { hasFeed: false, services: new Map<string, Entry[]>() };
    this.#datacenters.set(name, made);
    return made;
  }
}

/** Keeps the longer wait of a query that is due already; after one that is under way there is another. */
function force(entry: Entry): void {
  const { atLeast = null, waitMs = maybeChangedWaitMs } = entry.due ?? {};
  const isWaiting = entry.due?.tries === 0 || atLeast !== null;
  entry.due = { atLeast, isForced: true, waitMs: isWaiting ? waitMs : maybeChangedWaitMs, tries: 0 };
  wake(entry);
}

function wake(entry: Entry): void {
  entry.wake?.();
  entry.wake = null;
}

/** Whether the due query is done, or need not be sent. */
function isReached({ atLeast, isForced, tries }: Due, { index }: ServiceResult): boolean {
  if (isForced && tries === 0) return false;
  if (atLeast !== null && index !== undefined && index >= atLeast) return true;
  return tries >= (atLeast === null ? 1 : mostTries);
}
