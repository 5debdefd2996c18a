/** What the page knows: the newest status and the events, and whether the connection works. */
import type { Ms, Timestamp } from '../../model.ts';
import type { Event } from '../../report/events.ts';
import type { Status } from '../../report/status.ts';
import { ask, follow } from './api.ts';
import { spread, windowMs } from './model/timeline.ts';

export type View = {
  readonly status: Status;
  /** The oldest first. */
  readonly events: readonly Event[];
  /** Why there is no newer status; null: the connection works. */
  readonly lost: string | null;
};

/** What HAProxy says changes without an event. */
const leastMs: Ms = 400;
const mostMs: Ms = 1500;
/** A status of thousands of services is work for the server: it takes at most this part of the time. */
const share = 1 / 4;
/** Nobody looks. */
const hiddenMs: Ms = 10_000;
/** After an event others come with it, and of a stream of them not each is looked at. */
const gatherMs: Ms = 40;
const leastAfterEventMs: Ms = 150;
const againMs: Ms = 1000;
const mostEvents = 5000;

export class Store {
  #view: View | null = null;
  #trouble: string | null = null;
  #events: readonly Event[] = [];
  readonly #listeners = new Set<() => void>();
  /** By which the clock of the server is ahead of this one's, which only counts time here. */
  #ahead: Ms = 0;
  #wake: (delayMs: Ms) => void = () => {};

  /** null: there was no status yet. */
  get view(): View | null {
    return this.#view;
  }

  /** Why there was no status yet. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** By the clock of the server. */
  get now(): Timestamp {
    return performance.now() + this.#ahead;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Never ends. */
  start(): void {
    void this.#poll();
    void this.#follow();
    document.addEventListener('visibilitychange', () => this.#wake(0));
  }

  async #poll(): Promise<void> {
    for (;;) {
      const startedAt = performance.now();
      let waitMs = againMs;
      let leastWaitMs = againMs;
      try {
        const status = await ask<Status>('api/v1/status');
        const receivedAt = performance.now();
        // Half of the way there and back.
        this.#ahead = status.at - (startedAt + receivedAt) / 2;
        this.#show({ status, events: this.#events, lost: null });
        const restMs = Math.min(mostMs, (performance.now() - startedAt) / share);
        waitMs = document.hidden ? hiddenMs : Math.max(leastMs, restMs);
        leastWaitMs = Math.max(leastAfterEventMs, restMs);
      } catch (error) {
        this.#lose(messageOf(error));
      }
      await this.#pause(waitMs, leastWaitMs);
    }
  }

  /** Until the time is over, or until there is news, which is looked at soon. */
  #pause(ms: Ms, leastMs: Ms): Promise<void> {
    return new Promise((resolve) => {
      const beganAt = performance.now();
      const timer = setTimeout(resolve, ms);
      this.#wake = (delayMs) => {
        const waitMs = Math.max(delayMs, beganAt + leastMs - performance.now());
        if (performance.now() + waitMs >= beganAt + ms) return;
        clearTimeout(timer);
        this.#wake = () => {};
        setTimeout(resolve, waitMs);
      };
    });
  }

  async #follow(): Promise<void> {
    for (;;) {
      const life = new AbortController();
      try {
        let before: readonly Event[] = [];
        for await (const events of follow('15m', life.signal)) {
          // What was there before comes again with the history.
          before = this.#add(before, events.flatMap(spread));
          this.#wake(gatherMs);
        }
      } catch {
        // The poll says what is wrong with the connection.
      } finally {
        life.abort();
      }
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }

  #add(before: readonly Event[], events: readonly Event[]): readonly Event[] {
    const oldest = this.#view === null ? 0 : this.now - windowMs;
    this.#events = [...before, ...events]
      .filter(({ at }) => at >= oldest)
      .sort((a, b) => a.at - b.at)
      .slice(-mostEvents);
    if (this.#view !== null) this.#show({ ...this.#view, events: this.#events });
    return this.#events;
  }

  #lose(reason: string): void {
    this.#trouble = reason;
    if (this.#view === null) for (const listener of this.#listeners) listener();
    else this.#show({ ...this.#view, lost: reason });
  }

  #show(view: View): void {
    this.#view = view;
    for (const listener of this.#listeners) listener();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
