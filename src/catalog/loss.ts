/**
 * What sources take away is not always gone. Where all endpoints of a service go, `onEmpty` decides; where many go at
 * once, `maxShrink` holds them back until the source has said so for a while. What is added or changed meanwhile is
 * never held back.
 *
 * Numbers count, not names: five that are replaced by five others are no loss. Only ready endpoints count: one that was
 * announced as draining may go. Nor does one count that the source still names and calls unfit: that is its word about
 * somebody whom it knows, and to serve on what is broken is no better than a mistake.
 */
import type { Endpoint, Moment, Ms } from '../model.ts';
import { placeOf } from './endpoints.ts';

export type MaxShrink = {
  /** A loss of more than this part of the endpoints is held; 1: none is. */
  readonly share: number;
  /** How long; and losses within this time count together. */
  readonly hold: Ms;
};

export type Loss =
  /** Nobody is there, they say; the last endpoints serve on. `until` null: for ever. */
  | { readonly kind: 'emptied'; readonly since: Moment; readonly until: Moment | null }
  /** Some are gone, too few to be doubted. `from`: how many there were before. */
  | { readonly kind: 'shrinking'; readonly since: Moment; readonly from: number }
  /** Too many are gone; they serve on. `from`: how many serve, with them. */
  | { readonly kind: 'shrunk'; readonly since: Moment; readonly from: number; readonly lost: readonly Lost[] };

type Lost = { readonly endpoint: Endpoint; readonly since: Moment; readonly until: Moment };

export type LossRules = MaxShrink & {
  readonly onEmpty: 'doubt' | 'keep' | 'accept';
  readonly keepFor: Ms;
  /** When the last of the sources was first heard after its start or reconnection. */
  readonly connectedAt: Moment;
  /** A source is in trouble and confirms nothing. */
  readonly isTroubled: boolean;
  /** False: the config took them away. */
  readonly isDoubtful: boolean;
  /** A source names it, and says that it is not to be used. */
  readonly isUnfit: (endpoint: Endpoint) => boolean;
};

type Served = { readonly endpoints: readonly Endpoint[]; readonly loss: Loss | null };

/** Endpoints that vanish all at once within this time of a reconnection are doubted. */
const doubtfulAfterMs: Ms = 60_000;

/** A single endpoint goes every day, also of a service that has two or three. */
const fewestDoubted = 2;

/** What to make of it that the sources name `wanted` where `served` serve; null: it is believed. */
export function judgeLoss(served: Served, wanted: readonly Endpoint[], rules: LossRules, now: Moment): Loss | null {
  if (served.endpoints.length === 0) return null;
  return sameOr(served.loss, wanted.length === 0 ? emptied(served, rules, now) : shrunk(served, wanted, rules, now));
}

/** Who serves on although no source names them. */
export function retainedBy({ endpoints, loss }: Served): readonly Endpoint[] {
  switch (loss?.kind) {
    case 'emptied':
      return endpoints;
    case 'shrunk':
      return loss.lost.map(({ endpoint }) => endpoint);
    case 'shrinking':
    case undefined:
      return [];
  }
}

/** When the first, or the last, of those that are kept is let go; null: never, or there is none. */
export function endOf(loss: Loss | null, which: 'first' | 'last'): Moment | null {
  switch (loss?.kind) {
    case 'emptied':
      return loss.until;
    case 'shrunk': {
      const ends = loss.lost.map(({ until }) => until);
      return ends.reduce((one, other) => (which === 'first' ? Math.min(one, other) : Math.max(one, other)));
    }
    case 'shrinking':
    case undefined:
      return null;
  }
}

function emptied({ endpoints, loss }: Served, rules: LossRules, now: Moment): Loss | null {
  const { onEmpty, keepFor, connectedAt, isTroubled, isUnfit } = rules;
  const kept = loss?.kind === 'emptied' ? loss : null;
  const since = kept?.since ?? now;
  switch (onEmpty) {
    case 'accept':
      return null;
    case 'keep':
      return { kind: 'emptied', since, until: null };
    case 'doubt': {
      if (kept === null && now - connectedAt > doubtfulAfterMs) return null;
      // Each reconnection may bring them back: the time starts anew. So it may at the end of a trouble. A source that
      // names them all may only not have looked at them yet, as an agent that has just started: that is over sooner.
      const until = endpoints.every(isUnfit) ? connectedAt + doubtfulAfterMs : Math.max(since, connectedAt) + keepFor;
      return isOver(until, isTroubled, now) ? null : { kind: 'emptied', since, until };
    }
  }
}

