/** Asks the running Myelin over its control socket; what it answers with an error is thrown as that error. */
import { request } from 'node:http';
import { AppError, type ErrorCode, errorCodes, hasCode } from '../errors.ts';
import type { Ms } from '../model.ts';
import type { ErrorBody } from './server.ts';
import type { Status } from './status.ts';

export type ClientOptions = { readonly timeoutMs?: Ms; readonly signal?: AbortSignal };

export async function getStatus(socket: string, options?: ClientOptions): Promise<Status> {
  return (await askMyelin(socket, 'GET', '/api/v1/status', options)) as Status;
}

/** The answer's JSON. `path` is one of the routes of the admin API. */
export async function askMyelin(
  socket: string,
  method: 'GET' | 'POST',
  path: string,
  { timeoutMs = 10_000, signal }: ClientOptions = {},
): Promise<unknown> {
  const { status, body } = await exchange(socket, method, path, timeoutMs, signal);
  const answer = parse(body, socket);
  if (status >= 200 && status < 300) return answer;
  const { message, code, remedy } = (answer as Partial<ErrorBody> | null)?.error ?? {
    message: `HTTP status ${status}`,
  };
  throw new AppError(known(code), message, remedy === undefined ? {} : { remedy });
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  timeoutMs: Ms,
  signal: AbortSignal | undefined,
): Promise<{ readonly status: number; readonly body: string }> {
  const timeout = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const options = { socketPath, method, path, agent: false, headers: { host: 'localhost' } };
    const limit = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    const sent = request({ ...options, signal: limit }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', fail);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
    });
    const fail = (cause: unknown): void => reject(signal?.aborted ? signal.reason : notReached(cause, socketPath));
    sent.once('error', fail);
    sent.end();

    function notReached(cause: unknown, socket: string): AppError {
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
      const what = timeout.aborted ? `gave no answer within ${timeoutMs} ms` : 'broke off the conversation';
      return new AppError('MYELIN_SOCKET_FAILED', `Myelin ${what} on ${socket}`, { cause });
    }
  });
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
