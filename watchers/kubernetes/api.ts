/** Questions to the API server: a whole answer, or a watch line by line. Every silence has an end. */
import { once } from 'node:events';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { hasCode } from '../../src/errors.ts';
import type { Ms } from '../../src/model.ts';
import type { Access } from './access.ts';
import { status } from './objects.ts';

export type Params = Readonly<Record<string, string>>;

export type Api = {
  /** The JSON of the answer. Throws on anything but an answer with status 200; see `failureOf`. */
  get(path: string, params: Params, signal: AbortSignal): Promise<unknown>;
  /**
   * Resolves when the server ends the stream. `onOpen` is called once the server has agreed; `onLines` with all lines
   * that arrived together, and what it throws ends the stream and is thrown here.
   */
  stream(path: string, params: Params, reader: StreamReader, signal: AbortSignal): Promise<void>;
};

type StreamReader = {
  readonly onOpen: () => void;
  readonly onLines: (lines: readonly string[]) => void;
};

/** An answer that is none, or that a watch ends with. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly retryAfter: string | undefined;

  constructor(code: number, message: string, retryAfter?: string) {
    super(message);
    this.status = code;
    this.retryAfter = retryAfter;
  }
}

/** The connection holds, and nothing comes any more. */
export class Silence extends Error {
  override readonly name = 'Silence';
}

/** Until the headers are there; a server that queues requests answers after a minute at the latest. */
const answerMs: Ms = 70_000;
/** A peer that vanished without a word is noticed by the kernel after this and ten seconds more. */
const keepAliveMs: Ms = 15_000;
/** Bounds what a failing server's page may cost. */
const longestFailureText = 10_000;

export function createApi(access: Access, idleMs: Ms): Api {
  const ask = async (path: string, params: Params, signal: AbortSignal): Promise<Listening> => {
    const first = await send(access, path, params, idleMs, signal);
    if (first.response.statusCode !== 401) return first;
    // A token that expired or was rotated: once more with what is there now.
    first[Symbol.dispose]();
    access.renew();
    return send(access, path, params, idleMs, signal);
  };
  return {
    async get(path, params, signal) {
      using listening = await ask(path, params, signal);
      await refuseFailure(listening);
      return JSON.parse(await text(listening, Number.POSITIVE_INFINITY));
    },
    async stream(path, params, { onOpen, onLines }, signal) {
      using listening = await ask(path, params, signal);
      await refuseFailure(listening);
      onOpen();
      let rest = '';
      for await (const chunk of listening.chunks()) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        if (lines.length > 0) onLines(lines.filter((line) => line !== ''));
      }
      // What ends without a line feed is no event, but whoever reads lines can say what it is not.
      if (rest !== '') onLines([rest]);
    },
  };
}

type Listening = Disposable & {
  readonly response: IncomingMessage;
  chunks(): AsyncIterable<string>;
};

async function send(access: Access, path: string, params: Params, idleMs: Ms, signal: AbortSignal): Promise<Listening> {
  const { url, options } = await access.request(signal);
  const target = new URL(`${url}${path}?${new URLSearchParams(params)}`);
  const request = (target.protocol === 'https:' ? requestHttps : requestHttp)(target, {
    ...options,
    signal,
    headers: { ...options.headers, accept: 'application/json', 'user-agent': 'myelin' },
  });
  let response: IncomingMessage | undefined;
  // Once there is a response, an error of the request would reach its reader as a plain break of the connection.
  const fallSilent = (): void =>
    void (response ?? request).destroy(new Silence('no answer, although the connection holds'));
  let timer = setTimeout(fallSilent, Math.min(idleMs, answerMs));
  const end = (): void => clearTimeout(timer);
  request.once('socket', (socket) => socket.setKeepAlive(true, keepAliveMs));
  // Errors after the answer has begun reach whoever reads it.
  request.on('error', end);
  request.end();
  try {
    [response] = (await once(request, 'response')) as [IncomingMessage];
  } finally {
    end();
  }
  const answer = response.setEncoding('utf8');
  return {
    response: answer,
    async *chunks() {
      timer = setTimeout(fallSilent, idleMs);
      try {
        for await (const chunk of answer as AsyncIterable<string>) {
          timer.refresh();
          yield chunk;
        }
      } catch (error) {
        // Node calls that "aborted", as if we had.
        throw hasCode(error, 'ECONNRESET') ? new Error('the answer was cut short', { cause: error }) : error;
      } finally {
        end();
      }
    },
    [Symbol.dispose]() {
      end();
      // Half-read it would hold its connection.
      if (!answer.readableEnded) answer.destroy();
    },
  };
}

async function refuseFailure(listening: Listening): Promise<void> {
  const { statusCode = 0, headers } = listening.response;
  if (statusCode === 200) return;
  throw new ApiError(statusCode, messageOf(await text(listening, longestFailureText)), headers['retry-after']);
}

async function text(listening: Listening, most: number): Promise<string> {
  const chunks: string[] = [];
  let length = 0;
  for await (const chunk of listening.chunks()) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > most) break;
  }
  return chunks.join('');
}

/** What the API server says, on one line; a proxy's page of HTML says nothing. */
function messageOf(body: string): string {
  let message: string | undefined;
  try {
    message = status.parse(JSON.parse(body)).message;
  } catch {
    // Not the API server's own answer: plain text tells as it is.
    message = /^\s*</.test(body) ? '' : body;
  }
  return (message ?? '')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(0, 300);
}
