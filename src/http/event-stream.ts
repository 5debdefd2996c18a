/**
 * What happened, for any client: the history as a list; and server-sent events, the last ones (or the history) at once,
 * then new ones as they occur.
 */
import type { ServerResponse } from 'node:http';
import timers from 'node:timers';
import { readTime } from '../config/values.ts';
import { wallClock } from '../lib/time/clock.ts';
import type { Ms, Timestamp } from '../model.ts';
import type { Event, Events } from '../report/events.ts';
import { concerns } from '../report/history/concerns.ts';
import type { History } from '../report/history/history.ts';
import { entryOf, messages } from '../report/messages.ts';
import { printableJson } from '../report/text/printable.ts';
import { problem, type Route, refused } from './server.ts';

export type EventSources = {
  readonly events: Events;
  readonly history: Pick<History, 'loaded' | 'list'>;
  /** A reader of the stream does not read fast enough, and is let go. */
  readonly onReaderLost: () => void;
};

/** For each listener; each reader may cost `mostUnread` of memory. */
const mostReaders = 16;

/** A reader that leaves this many bytes unread is disconnected, and gets the kept events when it reconnects. */
const mostUnread = 256 * 1024;

/** Shows proxies and readers that the connection works. */
const heartbeatMs: Ms = 15_000;

/** How long a reader waits before it reconnects. */
const retryMs: Ms = 1000;

/** Each listener has its own route, so that its readers cannot take the places of another listener's readers. */
export function eventsRoute({ events, history, onReaderLost }: EventSources): Route {
  const readers = new Set<ServerResponse>();
  events.subscribe((event) => {
    if (readers.size === 0) return;
    const text = formatEvent(event);
    for (const reader of readers) send(reader, text);
  });

  return {
    method: 'GET',
    path: '/api/v1/events',
    async answer({ headers, query }) {
      if (readers.size >= mostReaders) return problem(503, `${mostReaders} others are reading the events already`);
      const header = headers['last-event-id'];
      const lastId = typeof header === 'string' ? header : null;
      // Who comes again has read the history.
      const wanted = events.knows(lastId) ? null : query.get('since');
      let since: Timestamp | null;
      try {
        since = wanted === null ? null : readSince(wanted);
      } catch (error) {
        return refused(400, error);
      }
      if (since !== null) await history.loaded;
      return {
        contentType: 'text/event-stream; charset=utf-8',
        stream: (reader, signal) => serve(reader, since === null ? kept(lastId) : past(since), signal),
      };
    },
  };

  function kept(lastId: string | null): string {
    return events.after(lastId).map(formatEvent).join('');
  }

  /** Ends with the id of the newest event, without an event: an entry has the id of the first of its events. */
  function past(since: Timestamp): string {
    const end = events.lastId === null ? '' : `id: ${events.lastId}\n\n`;
    return `${history.list(since).map(formatEvent).join('')}${end}`;
  }

  function serve(reader: ServerResponse, first: string, signal: AbortSignal): void {
    readers.add(reader);
    reader.write(`retry: ${retryMs}\n\n${first}`);
    const heartbeat = timers.setInterval(() => readers.has(reader) && send(reader, ': heartbeat\n\n'), heartbeatMs);
    const end = (): void => {
      readers.delete(reader);
      timers.clearInterval(heartbeat);
      // The server closes the connection of a reader that has not read everything in time.
      reader.end();
    };
    signal.addEventListener('abort', end, { once: true });
    reader.once('close', () => {
      readers.delete(reader);
      timers.clearInterval(heartbeat);
      signal.removeEventListener('abort', end);
    });
    if (signal.aborted) end();
  }

  function send(reader: ServerResponse, text: string): void {
    if (reader.writableLength <= mostUnread) reader.write(text);
    else {
      // The reader must not be written to from now on, and its `close` event comes only later.
      readers.delete(reader);
      reader.destroy();
      onReaderLost();
    }
  }
}

export function historyRoute({ history }: Pick<EventSources, 'history'>): Route {
  return {
    method: 'GET',
    path: '/api/v1/history',
    async answer({ query }) {
      let since: Timestamp;
      try {
        since = readSince(query.get('since') ?? '1h');
      } catch (error) {
        return refused(400, error);
      }
      await history.loaded;
      const service = query.get('service');
      const events = history.list(since).filter((event) => service === null || concerns(event, service));
      return { status: 200, body: events };
    },
  };
}

/** A time before now, such as `1h`, or a moment in milliseconds since 1970. Throws an AppError. */
function readSince(text: string): Timestamp {
  return /^\d{11,15}$/.test(text) ? Number(text) : wallClock() - readTime('since', text);
}

/**
 * In the format of `text/event-stream`; JSON contains no line breaks. A client may know an event by its former name:
 * the event is sent under that name, too, without an id, so that a client that counts ids does not count it twice.
 */
export function formatEvent(event: Event): string {
  const { id, ...rest } = event;
  // The history may be that of another version, which knew more.
  const former = Object.hasOwn(messages, event.kind) ? entryOf(event.kind).formerly : undefined;
  const before = former === undefined ? '' : frame({ ...rest, ...former });
  return `${before}id: ${id}\n${frame(rest)}`;
}

function frame(data: { readonly kind: string }): string {
  return `event: ${data.kind}\ndata: ${printableJson(data)}\n\n`;
}
