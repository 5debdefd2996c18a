/**
 * Connections to HAProxy's runtime API that stay open for one query after the other. Runtime commands go over them;
 * `socket.ts` opens a connection for a single query.
 */
import { createConnection, type Socket } from 'node:net';
import { AppError, hasCode } from '../../errors.ts';
import { createMutex } from '../../lib/mutex.ts';
import { promptsAfter, withoutPayloadPrompts } from './payload.ts';
import { defaultTimeoutMs, type Limits, socketFailed, timedOut } from './socket.ts';

class Closed extends Error {
  override readonly name = 'Closed';
}

/** Whether HAProxy has ended the connection, rather than been too slow. */
function isOver(error: unknown): boolean {
  return error instanceof AppError && (error.cause instanceof Closed || hasCode(error.cause, 'ECONNRESET', 'EPIPE'));
}

/**
 * One connection in interactive mode. Queries take turns. A leaving process accepts no new connections, but answers on
 * those it has, and does not end before they are closed.
 */
export class AdminSession {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #mutex = createMutex();
  #chunks: string[] = [];
  /** The last characters received, which may be half of a prompt. `#prompts` counts the prompts received so far. */
  #tail = '';
  #prompts = 0;
  #waiting: PromiseWithResolvers<string> | null = null;
  /** Up to 3.0 a prompt follows each command, later only the last one of a line. */
  #promptsEach = false;
  #isWhole: IsWhole = () => true;

  private constructor(path: string) {
    this.#path = path;
    this.#socket = createConnection({ path });
    this.#socket.setEncoding('utf8').on('data', (chunk: string) => this.#receive(chunk));
    this.#socket.on('error', (error) => this.#waiting?.reject(error));
    this.#socket.on('close', () => this.#waiting?.reject(new Closed('HAProxy closed the connection')));
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

  /** Asks one command, or several separated by `;`. The answer is the same as that of `ask` in `socket.ts`. */
  ask(line: string, limits: Limits = {}): Promise<string> {
    return this.#mutex(async () => {
      const prompts = promptsAfter(line, this.#promptsEach);
      const received = await this.#askNow(line, limits, (seen) => seen >= prompts);
      return withoutPayloadPrompts(line, received.replaceAll(prompt, '\n'));
    });
  }

  /** Finds out whether each command has a prompt: two commands have two answers, with one prompt or two. */
  async #countPrompts(limits: Limits): Promise<void> {
    const answer = await this.#askNow(
      'show cli level;show cli level',
      limits,
      (_, received) => marksIn(received()) === 2,
    );
    this.#promptsEach = promptsIn(answer) === 2;
  }

  async #askNow(line: string, { timeoutMs = defaultTimeoutMs, signal }: Limits, isWhole: IsWhole): Promise<string> {
    if (!this.isOpen) throw socketFailed(this.#path, new Closed('the connection is closed'));
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
      // A late answer would be read as the answer to the next command.
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
    // An answer may be megabytes long, so its chunks are joined only once.
    this.#chunks.push(chunk);
    const end = this.#tail + chunk;
    this.#prompts += promptsIn(end);
    this.#tail = end.slice(1 - prompt.length);
    const received = (): string => this.#chunks.join('');
    if (!end.endsWith(prompt) || !this.#isWhole(this.#prompts, received)) return;
    this.#waiting?.resolve(received());
    this.#chunks = [];
    this.#tail = '';
    this.#prompts = 0;
  }
}

/** Whether an answer that ends with a prompt is complete, by the number of prompts in it or by its text. */
type IsWhole = (prompts: number, received: () => string) => boolean;

const prompt = '\n> ';

function promptsIn(received: string): number {
  return received.split(prompt).length - 1;
}

function marksIn(received: string): number {
  return received.match(/^(?:> )?(?:admin|operator|user)$/gm)?.length ?? 0;
}

/**
 * Keeps a session open for the next query, because opening one takes longer than a query. HAProxy closes an idle
 * connection (`stats timeout`); the next query then opens a new session.
 */
export class HeldConnection {
  readonly #path: string;
  /** Without turns, two queries at once would open a session each, and the first would never be closed. */
  readonly #mutex = createMutex();
  #session: AdminSession | null = null;
  #isClosed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** As `AdminSession.ask`. Throws an AppError where HAProxy does not answer, or after `close`. */
  readonly ask = (line: string): Promise<string> => this.#mutex(() => this.#ask(line));

  /** A leaving process would wait for this connection as for any other. */
  close(): void {
    this.#isClosed = true;
    this.#session?.close();
  }

  async #ask(line: string): Promise<string> {
    const held = this.#session;
    if (held?.isOpen) {
      try {
        return await held.ask(line);
      } catch (error) {
        if (this.#isClosed || !isOver(error)) throw error;
      }
    }
    const session = await AdminSession.open(this.#path);
    if (this.#isClosed) session.close();
    else this.#session = session;
    return session.ask(line);
  }
}
