/** How fast changes go live, and what took reloads, from the events of the last quarter of an hour. Pure. */
import type { Ms, ReloadCode, Timestamp } from '../../../model.ts';
import type { Event } from '../../../report/events.ts';
import { windowMs } from './timeline.ts';

export type Speed = {
  /** From a change at a source until HAProxy serves it, each in its order. */
  readonly all: readonly Ms[];
  readonly last: Ms | null;
  readonly p50: Ms | null;
  readonly p99: Ms | null;
};

export function speedOf(events: readonly Event[], now: Timestamp): Speed {
  const all = recent(events, now).flatMap((event) =>
    (event.kind === 'runtime' || event.kind === 'reload') && event.sinceChangeMs !== null ? [event.sinceChangeMs] : [],
  );
  const sorted = all.toSorted((a, b) => a - b);
  return { all, last: all.at(-1) ?? null, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
}

function quantile(sorted: readonly Ms[], share: number): Ms | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}

/** The bounds of the plot: 1 ms to 10 s, three columns for each power of ten. */
export const columns = Array.from({ length: 12 }, (_, at) => 10 ** (at / 3));

/** How many changes took up to each of `columns` and more than the one before; the last column has all that took longer. */
export function histogram(all: readonly Ms[]): readonly number[] {
  const counts = columns.map(() => 0);
  for (const ms of all) {
    const at = columns.findIndex((bound) => ms <= bound);
    const column = at === -1 ? columns.length - 1 : at;
    counts[column] = (counts[column] ?? 0) + 1;
  }
  return counts;
}

/** How many reloads there were, and of them with each reason; one with several counts for each. */
export function reloadsOf(
  events: readonly Event[],
  now: Timestamp,
): { readonly count: number; readonly reasons: readonly (readonly [ReloadCode, number])[] } {
  const reloads = recent(events, now).flatMap((event) => (event.kind === 'reload' ? [event] : []));
  const counts = new Map<ReloadCode, number>();
  for (const { reasons } of reloads)
    for (const code of new Set(reasons.map((reason) => reason.code))) counts.set(code, (counts.get(code) ?? 0) + 1);
  return { count: reloads.length, reasons: [...counts].sort(([, a], [, b]) => b - a) };
}

function recent(events: readonly Event[], now: Timestamp): readonly Event[] {
  return events.filter(({ at }) => now - at <= windowMs);
}
