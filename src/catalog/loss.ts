/**
 * A loss of endpoints may be a mistake of a source. `onEmpty` decides when a service loses all endpoints. `maxShrink`
 * retains endpoints when many are lost at once, until the loss has lasted for a while. Added and changed endpoints are
 * never held back.
 *
 * The number counts, not the names: five endpoints that replace five others are no loss. Only ready endpoints count,
 * since a draining one is expected to go. An endpoint that the source still names as unfit does not count either: the
 * source knows that it is broken.
 */
import type { Endpoint, Moment, Ms } from '../model.ts';
import { placeOf } from './endpoints.ts';

export type MaxShrink = {
  /** A loss of more than this part of the endpoints is held back; 1: no loss is. */
  readonly share: number;
  /** For how long. Losses within this time count together. */
  readonly hold: Ms;
};

export type Loss =
  /** The result is empty; the last endpoints are retained. `until` null: for ever. */
  | { readonly kind: 'emptied'; readonly by: Cause; readonly since: Moment; readonly until: Moment | null }
  /** Too few are gone to be doubted. `from`: the number before. */
  | { readonly kind: 'shrinking'; readonly since: Moment; readonly from: number }
  /** Too many are gone; they are retained. `from`: the number with them. */
  | { readonly kind: 'shrunk'; readonly since: Moment; readonly from: number; readonly lost: readonly Lost[] };

/** A source names no endpoint any more, or the config leaves none: it asks for others, or forbids those that are named. */
type Cause = 'source' | 'config';

type Lost = { readonly endpoint: Endpoint; readonly since: Moment; readonly until: Moment };

export type LossRules = MaxShrink & {
  readonly onEmpty: 'doubt' | 'keep' | 'accept';
  readonly keepFor: Ms;
  /** The time of the first result after the latest start or reconnection of a source. */
  readonly connectedAt: Moment;
  /** A source fails, so its results confirm nothing. */
  readonly isTroubled: boolean;
  /** The config removes the endpoints: some are meant to go, all are doubted whenever it happens. */
  readonly isByConfig: boolean;
  /** A source still names it, and the config forbids it. */
  readonly isForbidden: (endpoint: Endpoint) => boolean;
  /** A source names it as unfit. */
  readonly isUnfit: (endpoint: Endpoint) => boolean;
};

type Served = { readonly endpoints: readonly Endpoint[]; readonly loss: Loss | null };

/** Endpoints that vanish all at once within this time of a reconnection are doubted. */
const doubtfulAfterMs: Ms = 60_000;

/** Losing a single endpoint is normal, even for a service with two or three. */
const fewestDoubted = 2;

/** Compares the endpoints that sources name (`wanted`) with the serving ones; null: no loss, or it is accepted. */
export function judgeLoss(served: Served, wanted: readonly Endpoint[], rules: LossRules, now: Moment): Loss | null {
  if (served.endpoints.length === 0) return null;
  return sameOr(served.loss, wanted.length === 0 ? emptied(served, rules, now) : shrunk(served, wanted, rules, now));
}

/** The endpoints that serve although no source names them. */
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

/** When the first, or the last, retained endpoint is removed; null: never, or there is none. */
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
  const { onEmpty, keepFor, connectedAt, isTroubled, isByConfig, isForbidden, isUnfit } = rules;
  const kept = loss?.kind === 'emptied' ? loss : null;
  const since = kept?.since ?? now;
  const by = kept?.by ?? (isByConfig || endpoints.some(isForbidden) ? 'config' : 'source');
  switch (onEmpty) {
    case 'accept':
      return null;
    case 'keep':
      return { kind: 'emptied', by, since, until: null };
    case 'doubt': {
      if (kept === null && !isByConfig && now - connectedAt > doubtfulAfterMs) return null;
      // After each reconnection the source may name them again, so the time starts again. A source that names all of
      // them as unfit may not have checked them yet, like an agent that has just started: that takes less time.
      const until = endpoints.every(isUnfit) ? connectedAt + doubtfulAfterMs : Math.max(since, connectedAt) + keepFor;
      return isOver(until, isTroubled, now) ? null : { kind: 'emptied', by, since, until };
    }
  }
}

function shrunk({ endpoints, loss }: Served, wanted: readonly Endpoint[], rules: LossRules, now: Moment): Loss | null {
  const { share, hold, connectedAt, isTroubled, isByConfig, isUnfit } = rules;
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
    // While there are that many endpoints, one that goes has been replaced, perhaps under another name.
    const isDeeper = !isByConfig && listed + held.length < from;
    const more = isDeeper ? missing.filter((endpoint) => !before.has(placeOf(endpoint))) : [];
    const lost = [...held, ...more.map((endpoint) => ({ endpoint, since: now, until: now + hold }))];
    return lost.length === 0 ? null : { kind: 'shrunk', since: loss.since, from, lost };
  }

  const isGoingOn = loss?.kind === 'shrinking' && now <= loss.since + hold;
  const { since, from: before } = isGoingOn ? loss : { since: now, from: serving.length };
  const from = before - announced;
  const gone = from - listed;
  if (gone <= 0 || isByConfig) return null;
  if (gone < fewestDoubted || gone / from <= share || missing.length === 0) return { kind: 'shrinking', since, from };
  const lost = missing.map((endpoint) => ({ endpoint, since: now, until: now + hold }));
  return { kind: 'shrunk', since: now, from: serving.length - announced, lost };
}

/** Of the ready endpoints that serve: the missing ones, and the number of those that are draining or unfit now. */
function compare(
  serving: readonly Endpoint[],
  endpoints: readonly Endpoint[],
  wanted: readonly Endpoint[],
  isUnfit: LossRules['isUnfit'],
): { readonly missing: readonly Endpoint[]; readonly announced: number } {
  const known = new Set(endpoints.map(placeOf));
  const states = new Map(wanted.map((endpoint) => [placeOf(endpoint), endpoint.state]));
  // An endpoint with a new address is not missing. Ids may repeat: each new endpoint replaces one lost one of its id.
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

/** Returns `before` where nothing changed, so that equal results make equal catalogs. */
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
