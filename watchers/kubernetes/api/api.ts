/** Queries to the API server: a whole answer, or a watch line by line. Every silence has an end. */
import { once } from 'node:events';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { type RequestOptions, request as requestHttps } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import { hasCode } from '../../../src/errors.ts';
import type { Ms } from '../../../src/model.ts';
import type { Access, Credentials } from './access.ts';
import { NotUnderstood, status } from './objects.ts';

export type Params = Readonly<Record<string, string>>;

export type Api = {
  /** Reads no more than `mostBytes`. Throws on anything but an answer with status 200; see `failureOf`. */
  get(path: string, params: Params, signal: AbortSignal, mostBytes: number): Promise<Got>;
  /**
   * Resolves when the server ends the stream. `onOpen` is called once the server has agreed; `onLines` with all lines
   * that arrived together, and what it throws ends the stream and is thrown here.
   */
  stream(path: string, params: Params, reader: StreamReader, signal: AbortSignal): Promise<void>;
};

/** `body`: the JSON of the answer. */
type Got = { readonly kind: 'answer'; readonly body: unknown; readonly bytes: number } | { readonly kind: 'too_long' };

type StreamReader = {
  readonly onOpen: () => void;
  readonly onLines: (lines: readonly string[]) => void;
};

/** A response that is an error, or the error with which a watch ends. */
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

/** The connection is open, but no data has come for too long. */
export class Silence extends Error {
  override readonly name = 'Silence';
}

/** The longest wait for the headers: a server that queues requests answers after a minute at the latest. */
const answerMs: Ms = 70_000;
/** After this time without traffic the kernel probes the connection; ten seconds later it closes one whose peer has vanished. */
const keepAliveMs: Ms = 15_000;
/** The part of an error page that is read. */
const longestFailureText = 10_000;
/** The limit of one event, which holds one object. */
const longestLine = 32 * 2 ** 20;

export function createApi(access: Access, idleMs: Ms): Api {
  const ask = async (path: string, params: Params, signal: AbortSignal): Promise<Listening> => {
    const credentials = await access.request(signal);
    const first = await send(credentials, path, params, idleMs, signal);
    if (first.response.statusCode !== 401) return first;
    // A token that expired or was rotated: once more with what is there now, where that is something else.
    access.renew();
    const renewed = await access.request(signal);
    if (isSameProof(credentials, renewed)) return first;
    first[Symbol.dispose]();
    return send(renewed, path, params, idleMs, signal);
  };
  return {
    async get(path, params, signal, mostBytes) {
      using listening = await ask(path, params, signal);
      await refuseFailure(listening);
      const { text, bytes } = await readText(listening, mostBytes);
      return bytes > mostBytes ? { kind: 'too_long' } : { kind: 'answer', body: JSON.parse(text), bytes };
    },
    async stream(path, params, { onOpen, onLines }, signal) {
      using listening = await ask(path, params, signal);
      await refuseFailure(listening);
      onOpen();
      let parts: string[] = [];
      let length = 0;
      for await (const chunk of listening.chunks()) {
        const [first = '', ...others] = chunk.split('\n');
        parts.push(first);
        length += first.length;
        if (length > longestLine) throw new NotUnderstood('the watch sent a line that does not end');
        const last = others.pop();
        if (last === undefined) continue;
        onLines([parts.join(''), ...others].filter((line) => line !== ''));
        parts = [last];
        length = last.length;
      }
      // Text without a final line feed is no event; the reader of the lines reports it.
      if (length > 0) onLines([parts.join('')]);
    },
  };
}

function isSameProof({ options: one }: Credentials, { options: other }: Credentials): boolean {
  const proof = ({ headers, auth, cert, key }: RequestOptions): unknown => [headers, auth, cert, key];
  return isDeepStrictEqual(proof(one), proof(other));
}

type Listening = Disposable & {
  readonly response: IncomingMessage;
  chunks(): AsyncIterable<string>;
};

async function send(
  { url, options }: Credentials,
  path: string,
  params: Params,
  idleMs: Ms,
  signal: AbortSignal,
): Promise<Listening> {
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
  // Errors after the answer has begun reach the reader of the answer.
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
      // A response that is half read would keep its connection.
      if (!answer.readableEnded) answer.destroy();
    },
  };
}

async function refuseFailure(listening: Listening): Promise<void> {
  const { statusCode = 0, headers } = listening.response;
  if (statusCode === 200) return;
  throw new ApiError(
    statusCode,
    messageOf((await readText(listening, longestFailureText)).text),
    headers['retry-after'],
  );
}

/** Reads on until there are more than `most`. */
async function readText(
  listening: Listening,
  most: number,
): Promise<{ readonly text: string; readonly bytes: number }> {
  const chunks: string[] = [];
  let bytes = 0;
  for await (const chunk of listening.chunks()) {
    chunks.push(chunk);
    bytes += Buffer.byteLength(chunk);
    if (bytes > most) break;
  }
  return { text: chunks.join(''), bytes };
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
