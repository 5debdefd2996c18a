/** Server-sent events for any client: the last ones at once, the others as they happen. */
import type { ServerResponse } from 'node:http';
import timers from 'node:timers';
import type { Ms } from '../model.ts';
import type { Event, Events } from '../report/events.ts';
import { entryOf } from '../report/messages.ts';
import { problem, type Route } from './server.ts';

/** At one place; each may cost `mostUnread` of memory. */
const mostReaders = 16;

/** Who leaves this many bytes unread is let go, and gets what is kept when it comes again. */
const mostUnread = 256 * 1024;

/** So that proxies and readers know that the line is good. */
const heartbeatMs: Ms = 15_000;

/** When a reader that lost the line should come again. */
const retryMs: Ms = 1000;

/** One for each place that serves it: nobody keeps the readers of another place out. */
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
      // Who has not read it all when the server's patience ends is cut off by the server.
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
      // It may not be written to from now on, and tells of its end later only.
      readers.delete(reader);
      reader.destroy();
    }
  }
}

/**
 * As `text/event-stream` has it; JSON has no line breaks of its own. Who knows an event by its former name gets that, too:
 * without an id, so that it is no event of its own for who counts them.
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
