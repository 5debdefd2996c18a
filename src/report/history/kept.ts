/**
 * What happened, in little room for a long time. Pure. What happens again and again takes no more of the room than what
 * happened once: docs/decisions/0034-history.md says how, and what else was considered.
 */
import { hash } from 'node:crypto';
import type { Ms, Timestamp } from '../../model.ts';
import type { Event } from '../events.ts';

/** An event of the history: `id` and `at` are those of the first time, the facts those of the last. */
export type PastEvent = Event & {
  /** How often it happened; only numbers differ. */
  readonly times: number;
  readonly lastAt: Timestamp;
  /** How many further events of this kind are not listed: too many happened at once. */
  readonly others: number;
};

/** Within this time a repetition is counted rather than listed… */
export const windowMs: Ms = 5 * 60_000;
/** …and so is what else happens of a kind of which so much is listed already. */
const mostInWindow = 20;
/** Of everything that is kept, as JSON. */
export const mostBytes = 512 * 1024;
/** Of one text in an event: HAProxy may have much to say. */
const longestText = 500;

export type Entry = {
  readonly id: string;
  /** As JSON: most entries are never looked at. */
  readonly text: string;
  readonly bytes: number;
  readonly kind: string;
  readonly at: Timestamp;
  /** Equal for what differs in numbers alone. */
  readonly identity: string;
};

/** Of one kind, the oldest first. */
type OfKind = { entries: Entry[]; bytes: number };

export class Kept {
  readonly #kinds = new Map<string, OfKind>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return [...this.#kinds.values()].reduce((sum, { entries }) => sum + entries.length, 0);
  }

  /** All of it, in the order in which it began. */
  get entries(): readonly Entry[] {
    return [...this.#kinds.values()].flatMap(({ entries }) => entries).sort((a, b) => a.at - b.at);
  }

  /** `entry` has the event now, in the place of `before`; `isListed`: not only as one of the others of its kind. */
  add(event: Event): { readonly entry: Entry; readonly before: Entry | null; readonly isListed: boolean } {
    const open = openAt(this.#of(event.kind).entries, event.at);
    const identity = identityOf(event);
    const same = open.findLast((entry) => entry.identity === identity) ?? null;
    const before = same ?? (open.length < mostInWindow ? null : (open.at(-1) ?? null));
    const entry = before === null ? first(event, identity) : again(before, event, before === same);
    this.#put(entry, before);
    return { entry, before, isListed: before === same };
  }

  /** Of an earlier run. */
  restore(entries: readonly Entry[]): void {
    for (const [kind, found] of Map.groupBy(entries, (entry) => entry.kind)) {
      const its = this.#of(kind);
      its.entries = [...found, ...its.entries];
      this.#count(its, sizeOf(found));
    }
    this.#makeRoom();
  }

  #put(entry: Entry, before: Entry | null): void {
    const its = this.#of(entry.kind);
    if (before === null) its.entries.push(entry);
    else its.entries[its.entries.lastIndexOf(before)] = entry;
    this.#count(its, entry.bytes - (before?.bytes ?? 0));
    this.#makeRoom();
  }

  /** Of the kind that takes most of the room the oldest goes: no kind loses anything to another that has more. */
  #makeRoom(): void {
    while (this.#bytes > mostBytes) {
      const largest = [...this.#kinds.values()].reduce((most, one) => (one.bytes > most.bytes ? one : most));
      const oldest = largest.entries.shift();
      if (oldest === undefined) return;
      this.#count(largest, -oldest.bytes);
    }
  }

  #of(kind: string): OfKind {
    const its = this.#kinds.get(kind) ?? { entries: [], bytes: 0 };
    this.#kinds.set(kind, its);
    return its;
  }

  #count(its: OfKind, bytes: number): void {
    its.bytes += bytes;
    this.#bytes += bytes;
  }
}

/** The newest entries, in their order. */
function openAt(entries: readonly Entry[], now: Timestamp): readonly Entry[] {
  const from = entries.findLastIndex((entry) => !isOpen(entry, now));
  return entries.slice(from + 1);
}

/** Whether what happens at `now` may be counted in it. The time of day may have been set back meanwhile. */
export function isOpen({ at }: Entry, now: Timestamp): boolean {
  return Math.abs(now - at) < windowMs;
}

/** null: this is no entry. */
export function entryFrom(text: string): Entry | null {
  try {
    const { id, kind, at, times, lastAt, others, ...facts } = JSON.parse(text) as Record<string, unknown>;
    if (![at, times, lastAt, others].every(Number.isSafeInteger)) return null;
    if (typeof id !== 'string' || typeof kind !== 'string') return null;
    const identity = identityOf({ kind, ...facts });
    return { id, text, bytes: Buffer.byteLength(text), kind, at: at as number, identity };
  } catch {
    return null;
  }
}

export function pastEventOf({ text }: Entry): PastEvent {
  return JSON.parse(text) as PastEvent;
}

function first(event: Event, identity: string): Entry {
  return entryOf({ ...event, times: 1, lastAt: event.at, others: 0 }, identity);
}

function again(before: Entry, event: Event, isSame: boolean): Entry {
  const { id, at, times, others } = pastEventOf(before);
  if (!isSame) return entryOf({ ...pastEventOf(before), others: others + 1 }, before.identity);
  return entryOf({ ...event, id, at, times: times + 1, lastAt: event.at, others }, before.identity);
}

function entryOf(event: PastEvent, identity: string): Entry {
  const text = JSON.stringify(event, (_, value: unknown) => shortened(value));
  const { id, kind, at } = event;
  return { id, text, bytes: Buffer.byteLength(text), kind, at, identity };
}

function identityOf({
  id: _,
  at: __,
  ...facts
}: { readonly kind: string } & Partial<Pick<Event, 'id' | 'at'>>): string {
  const words = JSON.stringify(facts, (_, value: unknown) => (typeof value === 'number' ? 0 : shortened(value)));
  return hash('sha1', words, 'base64');
}

/** Equal for what was shortened before. */
function shortened(value: unknown): unknown {
  return typeof value === 'string' && value.length > longestText ? `${value.slice(0, longestText - 1)}…` : value;
}

function sizeOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}
