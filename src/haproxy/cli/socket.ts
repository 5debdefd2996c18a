/**
 * Queries HAProxy's runtime API over its unix socket, with a new connection for each query. Runtime commands go over
 * connections that stay open (`held-connection.ts`).
 */
import { createConnection } from 'node:net';
import { AppError, describe, hasCode } from '../../errors.ts';
import type { Ms } from '../../model.ts';

export type Limits = { readonly timeoutMs?: Ms; readonly signal?: AbortSignal | undefined };

export const defaultTimeoutMs = 5000;

/**
 * Sends the commands on one line and reads the whole answer. HAProxy closes the connection after it. `;` separates the
 * commands; there is none at the end, because 2.2 and 2.6 answer an empty command with their whole help.
 */
export async function ask(path: string, commands: readonly string[], limits: Limits = {}): Promise<string> {
  const { timeoutMs = defaultTimeoutMs, signal } = limits;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  if (signal?.aborted) throw signal.reason;
  const socket = createConnection({ path, allowHalfOpen: true });
  const chunks: Buffer[] = [];
  const timer = setTimeout(() => socket.destroy(timedOut(timeoutMs)), timeoutMs);
  const abort = (): void => {
    socket.destroy();
    reject(signal?.reason);
  };
  signal?.addEventListener('abort', abort, { once: true });
  socket.write(`${commands.join(';')}\n`);
  // A master closes the connection only after we have closed our side. We close it after the first data: from 3.0 on a master
  // that refuses a command may miss an earlier close, keep the connection for ever, and accept no more after ten of them.
  socket.once('data', () => socket.end());
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
  socket.once('error', (error) => reject(socketFailed(path, error)));
  // A connection that is cut without `end` and `error` would leave the promise pending.
  socket.once('close', () => reject(socketFailed(path, new Error('the connection was closed without an answer'))));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    socket.destroy();
  }
}

/** Whether no process listens at the socket: HAProxy is gone or leaving, rather than slow. */
export function nobodyListens(error: unknown): boolean {
  return error instanceof AppError && hasCode(error.cause, 'ECONNREFUSED', 'ENOENT');
}

/** Rejects with an AppError after `defaultTimeoutMs`, which includes the wait behind other queries. */
export async function inTime<T>(answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const error = new AppError('MYELIN_SOCKET_FAILED', `HAProxy’s runtime API: ${timedOut(defaultTimeoutMs).message}`);
  const timer = setTimeout(() => late.reject(error), defaultTimeoutMs);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

export function timedOut(timeoutMs: Ms): Error {
  return new Error(`no answer within ${timeoutMs} ms`);
}

export function socketFailed(path: string, cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const why = hasCode(cause, 'ENOENT')
    ? 'there is no such socket'
    : hasCode(cause, 'ECONNREFUSED')
      ? 'nobody listens on it'
      : hasCode(cause, 'EACCES', 'EPERM')
        ? 'this user may not use it'
        : describe(cause);
  return new AppError('MYELIN_SOCKET_FAILED', `HAProxy's socket ${path}: ${why}`, { cause });
}
