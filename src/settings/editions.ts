/**
 * The config that is live with what is known by its questions, and one that is to take its place. An edit is one change:
 * it goes live once its new questions are answered, so that nothing is taken away before what comes in its place is
 * there, and no server stands in a structure that it was not found for.
 */
import { isDeepStrictEqual } from 'node:util';
import { isSameQueryIn, isTroubled, nextDeadline, retainedOf, view } from '../catalog/catalog.ts';
import { acceptLoss, type Collection, collect, type Known, known, progress, recollect } from '../catalog/collection.ts';
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
  /** The services that it waits for; empty: it goes live with the next reconcile. */
  readonly waitingFor: readonly string[];
};

const rememberForMs: Ms = 600_000;

export class Editions {
  readonly #running: () => readonly Section[];
  #live: Edition;
  #next: (Edition & { readonly since: Moment }) | null = null;
  #gone: readonly { readonly services: ReadonlyMap<string, Known>; readonly until: Moment }[] = [];

  /** `running` is what went live last. */
  constructor(live: Edition, running: () => readonly Section[]) {
    this.#live = live;
    this.#running = running;
  }

  get settings(): Settings {
    return this.#live.settings;
  }

  get collection(): Collection {
    return this.#live.collection;
  }

  /** Where an edit waits, what is known by its questions. */
  get newest(): Collection {
    return (this.#next ?? this.#live).collection;
  }

  /** null: none. */
  edit(now: Moment): Edit | null {
    return this.#next === null ? null : { since: this.#next.since, waitingFor: this.#awaited(this.#next, now) };
  }

  /** When `advance` is to be called next; null where only an event can change anything. */
  nextDeadline(now: Moment): Moment | null {
    const live = nextDeadline(this.#live.collection.catalog);
    const end = this.#next === null ? null : endOfWait(this.#next);
    return end === null || end <= now ? live : Math.min(live ?? end, end);
  }

  /** A config that is to go live; `addresses` are those of this machine. */
  use(settings: Settings, now: Moment, addresses?: readonly string[]): void {
    // What an edit that waits has taken away is in what is live, or was in it a moment ago.
    const last = new Map([...this.#parted(now), ...known(this.#live.collection)]);
    const collection = recollect(this.newest, settings.config, now, { addresses, last });
    // The same edit that is read again, as after a SIGHUP, is as old as it was.
    const isSame = this.#next !== null && isDeepStrictEqual(this.#next.settings.config, settings.config);
    this.#next = { settings, collection, since: isSame ? (this.#next?.since ?? now) : now };
  }

  /** Whether it is news. */
  receive(event: SourceEvent, now: Moment): boolean {
    const [live, next] = [this.#live, this.#next];
    // What answers a question of the edit alone says nothing of what is live, be it under the same name.
    const isForLive = next === null || isSameQueryIn(live.collection.catalog, next.collection.catalog, event);
    if (isForLive) this.#live = { ...live, collection: collect(live.collection, event, now) };
    if (next !== null) this.#next = { ...next, collection: collect(next.collection, event, now) };
    return this.#live.collection !== live.collection || this.#next?.collection !== next?.collection;
  }

  /** Ends what `now` ends, and lets an edit go live that waits for nothing any more. Whether one did. */
  advance(now: Moment): boolean {
    this.#onBoth((collection) => progress(collection, now));
    const next = this.#next;
    if (next === null || this.#awaited(next, now).length > 0) return false;
    this.#part(next, now);
    this.#live = { settings: next.settings, collection: next.collection };
    this.#next = null;
    return true;
  }

  /** Services that are taken away while nobody can say who serves them, and may be wanted back before somebody can. */
  #part({ collection: { config } }: Edition, now: Moment): void {
    const { catalog } = this.#live.collection;
    const gone = [...known(this.#live.collection)].filter(
      ([name]) => !config.services.has(name) && isTroubled(catalog, name),
    );
    this.#gone = [...this.#gone, { services: new Map(gone), until: now + rememberForMs }].filter(
      ({ services, until }) => services.size > 0 && until > now,
    );
  }

  #parted(now: Moment): ReadonlyMap<string, Known> {
    return new Map(this.#gone.flatMap(({ services, until }) => (until > now ? [...services] : [])));
  }

  /** An operator believes what the sources say of this service: how many endpoints are kept no longer. */
  accept(service: string, now: Moment): number {
    const kept = retainedOf(this.#live.collection.catalog, service);
    if (kept > 0) this.#onBoth((collection) => acceptLoss(collection, service, now));
    return kept;
  }

  #onBoth(change: (collection: Collection) => Collection): void {
    this.#live = { ...this.#live, collection: change(this.#live.collection) };
    if (this.#next !== null) this.#next = { ...this.#next, collection: change(this.#next.collection) };
  }

  /**
   * Who is new, or asks anew, and has no answer. One whose source is in trouble, or late, does not hold up the others,
   * unless it takes an address over: that would be given up, and not had again before the answer.
   */
  #awaited(next: Edition & { readonly since: Moment }, now: Moment): readonly string[] {
    // Before the first sync nothing of the old one is live.
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

/** Whether it is to listen where another one does. */
export function takesOver({ name, bind = [] }: Service, running: readonly Section[]): boolean {
  const wanted = bind.flatMap((line) => parseBind(line).addresses);
  const held = running.filter(({ service }) => service !== name).flatMap(bindLines);
  return held
    .flatMap((line) => parseBind(line).addresses)
    .some((address) => wanted.some((one) => bindsOverlap(address, one)));
}
