/** What happens in a running Myelin, for those who watch it: the last of it is kept, and who listens is told at once. */
import timers from 'node:timers';
import type { Drift, Ms, Problem, ReloadReason, ServerOverride, Timestamp } from '../model.ts';

/** Where a list is long its first items stand here, and `more` counts the others. */
export type Happening =
  /** What the source answered to these questions is news. */
  | { readonly kind: 'answered'; readonly watcher: string; readonly queries: readonly string[]; readonly more: number }
  /** It has answered every question once. */
  | { readonly kind: 'synced'; readonly watcher: string }
  | { readonly kind: 'source_failed'; readonly watcher: string; readonly reason: string; readonly retryInMs: Ms }
  | { readonly kind: 'source_recovered'; readonly watcher: string }
  /** These questions fail for one reason. */
  | {
      readonly kind: 'answer_stale';
      readonly watcher: string;
      readonly queries: readonly string[];
      readonly more: number;
      readonly reason: string;
    }
  | {
      readonly kind: 'answer_fresh';
      readonly watcher: string;
      readonly queries: readonly string[];
      readonly more: number;
    }
  /** Some of an answer is left out. */
  | { readonly kind: 'refused'; readonly watcher: string; readonly query: string; readonly count: number }
  /** `until` null: for ever. */
  | {
      readonly kind: 'kept';
      readonly service: string;
      readonly reason: 'emptied' | 'shrunk';
      readonly endpoints: number;
      readonly until: Timestamp | null;
    }
  | { readonly kind: 'kept_no_longer'; readonly service: string }
  /** A service that a source offers is not served. */
  | { readonly kind: 'left_out'; readonly watcher: string; readonly service: string; readonly reason: string }
  | { readonly kind: 'left_out_no_more'; readonly watcher: string; readonly service: string }
  /** An operator lets kept endpoints go. */
  | { readonly kind: 'accepted'; readonly service: string; readonly endpoints: number }
  /** A reload has to wait. */
  | {
      readonly kind: 'pending';
      readonly reasons: readonly ReloadReason[];
      readonly more: number;
      readonly because: string;
      readonly startsAt: Timestamp;
    }
  /** It ends with `reload`, `rejected` or `failed`, or is tried again. */
  | { readonly kind: 'reload_begun'; readonly reasons: readonly ReloadReason[]; readonly more: number }
  /** `sinceChangeMs`: since the oldest change at a source that it is about; null: it is about none. */
  | {
      readonly kind: 'reload';
      readonly reasons: readonly ReloadReason[];
      readonly more: number;
      readonly tookMs: Ms;
      readonly sinceChangeMs: Ms | null;
    }
  /** Servers of these backends were changed by that many commands. */
  | {
      readonly kind: 'runtime';
      readonly backends: readonly string[];
      readonly more: number;
      readonly commands: number;
      readonly tookMs: Ms;
      readonly sinceChangeMs: Ms | null;
    }
  | { readonly kind: 'rejected'; readonly problems: readonly Problem[]; readonly more: number }
  | {
      readonly kind: 'failed';
      readonly error: string;
      readonly reasons: readonly ReloadReason[];
      readonly more: number;
    }
  | {
      readonly kind: 'set_apart';
      readonly service: string;
      readonly problems: readonly Problem[];
      readonly more: number;
    }
  | { readonly kind: 'whole_again'; readonly service: string }
  /** `isRepaired` false: it is only told (`drift: report`). */
  | {
      readonly kind: 'drift';
      readonly drift: readonly Drift[];
      readonly more: number;
      readonly isRepaired: boolean;
    }
  | {
      readonly kind: 'ordered';
      readonly backend: string;
      readonly server: string;
      readonly state: ServerOverride | 'ready';
      readonly until: Timestamp | null;
    }
  /** The time of an order is over: the server is given back. */
  | { readonly kind: 'order_over'; readonly backend: string; readonly server: string }
  | { readonly kind: 'config_read'; readonly afterRestart: readonly string[] }
  | { readonly kind: 'config_refused'; readonly reason: string }
  /** A HAProxy that was running already is kept. */
  | { readonly kind: 'adopted'; readonly pid: number; readonly generation: number }
  /** The HAProxy of another Myelin has handed its listening sockets over. */
  | { readonly kind: 'taken_over'; readonly folder: string }
  | { readonly kind: 'address_moved'; readonly frontends: readonly string[]; readonly more: number }
  | { readonly kind: 'dismissed'; readonly pid: number; readonly generation: number }
  | { readonly kind: 'exited'; readonly pid: number; readonly generation: number; readonly words: string }
  /** HAProxy does not answer, and then does again. */
  | { readonly kind: 'unresponsive'; readonly pid: number; readonly generation: number; readonly error: string }
  | { readonly kind: 'responsive'; readonly pid: number; readonly generation: number; readonly silentMs: Ms }
  | { readonly kind: 'binary_changed'; readonly path: string }
  | { readonly kind: 'old_worker_gone'; readonly pid: number; readonly ageMs: Ms }
  | {
      readonly kind: 'connections_closed';
      readonly limit: string;
      readonly pid: number;
      readonly connections: number | null;
    }
  | { readonly kind: 'file_restored'; readonly path: string }
  | { readonly kind: 'file_behind'; readonly error: string }
  | { readonly kind: 'file_caught_up' }
  | { readonly kind: 'trouble'; readonly error: string };

