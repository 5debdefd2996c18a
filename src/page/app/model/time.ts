/** Times as people read them. Every time is one of the server's clock, shown in the zone of the browser. */
import type { Ms, Timestamp } from '../../../model.ts';

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const exact = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });

const dayMs: Ms = 86_400_000;

/** `14 ms`, `3 s`, `6 min`, `5 h`, `2 d`, with a blank at which no line ends. */
export function span(ms: Ms): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}\u00a0ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${trimmed(seconds)}\u00a0s`;
  if (seconds < 90) return `${Math.round(seconds)}\u00a0s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)}\u00a0min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)}\u00a0h` : `${Math.floor(seconds / 86_400)}\u00a0d`;
}

/** For what is older than a moment: whole seconds, and never `0 ms`. */
export function age(from: Timestamp, to: Timestamp): string {
  return span(Math.max(1000, Math.round((to - from) / 1000) * 1000));
}

/** `09:41`, and the day where that is not today. */
export function timeOfDay(at: Timestamp, now: Timestamp): string {
  const time = clock.format(at);
  return Math.abs(now - at) < dayMs / 2 ? time : `${day.format(at)}, ${time}`;
}

export function secondOfDay(at: Timestamp): string {
  return exact.format(at);
}

export function dateOf(at: Timestamp): string {
  return dayOfYear.format(at);
}

/** For machines, and for those who compare with logs. */
export function isoOf(at: Timestamp): string {
  return new Date(at).toISOString();
}

function trimmed(seconds: number): string {
  return seconds.toFixed(1).replace(/\.0$/, '');
}
