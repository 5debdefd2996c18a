/**
 * The live config with the results of its queries, and the edited config that is to replace it. An edit is one change:
 * it goes live when its new queries have results. So nothing is removed before its replacement is there, and no server
 * gets into a structure that its query was not made for.
 */
import { isDeepStrictEqual } from 'node:util';
import { isSameQueryIn, isTroubled, nextDeadline, retainedOf, view } from '../catalog/catalog.ts';
import {
  acceptLosses,
  type Collection,
  collect,
  type Known,
  known,
  progress,
  recollect,
} from '../catalog/collection.ts';
import { queryKeyOf } from '../config/query-key.ts';
import type { Service } from '../config/schema.ts';
import { bindsOverlap, parseBind } from '../haproxy/text/bind.ts';
import { bindLines } from '../haproxy/text/text.ts';
import type { Moment, Ms, Section, SourceEvent } from '../model.ts';
import type { Settings } from './settings.ts';

type Edition = { readonly settings: Settings; readonly collection: Collection };

/** An edit that is not live yet. */
export type Edit = {
  readonly since: Moment;
  /** Services without a result that it waits for; empty: it goes live with the next reconcile. */
  readonly waitingFor: readonly string[];
};

/** Of a service: the number of endpoints that are not retained any more. */
export type AcceptedLoss = { readonly service: string; readonly endpoints: number };

const rememberForMs: Ms = 600_000;

export class Editions {
  readonly #running: () => readonly Section[];
  #live: Edition;
  #next: (Edition & { readonly since: Moment }) | null = null;
  #removed: readonly { readonly services: ReadonlyMap<string, Known>; readonly until: Moment }[] = [];

  /** `running`: the sections that went live last. */
  constructor(live: Edition, running: () => readonly Section[]) {
    this.#live = live;
    this.#running = running;
  }

  get settings(): Settings {
    return this.#live.settings;
  }

  /** Of the edit, where one waits. */
  get newestSettings(): Settings {
    return (this.#next ?? this.#live).settings;
  }

  get collection(): Collection {
    return this.#live.collection;
  }

  /** Of the edit, where one waits; else of the live config. */
  get newest(): Collection {
    return (this.#next ?? this.#live).collection;
  }

  /** null: none. */
  edit(now: Moment): Edit | null {
    return this.#next === null ? null : { since: this.#next.since, waitingFor: this.#awaited(this.#next, now) };
  }

  /** When to call `advance` next; null: only an event can change anything. */
  nextDeadline(now: Moment): Moment | null {
    const live = nextDeadline(this.#live.collection.catalog);
    const end = this.#next === null ? null : endOfWait(this.#next);
    return end === null || end <= now ? live : Math.min(live ?? end, end);
  }

  /** Takes a config that is to go live; `addresses` are those of this machine. */
  use(settings: Settings, now: Moment, addresses?: readonly string[]): void {
    // Services that a waiting edit removes are still live, or were live a moment ago.
    const last = new Map([...this.#removedServices(now), ...known(this.#live.collection)]);
    const collection = recollect(this.newest, settings.config, now, { addresses, last });
    // The same edit, read again after a SIGHUP, keeps its age.
    const isSame = this.#next !== null && isDeepStrictEqual(this.#next.settings.config, settings.config);
    this.#next = { settings, collection, since: isSame ? (this.#next?.since ?? now) : now };
  }

  /** Returns whether the event changes anything. */
  receive(event: SourceEvent, now: Moment): boolean {
    const [live, next] = [this.#live, this.#next];
    // A result for a query that only the edit has does not concern the live config, even under the same key.
    const isForLive = next === null || isSameQueryIn(live.collection.catalog, next.collection.catalog, event);
    if (isForLive) this.#live = { ...live, collection: collect(live.collection, event, now) };
    if (next !== null) this.#next = { ...next, collection: collect(next.collection, event, now) };
    return this.#live.collection !== live.collection || this.#next?.collection !== next?.collection;
  }

  /** Ends waits and doubts that are over at `now`. Returns whether an edit went live because its waits are over. */
  advance(now: Moment): boolean {
    this.#onBoth((collection) => progress(collection, now));
    const next = this.#next;
    if (next === null || this.#awaited(next, now).length > 0) return false;
    this.#rememberRemoved(next, now);
    this.#live = { settings: next.settings, collection: next.collection };
    this.#next = null;
    return true;
  }

  /** Remembers removed services whose sources fail: another edit may restore them before the sources recover. */
  #rememberRemoved({ collection: { config } }: Edition, now: Moment): void {
    const { catalog } = this.#live.collection;
    const removed = [...known(this.#live.collection)].filter(
      ([name]) => !config.services.has(name) && isTroubled(catalog, name),
    );
    this.#removed = [...this.#removed, { services: new Map(removed), until: now + rememberForMs }].filter(
      ({ services, until }) => services.size > 0 && until > now,
    );
  }

  #removedServices(now: Moment): ReadonlyMap<string, Known> {
    return new Map(this.#removed.flatMap(({ services, until }) => (until > now ? [...services] : [])));
  }

  /** An operator accepts the results for these services. Returns those that had retained endpoints, and how many. */
  accept(services: readonly string[], now: Moment): readonly AcceptedLoss[] {
    const { catalog } = this.#live.collection;
    const accepted = services
      .map((service) => ({ service, endpoints: retainedOf(catalog, service) }))
      .filter(({ endpoints }) => endpoints > 0);
    const names = accepted.map(({ service }) => service);
    if (names.length > 0) this.#onBoth((collection) => acceptLosses(collection, names, now));
    return accepted;
  }

  #onBoth(change: (collection: Collection) => Collection): void {
    this.#live = { ...this.#live, collection: change(this.#live.collection) };
    if (this.#next !== null) this.#next = { ...this.#next, collection: change(this.#next.collection) };
  }

  /**
   * Services with new queries and without a result. One whose source fails or is late does not hold up the others,
   * unless it takes over an address: nobody would listen there until its result comes.
   */
  #awaited(next: Edition & { readonly since: Moment }, now: Moment): readonly string[] {
    // Before the first sync nothing of the old config is live.
    if (!view(this.#live.collection.catalog).open) return [];
    const { catalog, config } = next.collection;
    const isLate = now >= endOfWait(next);
    return [...view(catalog).unknown.keys()].filter((name) => {
      const service = config.services.get(name);
      const before = this.#live.collection.config.services.get(name);
      if (service === undefined || (before !== undefined && queryKeyOf(before) === queryKeyOf(service))) return false;
      return !(isLate || isTroubled(catalog, name)) || takesOver(service, this.#running());
    });
  }
}

function endOfWait({ settings, since }: Edition & { readonly since: Moment }): Moment {
  return since + settings.config.startTimeout;
}

/** Whether the service listens at an address that another one has now. */
export function takesOver({ name, bind = [] }: Service, running: readonly Section[]): boolean {
  const wanted = bind.flatMap((line) => parseBind(line).addresses);
  const held = running.filter(({ service }) => service !== name).flatMap(bindLines);
  return held
    .flatMap((line) => parseBind(line).addresses)
    .some((address) => wanted.some((one) => bindsOverlap(address, one)));
}
