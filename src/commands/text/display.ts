/** The output of `myelin status --watch`: a terminal page that is redrawn, or one status below the other. */

import { wallClock } from '../../lib/time/clock.ts';
import type { Timestamp } from '../../model.ts';
import type { Event } from '../../report/events.ts';
import type { DownServer, Status } from '../../report/status.ts';
import { describeEvent } from '../../report/text/event-text.ts';
import { age, table } from '../../report/text/format.ts';
import { printable, printableJson } from '../../report/text/printable.ts';
import { formatStatus } from './status-text.ts';

export type WatchView = {
  readonly status: Status;
  /** The last `shownEvents` of them. */
  readonly events: readonly Event[];
  /** Why there are no events; null: there are. */
  readonly eventsTrouble: string | null;
};

export type Display = {
  readonly show: (view: WatchView) => void;
  /** The terminal is as it was before. */
  readonly close: () => void;
};

export const shownEvents = 8;

/** `onResize`: what was shown does not fit any more. */
export function openDisplay(asJson: boolean, onResize: () => void): Display {
  const write = (text: string): void => void process.stdout.write(text);
  if (asJson) return listing(write, ({ status }) => `${printableJson(status)}\n`, changeOf);
  if (process.stdout.isTTY) return page(onResize);
  return listing(
    write,
    (view) => `${formatStatus(view.status, wallClock())}${formatEvents(view, wallClock())}\n`,
    (view) => `${changeOf(view)} ${view.events.at(-1)?.id} ${view.eventsTrouble}`,
  );
}

/** Prints one status below the other, without repetitions. */
function listing(
  write: (text: string) => void,
  format: (view: WatchView) => string,
  key: (view: WatchView) => string,
): Display {
  let before: string | null = null;
  return {
    show(view) {
      const now = key(view);
      if (now !== before) write(format(view));
      before = now;
    },
    close() {},
  };
}

/** Equal for statuses that say the same: times at which somebody was asked, and what HAProxy counts, differ each time. */
function changeOf({ status }: WatchView): string {
  const ignored = ['lastSuccess', 'healthAskedAt', 'sessions', 'queued', 'sessionsPerSec'];
  return JSON.stringify({ ...status, at: null }, (key, value: unknown) => {
    if (ignored.includes(key)) return undefined;
    return key === 'down' && Array.isArray(value)
      ? (value as readonly DownServer[]).map(({ server, reason }) => [server, reason])
      : value;
  });
}

/** Each on a line, the newest below. */
export function formatEvents({ events, eventsTrouble }: Omit<WatchView, 'status'>, now: Timestamp): string {
  const rows = events.map((event): [string, string] => {
    // Names and reasons come from anyone who may register.
    const text = printable(describeEvent(event).replaceAll(/\s*\n\s*/g, ' '));
    return [`${age(event.at, now)} ago`, text];
  });
  const trouble: [string, string][] = eventsTrouble === null ? [] : [['none', printable(eventsTrouble)]];
  return rows.length + trouble.length === 0 ? '' : `\nevents\n${table([...rows, ...trouble])}`;
}

/** Cuts to `rows` lines: the events, and as much of the status as fits. */
export function fit(status: string, events: string, rows: number): readonly string[] {
  const above = status.split('\n').slice(0, -1);
  const below = events.split('\n').slice(0, -1);
  const room = Math.max(2, rows - below.length);
  if (above.length <= room) return [...above, ...below].slice(0, rows);
  const left = above.length - (room - 1);
  return [...above.slice(0, room - 1), `  … ${left} more lines`, ...below].slice(0, rows);
}

const terminal = {
  /** A page of its own, without cursor, on which long lines are cut. */
  open: '\x1b[?1049h\x1b[?25l\x1b[?7l',
  close: '\x1b[?7h\x1b[?25h\x1b[?1049l',
  home: '\x1b[H',
  clearLine: '\x1b[K',
  clearBelow: '\x1b[J',
};

/** Where the terminal does not know its size. */
const usualRows = 24;

function page(onResize: () => void): Display {
  const { stdout } = process;
  stdout.write(terminal.open);
  stdout.on('resize', onResize);
  return {
    show(view) {
      const now = wallClock();
      const lines = fit(formatStatus(view.status, now), formatEvents(view, now), stdout.rows || usualRows);
      const drawn = lines.map((line) => `${line}${terminal.clearLine}`).join('\r\n');
      stdout.write(`${terminal.home}${drawn}${terminal.clearBelow}`);
    },
    close() {
      stdout.off('resize', onResize);
      stdout.write(terminal.close);
    },
  };
}