function shrunk({ endpoints, loss }: Served, wanted: readonly Endpoint[], rules: LossRules, now: Moment): Loss | null {
  const { share, hold, connectedAt, isTroubled, isDoubtful, isUnfit } = rules;
  if (share >= 1) return null;
  const listed = readyOf(wanted).length;
  const serving = readyOf(endpoints);
  if (loss?.kind !== 'shrunk' && loss?.kind !== 'shrinking' && listed >= serving.length) return null;
  const { missing, announced } = compare(serving, endpoints, wanted, isUnfit);

  if (loss?.kind === 'shrunk') {
    const before = new Map(loss.lost.map((one) => [placeOf(one.endpoint), one]));
    const still = missing.flatMap((endpoint) => before.get(placeOf(endpoint)) ?? []);
    const held = still
      .map((one) => postponed(one, Math.max(one.since, connectedAt) + hold))
      .filter(({ until }) => !isOver(until, isTroubled, now));
    const from = loss.from - announced - (still.length - held.length);
    if (listed >= from) return null;
    // Above that number one that goes was replaced: by names they need not have come back.
    const isDeeper = isDoubtful && listed + held.length < from;
    const more = isDeeper ? missing.filter((endpoint) => !before.has(placeOf(endpoint))) : [];
    const lost = [...held, ...more.map((endpoint) => ({ endpoint, since: now, until: now + hold }))];
    return lost.length === 0 ? null : { kind: 'shrunk', since: loss.since, from, lost };
  }

  const isGoingOn = loss?.kind === 'shrinking' && now <= loss.since + hold;
  const { since, from: before } = isGoingOn ? loss : { since: now, from: serving.length };
  const from = before - announced;
  const gone = from - listed;
  if (gone <= 0 || !isDoubtful) return null;
  if (gone < fewestDoubted || gone / from <= share || missing.length === 0) return { kind: 'shrinking', since, from };
  const lost = missing.map((endpoint) => ({ endpoint, since: now, until: now + hold }));
  return { kind: 'shrunk', since: now, from: serving.length - announced, lost };
}

/** Of the ready ones that serve: who is not there any more, and how many are said to be draining or unfit now. */
function compare(
  serving: readonly Endpoint[],
  endpoints: readonly Endpoint[],
  wanted: readonly Endpoint[],
  isUnfit: LossRules['isUnfit'],
): { readonly missing: readonly Endpoint[]; readonly announced: number } {
  const known = new Set(endpoints.map(placeOf));
  const states = new Map(wanted.map((endpoint) => [placeOf(endpoint), endpoint.state]));
  // One whose address changed is not missing; ids need not be unique, so each that came stands for one that went.
  const came = Map.groupBy(
    wanted.filter((endpoint) => !known.has(placeOf(endpoint))),
    ({ id }) => id,
  );
  const gone = serving.filter((endpoint) => !states.has(placeOf(endpoint)) && came.get(endpoint.id)?.pop() == null);
  const missing = gone.filter((endpoint) => !isUnfit(endpoint));
  const draining = serving.filter((endpoint) => states.get(placeOf(endpoint)) === 'draining').length;
  return { missing, announced: draining + gone.length - missing.length };
}

function isOver(until: Moment, isTroubled: boolean, now: Moment): boolean {
  return until <= now && !isTroubled;
}

function postponed(lost: Lost, until: Moment): Lost {
  return lost.until === until ? lost : { ...lost, until };
}

function readyOf(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return endpoints.filter(({ state }) => state === 'ready');
}

/** The one before where nothing changed: equal answers are to be equal catalogs. */
function sameOr(before: Loss | null, after: Loss | null): Loss | null {
  if (before === null || after === null) return after;
  if (before.kind === 'shrunk' && after.kind === 'shrunk') {
    const isSame = before.lost.length === after.lost.length && before.lost.every((one, at) => one === after.lost[at]);
    return isSame && before.from === after.from ? before : after;
  }
  if (before.kind === 'emptied' && after.kind === 'emptied') return before.until === after.until ? before : after;
  if (before.kind === 'shrinking' && after.kind === 'shrinking')
    return before.since === after.since && before.from === after.from ? before : after;
  return after;
}
