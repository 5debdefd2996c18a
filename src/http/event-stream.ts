/** Server-sent events for any client: the last events at once, then new ones as they occur. */
import type { ServerResponse } from 'node:http';
import timers from 'node:timers';
import type { Ms } from '../model.ts';
import type { Event, Events } from '../report/events.ts';
import { entryOf } from '../report/messages.ts';
import { problem, type Route } from './server.ts';

/** For each listener; each reader may cost `mostUnread` of memory. */
const mostReaders = 16;

/** A reader that leaves this many bytes unread is disconnected, and gets the kept events when it reconnects. */
const mostUnread = 256 * 1024;

/** Shows proxies and readers that the connection works. */
const heartbeatMs: Ms = 15_000;

/** How long a reader waits before it reconnects. */
const retryMs: Ms = 1000;

/** Each listener has its own route, so that its readers cannot take the places of another listener's readers. */
export function eventsRoute(events: Events): Route {
  const readers = new Set<ServerResponse>();
  events.subscribe((event) => {
    if (readers.size === 0) return;
    const text = formatEvent(event);
    for (const reader of readers) send(reader, text);
  });

  return {
    method: 'GET',
    path: '/api/v1/events',
    answer({ headers }) {
      if (readers.size >= mostReaders) return problem(503, `${mostReaders} others are reading the events already`);
      const lastId = headers['last-event-id'];
      return {
        contentType: 'text/event-stream; charset=utf-8',
        stream: (reader, signal) => serve(reader, typeof lastId === 'string' ? lastId : null, signal),
      };
    },
  };

  function serve(reader: ServerResponse, lastId: string | null, signal: AbortSignal): void {
    readers.add(reader);
    reader.write([`retry: ${retryMs}\n\n`, ...events.after(lastId).map(formatEvent)].join(''));
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
    }
  }
}

/**
 * In the format of `text/event-stream`; JSON contains no line breaks. A client may know an event by its former name:
 * the event is sent under that name, too, without an id, so that a client that counts ids does not count it twice.
 */
export function formatEvent(event: Event): string {
  const { id, ...rest } = event;
  const former = entryOf(event.kind).formerly;
  const before = former === undefined ? '' : frame({ ...rest, ...former });
  return `${before}id: ${id}\n${frame(rest)}`;
}

function frame(data: { readonly kind: string }): string {
  return `event: ${data.kind}\ndata: ${JSON.stringify(data)}\n\n`;
}
