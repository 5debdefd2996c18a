/** Talks to HAProxy's runtime API over its unix socket: one connection a batch, or one that is held. */
import { createConnection, type Socket } from 'node:net';
import { AppError, describe, hasCode } from '../errors.ts';
import type { Ms } from '../model.ts';
import { createTurn } from '../turn.ts';

type Limits = { readonly timeoutMs?: Ms; readonly signal?: AbortSignal | undefined };

const defaultTimeoutMs = 5000;

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
  // A master closes the connection only after we have closed our side. Not before it answers: from 3.0 on, where it
  // refuses a command, it would at times not notice, keep the connection for ever, and after ten of them take no more.
  socket.once('data', () => socket.end());
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
  socket.once('error', (error) => reject(socketFailed(path, error)));
  // Without this, a connection that is cut before its end would leave us waiting.
  socket.once('close', () => reject(socketFailed(path, new Error('the connection was closed without an answer'))));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    socket.destroy();
  }
}

/** Whether nobody listens at the socket (any more): HAProxy is gone or leaving, rather than slow. */
export function nobodyListens(error: unknown): boolean {
  return error instanceof AppError && hasCode(error.cause, 'ECONNREFUSED', 'ENOENT');
}

/**
 * A connection that stays: a process that was told to leave takes no new ones, but answers on those it has, and waits
 * for them. What is asked meanwhile waits for its turn.
 */
export class AdminSession {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #inTurn = createTurn();
  #received = '';
  #waiting: PromiseWithResolvers<string> | null = null;
  /** Up to 3.0 a prompt follows each command of a line, later only the last one. */
  #promptsEach = false;
  #isWhole: (received: string) => boolean = () => true;

  private constructor(path: string) {
    this.#path = path;
    this.#socket = createConnection({ path });
    this.#socket.setEncoding('utf8').on('data', (chunk: string) => this.#receive(chunk));
    this.#socket.on('error', (error) => this.#waiting?.reject(error));
    this.#socket.on('close', () => this.#waiting?.reject(new Error('HAProxy closed the connection')));
  }

  static async open(path: string, limits: Limits = {}): Promise<AdminSession> {
    const session = new AdminSession(path);
    await session.ask('prompt', limits);
    await session.#countPrompts(limits);
    return session;
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** One command, or several separated by `;`: the answer is the same as without a session. */
  ask(line: string, limits: Limits = {}): Promise<string> {
    return this.#inTurn(async () => {
      const prompts = this.#promptsEach ? commandsIn(line) : 1;
      const received = await this.#askNow(line, limits, (received) => promptsIn(received) >= prompts);
      return received.replaceAll(prompt, '\n');
    });
  }

  /** Two answers come in any case: how many prompts come with them tells how to know the end of all others. */
  async #countPrompts(limits: Limits): Promise<void> {
    const answer = await this.#askNow('show cli level;show cli level', limits, (received) => marksIn(received) === 2);
    this.#promptsEach = promptsIn(answer) === 2;
  }

  async #askNow(
    line: string,
    { timeoutMs = defaultTimeoutMs, signal }: Limits,
    isWhole: (received: string) => boolean,
  ): Promise<string> {
    if (!this.isOpen) throw socketFailed(this.#path, new Error('the connection is closed'));
    const waiting = Promise.withResolvers<string>();
    this.#waiting = waiting;
    this.#isWhole = isWhole;
    const timer = setTimeout(() => waiting.reject(timedOut(timeoutMs)), timeoutMs);
    const abort = (): void => waiting.reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    this.#socket.write(`${line}\n`);
    try {
      return await waiting.promise;
    } catch (error) {
      // What comes later would be taken for the answer to the next command.
      this.close();
      throw signal?.aborted ? error : socketFailed(this.#path, error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      this.#waiting = null;
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  /** In interactive mode an answer ends with the prompt on a line of its own. */
  #receive(chunk: string): void {
    this.#received += chunk;
    if (!this.#received.endsWith(prompt) || !this.#isWhole(this.#received)) return;
    this.#waiting?.resolve(this.#received);
    this.#received = '';
  }
}

const prompt = '\n> ';

function promptsIn(received: string): number {
  return received.split(prompt).length - 1;
}

function marksIn(received: string): number {
  return received.match(/^(?:> )?(?:admin|operator|user)$/gm)?.length ?? 0;
}

/** A backslash keeps the next character from meaning anything. */
function commandsIn(line: string): number {
  return line.replace(/\\./gs, '').split(';').length;
}

function timedOut(timeoutMs: Ms): Error {
  return new Error(`no answer within ${timeoutMs} ms`);
}

function socketFailed(path: string, cause: unknown): AppError {
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
