/**
 * A HAProxy that leaves: it takes no new connections, finishes those it has, and is watched until it is gone.
 *
 * HAProxy's own way of leaving (SIGUSR1) also stops its backends, and a stopped backend takes no more commands, so that
 * a connection that was kept could still be sent to a server that is gone. Therefore only its frontends are shut down
 * at first: they let go of their sockets and have connections closed after the next answer, as SIGUSR1 does, and
 * servers can be changed on. SIGUSR1 follows when the last connection is gone.
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
  /** null where it is not known what it runs. */
  readonly worker: Worker | null;
};

/**
 * How far it is on its way: `presumed` to leave only (one that cannot be reached may serve), `finishing` with its
 * frontends shut, or `stopping` since SIGUSR1: then it ends by itself, and takes no commands.
 */
type Stage = 'presumed' | 'finishing' | 'stopping';

export class OldWorker {
  readonly generation: Generation;
  readonly id: ProcessId;
  readonly since: Moment;
  /** Opened before it was told to stop: after that it takes no connection any more. null: it cannot be asked. */
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
    // Without a session it is told all the same; only it cannot be asked or told anything more.
    const old = new OldWorker(leaving, now);
    await old.#open();
    await old.poll();
    if (!(await old.#shutFrontends())) old.#stop();
    return old;
  }

  /** One that was found. */
  static found(generation: Generation, id: ProcessId, now: Moment, stage: 'presumed' | 'stopping'): OldWorker {
    const old = new OldWorker({ generation, id, worker: null }, now);
    old.#stage = stage;
    return old;
  }

  /** null where it cannot be told anything (any more). */
  get worker(): Worker | null {
    return this.#stage === 'stopping' || !this.#session?.isOpen ? null : this.#worker;
  }

  /** The connections that it still had when it was last looked at; null where that is not known. */
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
    // A question that took too long has cost the session; one that only shut its frontends takes another.
    if (this.#stage === 'finishing' && !this.#session?.isOpen) await this.#open();
    if (this.#session === null || !this.#session.isOpen) return;
    const answer = await this.#session.ask('show info', { timeoutMs: 1000 }).catch(() => null);
    if (answer === null) return;
    const { currConns, stopping } = parseInfo(answer);
    this.#connections = currConns;
    // Somebody else may have told it to.
    if (stopping) this.#stage = 'stopping';
    if (currConns > 0) return;
    if (this.#stage === 'finishing') this.#stop();
    // It would wait for our connection as for any other.
    if (this.#stage === 'stopping') this.#session.close();
  }

  /** Ends it now, whatever it still has. */
  async end(): Promise<void> {
    await this.poll();
    this.signal('SIGTERM');
    if (!(await waitForEnd(this.id, 2000))) this.signal('SIGKILL');
  }

  /** Nobody looks after it any more: it ends by itself. */
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

  /** False where that is not enough, or not possible. */
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

/** Without an answer it was shut down now; one that an `.if` leaves out is not there. */
const shut: ReadonlySet<string> = new Set(['', 'Frontend was already shut down.', 'No such frontend.']);

/** Sections that listen only as frontends do, and that lose nothing while SIGUSR1 waits (as peers do their tables). */
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
