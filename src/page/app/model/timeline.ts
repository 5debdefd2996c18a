/** The last quarter of an hour as lanes: when something happened, and for how long a source or HAProxy was out. Pure. */
import type { Ms, Timestamp } from '../../../model.ts';
import type { Event } from '../../../report/events.ts';
import { messages } from '../../../report/messages.ts';
import type { Status } from '../../../report/status.ts';
import type { Tone } from './words.ts';

export const windowMs: Ms = 15 * 60_000;

export const lanes = ['changes', 'reloads', 'failures', 'outages', 'orders'] as const;
export type Lane = (typeof lanes)[number];

/** The events that are news for people on call, by lane; others are in the log. */
const laneOf: Readonly<Partial<Record<Event['kind'], Lane>>> = {
  runtime: 'changes',
  config_read: 'changes',
  drift_repaired: 'changes',
  file_restored: 'changes',
  reload: 'reloads',
  started: 'reloads',
  adopted: 'reloads',
  taken_over: 'reloads',
  binary_changed: 'reloads',
  rejected: 'failures',
  failed: 'failures',
  reconcile_failed: 'failures',
  quarantined: 'failures',
  quarantine_ended: 'failures',
  config_refused: 'failures',
  exited: 'failures',
  stopped_externally: 'failures',
  output_failed: 'failures',
  file_behind: 'failures',
  drift_found: 'failures',
  connections_closed: 'failures',
  certificate_left_out: 'failures',
  route_left_out: 'failures',
  left_out: 'failures',
  refused: 'failures',
  source_failed: 'outages',
  source_recovered: 'outages',
  query_failed: 'outages',
  query_recovered: 'outages',
  unresponsive: 'outages',
  responsive: 'outages',
  backend_down: 'outages',
  backend_down_others: 'outages',
  backend_up: 'outages',
  large_loss: 'outages',
  total_loss: 'outages',
  emptied_by_config: 'outages',
  loss_ended: 'outages',
  override_set: 'orders',
  override_ended: 'orders',
  accepted: 'orders',
};

export function laneFor(event: Event): Lane | null {
  return laneOf[event.kind] ?? null;
}

/** By the level of its message in the log. */
export function toneOf(event: Event): Tone {
  if (!Object.hasOwn(messages, event.kind)) return 'note';
  switch (messages[event.kind].level) {
    case 'error':
      return 'bad';
    case 'warn':
      return 'warn';
    case 'info':
    case 'debug':
      return 'note';
  }
}

/** What is shown of many that are like each other. */
const mostSpread = 50;

/** An entry of the history as the events that it stands for: when each of them was is not known, only the first and the last. */
export function spread(event: Event & { readonly times?: number; readonly lastAt?: Timestamp }): readonly Event[] {
  const { times = 1, lastAt = event.at } = event;
  const many = Math.min(times, mostSpread);
  if (many === 1) return [event];
  const step = (lastAt - event.at) / (many - 1);
  return Array.from({ length: many }, (_, at) => ({ ...event, id: `${event.id}.${at}`, at: event.at + at * step }));
}

/** `at`: from 0, a quarter of an hour ago, to 1, now. */
export type Mark = { readonly at: number; readonly count: number; readonly tone: Tone };
export type Bar = { readonly from: number; readonly to: number; readonly who: string };

const slots = 90;

/** Of a lane; what happens within ten seconds is one mark. */
export function marksOf(events: readonly Event[], lane: Lane, now: Timestamp): readonly Mark[] {
  const bySlot = new Map<number, { count: number; tone: Tone }>();
  for (const event of events) {
    const at = 1 - (now - event.at) / windowMs;
    if (laneFor(event) !== lane || at < 0 || at > 1) continue;
    // Slots stand still in time: marks move to the left together and do not change.
    const slot = Math.floor(event.at / (windowMs / slots));
    const tone = toneOf(event);
    const mark = bySlot.get(slot) ?? { count: 0, tone };
    bySlot.set(slot, { count: mark.count + 1, tone: worse(mark.tone, tone) });
  }
  return [...bySlot].map(([slot, mark]) => ({ ...mark, at: 1 - (now - (slot + 0.5) * (windowMs / slots)) / windowMs }));
}

/** From the events, and from the status what goes on: that may have begun before the oldest event. */
export function outagesOf(events: readonly Event[], status: Status, now: Timestamp): readonly Bar[] {
  const begun = new Map<string, Timestamp>();
  const bars: Bar[] = [];
  const place = (at: Timestamp): number => Math.min(1, Math.max(0, 1 - (now - at) / windowMs));
  const end = (who: string, at: Timestamp): void => {
    const from = begun.get(who);
    begun.delete(who);
    if (from !== undefined && now - at < windowMs) bars.push({ who, from: place(from), to: place(at) });
  };
  for (const event of events) {
    if (event.kind === 'source_failed' && !begun.has(event.watcher)) begun.set(event.watcher, event.at);
    else if (event.kind === 'source_recovered') end(event.watcher, event.at);
    else if (event.kind === 'unresponsive') begun.set('HAProxy', event.at);
    else if (event.kind === 'responsive') end('HAProxy', event.at);
  }
  const goingOn = new Map<string, Timestamp>(
    status.sources.flatMap(({ name, down }) => (down === null ? [] : [[name, down.since] as const])),
  );
  const unresponsive = status.haproxy?.unresponsive ?? null;
  if (unresponsive !== null) goingOn.set('HAProxy', unresponsive.since);
  for (const [who, since] of goingOn) bars.push({ who, from: place(since), to: 1 });
  return bars;
}

const severity: readonly Tone[] = ['good', 'note', 'warn', 'bad'];

function worse(a: Tone, b: Tone): Tone {
  return severity.indexOf(a) > severity.indexOf(b) ? a : b;
}