/** `id`: of this run of Myelin, and rising. */
export type Event = { readonly id: string; readonly at: Timestamp } & Happening;

type Answered = { readonly watcher: string; readonly query: string };

const mostKept = 100;
const mostListed = 20;

/** How long answers are gathered: at the first sync there is one for each of what may be thousands of services. */
const gatherMs: Ms = 100;

/** The beginning of a list that may be long, and how much of it is left out. */
export function few<T>(list: readonly T[]): { readonly list: readonly T[]; readonly more: number } {
  return { list: list.slice(0, mostListed), more: Math.max(0, list.length - mostListed) };
}

export type EventsOptions = {
  readonly now: () => Timestamp;
  /** Keeps secrets out of what is told. */
  readonly masked: <T>(value: T) => T;
};

export class Events {
  readonly #now: () => Timestamp;
  readonly #masked: EventsOptions['masked'];
  /** Tells the ids of this run from those of an earlier one. */
  readonly #run: string;
  readonly #listeners = new Set<(event: Event) => void>();
  #kept: readonly { readonly count: number; readonly event: Event }[] = [];
  #count = 0;
  readonly #gathered = new Map<string, Set<string>>();
  #gathering: NodeJS.Timeout | undefined;

  constructor({ now, masked }: EventsOptions) {
    this.#now = now;
    this.#masked = masked;
    this.#run = now().toString(36);
  }

  add(happening: Happening): void {
    this.#tellAnswers();
    this.#tell(happening);
  }

  /** Told with those that come within a moment, and before anything that may come of it. */
  answered({ watcher, query }: Answered): void {
    const queries = this.#gathered.get(watcher) ?? new Set();
    this.#gathered.set(watcher, queries.add(query));
    this.#gathering ??= timers.setTimeout(() => this.#tellAnswers(), gatherMs).unref();
  }

  /** What is kept and came after the event `lastId`; all that is kept where that is unknown or of an earlier run. */
  after(lastId: string | null): readonly Event[] {
    const [run, digits = ''] = lastId?.split('-') ?? [];
    const last = run === this.#run && /^\d+$/.test(digits) ? Number(digits) : 0;
    // Masked again: what was learned to be a secret since may stand in it.
    return this.#kept.filter(({ count }) => count > last).map(({ event }) => this.#masked(event));
  }

  /** `listener` is told of everything from now on, and must not throw. What is given back ends it. */
  subscribe(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tellAnswers(): void {
    timers.clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const gathered = [...this.#gathered];
    this.#gathered.clear();
    for (const [watcher, queries] of gathered) {
      const { list, more } = few([...queries].sort());
      this.#tell({ kind: 'answered', watcher, queries: list, more });
    }
  }

  #tell(happening: Happening): void {
    this.#count += 1;
    const count = this.#count;
    const event = { id: `${this.#run}-${count}`, at: this.#now(), ...this.#masked(happening) };
    this.#kept = [...this.#kept.slice(1 - mostKept), { count, event }];
    for (const listener of this.#listeners) listener(event);
  }
}
