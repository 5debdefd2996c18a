/** Asks this Myelin. What comes is data of strangers: what would turn or hide other text is made visible here, and all of it is shown as text alone. */
import { createParser } from 'eventsource-parser';
import type { Ms } from '../../model.ts';
import type { Event } from '../../report/events.ts';
import type { PastEvent } from '../../report/history/kept.ts';

/** One of the history stands for all that were like it. */
export type Happened = Event & Partial<PastEvent>;

const timeoutMs: Ms = 10_000;

/** Throws where there is no answer, or none of Myelin's. */
export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  const limit = AbortSignal.timeout(timeoutMs);
  const response = await fetch(path, { signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) });
  const text = await response.text();
  if (!response.ok) throw new Error(messageOf(text) ?? `HTTP status ${response.status}`);
  return read(text) as T;
}

/** Yields what happened in the last time `since`, and then each event as it occurs; ends when the connection does. */
export async function* follow(since: string, signal: AbortSignal): AsyncGenerator<readonly Happened[]> {
  const { ok, status, body } = await fetch(`api/v1/events?since=${since}`, { signal });
  if (!ok || body === null) throw new Error(`HTTP status ${status}`);
  const parsed: Happened[] = [];
  const parser = createParser({
    // One without an id repeats another under its former name.
    onEvent({ id, data }) {
      if (id !== undefined) parsed.push({ ...(read(data) as Happened), id });
    },
  });
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    parser.feed(chunk.value);
    if (parsed.length > 0) yield parsed.splice(0);
  }
}

/** In the text rather than in each string, of which a status may have a hundred thousand. The server escapes such characters. */
function read(text: string): unknown {
  return JSON.parse(text.replace(escapes, (whole, turning?: string) => (turning ? `\\\\u${turning}` : whole)));
}

/** Any escape of JSON; as a group, that of what is no visible letter, or turns the direction of those around it. */
const escapes = /\\(?:u(00[89][0-9a-f]|007f|061c|200[ef]|202[89a-e]|206[6-9])|.)/g;

function messageOf(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { readonly error?: { readonly message?: string } };
    return error?.message ?? null;
  } catch {
    return null;
  }
}
