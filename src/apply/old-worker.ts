/** A HAProxy that was told to leave: it takes no new connections, finishes those it has, and is watched until it is gone. */
import { parseInfo } from '../haproxy/info.ts';
import { AdminSession } from '../haproxy/socket.ts';
import type { Moment } from '../model.ts';
import type { Generation } from './generation.ts';
import { isAlive, type ProcessId, sendSignal, waitForEnd } from './processes.ts';
import type { Worker } from './worker.ts';

type Leaving = {
  readonly generation: Generation;
  readonly id: ProcessId;
  /** null where it is not known what it runs. */
  readonly worker: Worker | null;
};

export class OldWorker {
  readonly generation: Generation;
  readonly id: ProcessId;
  readonly since: Moment;
  /** Opened before it was told to leave: afterwards it takes no connection any more. null: not known what it still has. */
  readonly #session: AdminSession | null;
  readonly #worker: Worker | null;
  #connections: number | null = null;

  private constructor({ generation, id, worker }: Leaving, since: Moment, session: AdminSession | null) {
    this.generation = generation;
    this.id = id;
    this.since = since;
    this.#worker = worker;
    this.#session = session;
  }

  /** Tells a serving process to leave. */
  static async dismiss(leaving: Leaving, now: Moment): Promise<OldWorker> {
    // Without a session it is told all the same; only it cannot be asked or told anything more.
    const session = await AdminSession.open(leaving.generation.socket, { timeoutMs: 500 }).catch(() => null);
    if (session !== null) leaving.worker?.reach((line) => session.ask(line));
    const old = new OldWorker(leaving, now, session);
    await old.look();
    old.signal('SIGUSR1');
    return old;
  }

  /** One that was found leaving, or that cannot be reached. */
  static found(generation: Generation, id: ProcessId, now: Moment): OldWorker {
    return new OldWorker({ generation, id, worker: null }, now, null);
  }

  /** null where it cannot be told anything (any more). */
  get worker(): Worker | null {
    return this.#session?.isOpen ? this.#worker : null;
  }

  /** The connections that it still had when it was last looked at; null where that is not known. */
  get connections(): number | null {
    return this.#connections;
  }

  get isAlive(): boolean {
    return isAlive(this.id);
  }

  signal(signal: NodeJS.Signals): void {
    sendSignal(this.id, signal);
  }

  async look(): Promise<void> {
    if (this.#session === null || !this.#session.isOpen) return;
    const answer = await this.#session.ask('show info', { timeoutMs: 1000 }).catch(() => null);
    if (answer === null) return;
    const { currConns, stopping } = parseInfo(answer);
    this.#connections = currConns;
    // It would wait for our connection as for any other.
    if (stopping && currConns === 0) this.#session.close();
  }

  /** Ends it now, whatever it still has. */
  async end(): Promise<void> {
    await this.look();
    this.signal('SIGTERM');
    if (!(await waitForEnd(this.id, 2000))) this.signal('SIGKILL');
  }

  forget(): void {
    this.#session?.close();
  }
}
