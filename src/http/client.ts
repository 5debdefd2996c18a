/** Sends requests to the running Myelin over its control socket; an error in the response is thrown as that error. */
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { AppError, type ErrorCode, errorCodes, hasCode } from '../errors.ts';
import type { Ms } from '../model.ts';
import type { Event } from '../report/events.ts';
import type { PastEvent } from '../report/history/kept.ts';
import type { Status } from '../report/status.ts';
import type { ErrorBody } from './server.ts';

export type ClientOptions = { readonly timeoutMs?: Ms; readonly signal?: AbortSignal };

export async function getStatus(socket: string, options?: ClientOptions): Promise<Status> {
  return (await askMyelin(socket, 'GET', '/api/v1/status', options)) as Status;
}

/** The response's JSON. `path` is one of the routes of the admin API. */
export async function askMyelin(
  socket: string,
  method: 'GET' | 'POST',
  path: string,
  { timeoutMs = 10_000, signal }: ClientOptions = {},
): Promise<unknown> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const limit = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  try {
    const response = await open(socket, { method, path, signal: limit });
    const answer = parse(await bodyOf(response), socket);
    if (isGood(response)) return answer;
    throw refusalOf(response, answer);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    if (signal?.aborted) throw signal.reason;
    throw notReached(cause, socket, timeout.aborted ? `gave no answer within ${timeoutMs} ms` : brokeOff);
  }
}

/** The text of a probe's response, whether its status is good or not. */
export async function askProbe(
  socket: string,
  path: '/healthz' | '/readyz',
): Promise<{ readonly isGood: boolean; readonly words: string }> {
  const timeoutMs = 10_000;
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await open(socket, { method: 'GET', path, signal });
    return { isGood: isGood(response), words: (await bodyOf(response)).trim() };
  } catch (cause) {
    throw notReached(cause, socket, signal.aborted ? `gave no answer within ${timeoutMs} ms` : brokeOff);
  }
}

export type Following = {
  /** The events after this one. */
  readonly lastId: string | null;
  /** Where there is no last one: what happened since then, as the history has it. */
  readonly since?: string;
  readonly signal: AbortSignal;
};

/** Yields events that were, and those that come. It ends when Myelin ends it. */
export async function* followEvents(
  socket: string,
  { lastId, since, signal }: Following,
): AsyncGenerator<Event | PastEvent> {
  try {
    const headers = { accept: 'text/event-stream', ...(lastId === null ? {} : { 'last-event-id': lastId }) };
    const query = since === undefined ? '' : `?since=${encodeURIComponent(since)}`;
    const response = await open(socket, { method: 'GET', path: `/api/v1/events${query}`, headers, signal });
    if (!isGood(response)) throw refusalOf(response, parse(await bodyOf(response), socket));
    const read: Event[] = [];
    // An event without an id repeats another one under its former name, for other clients.
    const onEvent = ({ id, data }: EventSourceMessage): void => {
      if (id !== undefined) read.push({ id, ...JSON.parse(data) } as Event);
    };
    const parser = createParser({ onEvent });
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
      parser.feed(chunk);
      yield* read.splice(0);
    }
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw cause instanceof AppError ? cause : notReached(cause, socket, brokeOff);
  }
}

const brokeOff = 'broke off the conversation';

function open(socketPath: string, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { ...options.headers, host: 'localhost' };
    request({ socketPath, agent: false, ...options, headers }, resolve)
      .on('error', reject)
      .end();
  });
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function isGood({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}

function refusalOf({ statusCode }: IncomingMessage, answer: unknown): AppError {
  const { message, code, remedy } = (answer as Partial<ErrorBody> | null)?.error ?? {
    message: `HTTP status ${statusCode}`,
  };
  return new AppError(known(code), message, remedy === undefined ? {} : { remedy });
}

/** `otherwise`: what went wrong, where Myelin runs. */
function notReached(cause: unknown, socket: string, otherwise: string): AppError {
  if (hasCode(cause, 'ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'ENOTSOCK'))
    return new AppError('MYELIN_NOT_RUNNING', `no Myelin is running with the control socket ${socket}`, {
      cause,
      remedy: 'start it with `myelin run`, or name the config that it was started with (`--config FILE`)',
    });
  if (hasCode(cause, 'EACCES', 'EPERM'))
    return new AppError('MYELIN_SOCKET_FAILED', `this user may not use the control socket ${socket}`, {
      cause,
      remedy: 'run the command as the user that runs Myelin',
    });
  return new AppError('MYELIN_SOCKET_FAILED', `Myelin ${otherwise} on ${socket}`, { cause });
}

function parse(body: string, socket: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new AppError('MYELIN_SOCKET_FAILED', `what answers on ${socket} is no Myelin`, { cause });
  }
}

function known(code: string | undefined): ErrorCode {
  return code !== undefined && Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'MYELIN_SOCKET_FAILED';
}
