/** The messages as events: the last ones are kept, and clients that follow a running Myelin get new ones at once. */
import type { Timestamp } from '../model.ts';
import type { ShownMessage } from './messages.ts';

/** `id`: unique within this run of Myelin, and rising. */
export type Event = { readonly id: string; readonly at: Timestamp } & ShownMessage;

const mostKept = 100;
export type EventsOptions = {
  readonly now: () => Timestamp;
  /** Masks secrets in events. */
  readonly masked: <T>(value: T) => T;
};

export class Events {
  readonly #now: () => Timestamp;
  readonly #masked: EventsOptions['masked'];
  /** Distinguishes the ids of this run from those of an earlier one. */
  readonly #run: string;
  readonly #listeners = new Set<(event: Event) => void>();
  #kept: readonly { readonly count: number; readonly event: Event }[] = [];
  #count = 0;

  constructor({ now, masked }: EventsOptions) {
    this.#now = now;
    this.#masked = masked;
    this.#run = now().toString(36);
  }

  add(message: ShownMessage): void {
    this.#count += 1;
    const count = this.#count;
    const event = { id: `${this.#run}-${count}`, at: this.#now(), ...this.#masked(message) };
    this.#kept = [...this.#kept.slice(1 - mostKept), { count, event }];
    for (const listener of this.#listeners) listener(event);
  }

  /** The kept events after the event `lastId`; all kept events where `lastId` is unknown or of an earlier run. */
  after(lastId: string | null): readonly Event[] {
    const [run, digits = ''] = lastId?.split('-') ?? [];
    const last = run === this.#run && /^\d+$/.test(digits) ? Number(digits) : 0;
    // Masked again: the event may contain a text that was learned to be a secret since then.
    return this.#kept.filter(({ count }) => count > last).map(({ event }) => this.#masked(event));
  }

  /** The id of the newest event; null: there was none. */
  get lastId(): string | null {
    return this.#count === 0 ? null : `${this.#run}-${this.#count}`;
  }

  /** Whether `id` is of this run. */
  knows(id: string | null): boolean {
    return id?.split('-')[0] === this.#run;
  }

  /** `listener` gets every event from now on, and must not throw. The returned function ends this. */
  subscribe(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
