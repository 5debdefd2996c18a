/** Connections to HAProxy's runtime API that stay open, and carry one question after the other. */
import { createConnection, type Socket } from 'node:net';
import { AppError, hasCode } from '../../errors.ts';
import { createMutex } from '../../lib/mutex.ts';
import { defaultTimeoutMs, type Limits, socketFailed, timedOut } from './socket.ts';

class Closed extends Error {
  override readonly name = 'Closed';
}

/** Whether HAProxy has ended the connection, rather than been too slow. */
function isOver(error: unknown): boolean {
  return error instanceof AppError && (error.cause instanceof Closed || hasCode(error.cause, 'ECONNRESET', 'EPIPE'));
}

/**
 * A connection that stays: a process that was told to leave takes no new ones, but answers on those it has, and waits
 * for them. What is asked meanwhile waits for its turn.
 */
export class AdminSession {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #mutex = createMutex();
  #chunks: string[] = [];
  /** The end of what was received, which may be half of a prompt; and the prompts in all of it. */
  #tail = '';
  #prompts = 0;
  #waiting: PromiseWithResolvers<string> | null = null;
  /** Up to 3.0 a prompt follows each command of a line, later only the last one. */
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

  /** One command, or several separated by `;`: the answer is the same as without a session. */
  ask(line: string, limits: Limits = {}): Promise<string> {
    return this.#mutex(async () => {
      const prompts = this.#promptsEach ? commandsIn(line) : 1;
      const received = await this.#askNow(line, limits, (seen) => seen >= prompts);
      return received.replaceAll(prompt, '\n');
    });
  }

  /** Two answers come in any case: how many prompts come with them tells how to know the end of all others. */
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
    // An answer may be megabytes long: it is put together once.
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

/** Whether an answer is complete that ends with a prompt, by the prompts in it, or by what else is in it. */
type IsWhole = (prompts: number, received: () => string) => boolean;

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

/**
 * A connection that is ready when it is needed: to make one takes longer than what is asked over it. HAProxy ends those
 * on which nothing happens for a while (`stats timeout`); then the next question makes another.
 */
export class HeldConnection {
  readonly #path: string;
  /** Two that ask at once must not open one each: nobody would close the first. */
  readonly #mutex = createMutex();
  #session: AdminSession | null = null;
  #isClosed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** As `ask` of a session. Throws an AppError where nobody answers, or after `close`. */
  readonly ask = (line: string): Promise<string> => this.#mutex(() => this.#ask(line));

  /** A process that is told to leave would wait for it. */
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
