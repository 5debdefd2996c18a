/**
 * Who is asked when, of more services than there are connections. While what changes is told by a feed (`feed.ts`), a
 * service rests until it is named there, and is asked once a minute all the same; without one all take turns.
 */
import type { Ms } from '../../src/model.ts';
import type { Known } from './reading.ts';

/** Consul finds a service by its name in whatever capitals; what names one here is written like this. */
export function folded(name: string): string {
  return name.toLowerCase();
}

/** What changed in a datacenter: services, each with the index that its answer must have reached; `all`: it is not known which. */
export type Changed = ReadonlyMap<string, bigint | null> | 'all';

/** How long a request waits whose service has changed: the server that answers may not know of it yet. */
const newsMs = 2000;
/** And where it may have changed. */
const lookMs = 100;
const sweepMs = 60_000;
/**
 * After an answer that was news it is asked once more: what came and went between two lists stands in none of them, and an
 * answer may have seen it come.
 */
const againMs = 3000;
const tickMs = 1000;
/** An index may be missing from answers, as behind a proxy. */
const mostTries = 3;

type Due = {
  readonly atLeast: bigint | null;
  /** Whether it is to be asked whatever index is known: it went, or what is known is of an index that counts no more. */
  readonly isLook: boolean;
  readonly waitMs: Ms;
  tries: number;
};
type Place = { due: Due | null; wake: (() => void) | null; lookAt: number };
type Datacenter = { isFed: boolean; readonly services: Map<string, Place[]> };

export class Rota {
  readonly #turnMs: Ms;
  readonly #datacenters = new Map<string, Datacenter>();
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  /** `turnMs`: how long a request waits where all take turns. */
  constructor(turnMs: Ms) {
    this.#turnMs = turnMs;
    this.#timer = setInterval(() => this.#sweep(performance.now()), tickMs);
  }

  /** Returns how the service is followed: to be called before each request but the first. */
  join(datacenter: string, service: string): (known: Known) => Promise<Ms> {
    const its = this.#datacenter(datacenter);
    // Not all at the same time.
    const place: Place = { due: null, wake: null, lookAt: performance.now() + sweepMs * Math.random() };
    const name = folded(service);
    its.services.set(name, [...(its.services.get(name) ?? []), place]);
    let last: Known | null = null;
    return async (known) => {
      if (known !== last) place.lookAt = Math.min(place.lookAt, performance.now() + againMs * (1 + Math.random() / 2));
      last = known;
      if (!its.isFed || this.#isOver) return this.#turnMs;
      while (its.isFed && !this.#isOver && (place.due === null || isSeen(place.due, known))) {
        place.due = null;
        await new Promise<void>((resolve) => (place.wake = resolve));
      }
      if (place.due === null) return this.#turnMs;
      place.due.tries += 1;
      place.lookAt = performance.now() + sweepMs * (0.5 + Math.random());
      return place.due.waitMs;
    };
  }

  /** From now on changes of this datacenter are told, or no more. */
  setFed(datacenter: string, isFed: boolean): void {
    const its = this.#datacenter(datacenter);
    its.isFed = isFed;
    if (isFed) this.changed(datacenter, 'all');
    else for (const places of its.services.values()) places.forEach(rouse);
  }

  changed(datacenter: string, changed: Changed): void {
    const { services } = this.#datacenter(datacenter);
    if (changed === 'all') for (const places of services.values()) places.forEach(look);
    else
      for (const [service, atLeast] of changed)
        for (const place of services.get(service) ?? []) {
          const { due } = place;
          const isLook = atLeast === null || (due?.isLook === true && due.tries === 0);
          place.due = { atLeast: atLeast ?? due?.atLeast ?? null, isLook, waitMs: newsMs, tries: 0 };
          rouse(place);
        }
  }

  /** Nobody rests any longer. */
  end(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
    for (const { services } of this.#datacenters.values())
      for (const places of services.values()) places.forEach(rouse);
  }

  #sweep(now: number): void {
    for (const { services } of this.#datacenters.values())
      for (const places of services.values()) for (const place of places) if (place.lookAt <= now) look(place);
  }

  #datacenter(name: string): Datacenter {
    const known = this.#datacenters.get(name);
    if (known !== undefined) return known;
    const made = { isFed: false, services: new Map<string, Place[]>() };
    this.#datacenters.set(name, made);
    return made;
  }
}

/** One that is due for news already is asked with more patience; one that is being asked, once more. */
function look(place: Place): void {
  const { atLeast = null, waitMs = lookMs } = place.due ?? {};
  const isWaiting = place.due?.tries === 0 || atLeast !== null;
  place.due = { atLeast, isLook: true, waitMs: isWaiting ? waitMs : lookMs, tries: 0 };
  rouse(place);
}

function rouse(place: Place): void {
  place.wake?.();
  place.wake = null;
}

function isSeen({ atLeast, isLook, tries }: Due, { index }: Known): boolean {
  if (isLook && tries === 0) return false;
  if (atLeast !== null && index !== undefined && index >= atLeast) return true;
  return tries >= (atLeast === null ? 1 : mostTries);
}
