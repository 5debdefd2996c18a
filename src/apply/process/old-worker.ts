/**
 * A HAProxy process that leaves: it accepts no new connections, finishes those it has, and is watched until it ends.
 *
 * HAProxy's own way of leaving (SIGUSR1) also stops its backends. A stopped backend takes no commands, so a request on a kept
 * connection could still go to a server that was removed. Therefore only the frontends are shut down at first: they release
 * their sockets and close each connection after its next answer, as SIGUSR1 does, while commands still change the servers.
 * SIGUSR1 follows when the last connection is gone.
 */

import { frames, unframe } from '../../haproxy/cli/framing.ts';
import { AdminSession } from '../../haproxy/cli/held-connection.ts';
import { parseInfo } from '../../haproxy/cli/info.ts';
import { cliWord } from '../../haproxy/cli/words.ts';
import type { Moment, Section } from '../../model.ts';
import type { Worker } from '../runtime/worker.ts';
import type { Generation } from '../state/generation.ts';
import { isAlive, type ProcessId, sendSignal, waitForEnd } from '../system/processes.ts';

type Leaving = {
  readonly generation: Generation;
  readonly id: ProcessId;
  /** null where what it runs is not known. */
  readonly worker: Worker | null;
};

/**
 * `presumed`: it cannot be reached, so it may leave or still serve. `finishing`: its frontends are shut down. `stopping`: it got
 * SIGUSR1, so it ends by itself and takes no commands.
 */
type Stage = 'presumed' | 'finishing' | 'stopping';

export class OldWorker {
  readonly generation: Generation;
  readonly id: ProcessId;
  readonly since: Moment;
  /** Opened before the process is told to leave, since it then accepts no connection. null: it cannot be queried. */
  #session: AdminSession | null;
  readonly #worker: Worker | null;
  #stage: Stage = 'presumed';
  #connections: number | null = null;

  private constructor({ generation, id, worker }: Leaving, since: Moment) {
    this.generation = generation;
    this.id = id;
    this.since = since;
    this.#worker = worker;
    this.#session = null;
  }

  /** Tells a serving process to leave. */
  static async drain(leaving: Leaving, now: Moment): Promise<OldWorker> {
    // The process also leaves where no session can be opened; then it takes no queries and no commands.
    const old = new OldWorker(leaving, now);
    await old.#open();
    await old.poll();
    if (!(await old.#shutFrontends())) old.#stop();
    return old;
  }

  /** An old worker without a session: one that was found at the start, or that never served for us. It takes no commands. */
  static found(generation: Generation, id: ProcessId, now: Moment, stage: 'presumed' | 'stopping'): OldWorker {
    const old = new OldWorker({ generation, id, worker: null }, now);
    old.#stage = stage;
    return old;
  }

  /** null where the process takes no commands, or no longer does. */
  get worker(): Worker | null {
    return this.#stage === 'stopping' || !this.#session?.isOpen ? null : this.#worker;
  }

  /** The number of its connections at the last poll; null where that is not known. */
  get connections(): number | null {
    return this.#connections;
  }

  get isAlive(): boolean {
    return isAlive(this.id);
  }

  get stage(): Stage {
    return this.#stage;
  }

  signal(signal: NodeJS.Signals): void {
    sendSignal(this.id, signal);
  }

  async poll(): Promise<void> {
    // A query that took too long closed the session. While only the frontends are shut down, a new one can be opened.
    if (this.#stage === 'finishing' && !this.#session?.isOpen) await this.#open();
    if (this.#session === null || !this.#session.isOpen) return;
    const answer = await this.#session.ask('show info', { timeoutMs: 1000 }).catch(() => null);
    if (answer === null) return;
    const { currConns, stopping } = parseInfo(answer);
    this.#connections = currConns;
    // SIGUSR1 may have come from elsewhere.
    if (stopping) this.#stage = 'stopping';
    if (currConns > 0) return;
    if (this.#stage === 'finishing') this.#stop();
    // The process would wait for our connection as for any other.
    if (this.#stage === 'stopping') this.#session.close();
  }

  /** Ends the process now, with its remaining connections. */
  async end(): Promise<void> {
    await this.poll();
    this.signal('SIGTERM');
    if (!(await waitForEnd(this.id, 2000))) this.signal('SIGKILL');
  }

  /** Stops watching the process, which ends by itself. */
  forget(): void {
    if (this.isAlive && this.#stage === 'finishing') this.#stop();
    this.#session?.close();
  }

  async #open(): Promise<void> {
    const session = await AdminSession.open(this.generation.socket, { timeoutMs: 500 }).catch(() => null);
    this.#session = session;
    if (session !== null) this.#worker?.reach((line) => session.ask(line));
  }

  #stop(): void {
    this.#stage = 'stopping';
    this.signal('SIGUSR1');
  }

  /** Returns false where shutting down the frontends is not possible, or not enough. */
  async #shutFrontends(): Promise<boolean> {
    if (this.worker === null || this.#session === null || !this.worker.sections.every(isKnown)) return false;
    const frontends = this.worker.sections.filter(({ kind }) => kind === 'frontend' || kind === 'listen');
    const shutDown = ({ name }: Section): readonly string[] => [`shutdown frontend ${cliWord(name)}`];
    try {
      for (const { line, items } of frames(frontends, shutDown, this.worker.frame)) {
        const { replies } = unframe(await this.#session.ask(line));
        if (replies.length < items.length || !replies.every((reply) => shut.has(reply))) return false;
      }
    } catch {
      return false;
    }
    this.#stage = 'finishing';
    return true;
  }
}

/** The replies to `shutdown frontend` that are fine: empty on success; a frontend that an `.if` leaves out does not exist. */
const shut: ReadonlySet<string> = new Set(['', 'Frontend was already shut down.', 'No such frontend.']);

/** Sections that listen only by frontends and lose nothing while SIGUSR1 waits. Peers, for example, would lose their tables. */
const known: ReadonlySet<string> = new Set(
  ['', 'global', 'defaults', 'frontend', 'backend', 'listen', 'userlist', 'resolvers', 'cache', 'http-errors'].concat([
    'fcgi-app',
    'crt-store',
    'mailers',
    'ring',
    'log-profile',
    'healthcheck',
    'traces',
  ]),
);

function isKnown({ kind }: Section): boolean {
  return known.has(kind);
}
