/**
 * The workers of a HAProxy that runs elsewhere: the serving one and the leaving ones. The master lists the workers and
 * forwards each query to them, so their PIDs need no meaning here: the workers may run in another container.
 */
import timers from 'node:timers/promises';
import { AppError, hasCode } from '../../errors.ts';
import type { Ask } from '../../haproxy/cli/ask.ts';
import type { Info } from '../../haproxy/cli/info.ts';
import { askingMaster, type Processes, prefixOf, readProcesses, readWorkerInfo } from '../../haproxy/cli/master.ts';
import { shutDownSessions } from '../../haproxy/cli/sessions.ts';
import type { Moment, Ms, Section } from '../../model.ts';
import type { DriverEvent } from '../driver-event.ts';
import { ProcessTracker } from '../process-state.ts';
import { sharesNetwork } from '../system/same-network.ts';
import { askingOwnSocket, outOfReach, readAnswerer, withoutMaster } from './own-socket.ts';
import { idOf, isSame, type MasterServing, masterServing, type WorkerId } from './serving.ts';

type MasterProcessesOptions = {
  readonly socket: string;
  /** Of the worker that serves. */
  readonly ownSocket: () => string;
  readonly hardStopAfterMs: () => Ms;
  readonly now: () => Moment;
  readonly onEvent: (event: DriverEvent) => void;
  /** The serving worker has ended, or an old one, which makes room for a reload. */
  readonly onChange: () => void;
};

/** `isByHand`: somebody else caused a reload while our worker served. */
export type ForeignWorker = WorkerId & { readonly isByHand: boolean };

type Leaving = {
  readonly pid: number;
  readonly generation: number;
  readonly since: Moment;
  connections: number | null;
  lookedAt: Moment;
  /** The worker is still there after its sessions were shut down. */
  isStubborn: boolean;
};

/** What a poll has shown. */
export type Seen =
  | { readonly kind: 'same' }
  /** The serving worker is still there, but does not answer. */
  | { readonly kind: 'silent'; readonly error: AppError }
  /** A different worker serves, or the first one. `isReload`: the same master started it. */
  | { readonly kind: 'other'; readonly info: Info; readonly isReload: boolean }
  /** No worker says that it serves: one may be starting. `isLeaving`: somebody ordered HAProxy to stop. */
  | { readonly kind: 'nobody'; readonly isLeaving: boolean };

const lookAtConnectionsEveryMs: Ms = 1000;
/** A worker that still reads its config never answers (3.1 and later); the next poll comes soon. */
const answerWithinMs: Ms = 300;
const endWithinMs: Ms = 2000;
const endPauseMs: Ms = 100;

export class MasterProcesses {
  readonly ask: Ask;
  readonly #options: MasterProcessesOptions;
  readonly #tracker: ProcessTracker<MasterServing, ForeignWorker>;
  /** The worker answers on its own socket, and its master does not. */
  #isAlone = false;
  #leaving: readonly Leaving[] = [];
  #generation = 0;
  /** The master's reload count when the serving worker was its newest one. */
  #reloads = Number.POSITIVE_INFINITY;

  constructor(options: MasterProcessesOptions) {
    this.#options = options;
    this.ask = askingMaster(options.socket);
    this.#tracker = new ProcessTracker<MasterServing, ForeignWorker>(null, { ...options, nameOf });
  }

  /** Of the worker that is to serve. */
  get tracker(): Pick<ProcessTracker<MasterServing, ForeignWorker>, 'whyNone' | 'unresponsive'> {
    return this.#tracker;
  }

  get serving(): MasterServing | null {
    return this.#tracker.process;
  }

  /** The worker that serves with an unknown config; null: there is none. */
  get foreign(): ForeignWorker | null {
    const { state } = this.#tracker;
    return state.kind === 'foreign' ? state.foreign : null;
  }

  /** Somebody ordered HAProxy to stop, and has to start it again. */
  get isLeaving(): boolean {
    return this.#tracker.state.kind === 'leaving';
  }

  /** The leaving workers, the oldest first. */
  get oldWorkers(): readonly Omit<Leaving, 'lookedAt' | 'isStubborn'>[] {
    return this.#leaving;
  }

  /** When the master does not answer: whether its worker answers on its own socket, and the error to report. */
  async withoutMaster(cause: unknown): Promise<{ readonly isAlone: boolean; readonly error: unknown }> {
    const { serving } = this;
    const { socket, ownSocket } = this.#options;
    const own = serving === null ? null : await readAnswerer(ownSocket());
    this.#isAlone = own !== null && !own.info.stopping && this.#isServing(own.info);
    if (serving === null) return { isAlone: false, error: cause };
    if (own !== null && this.#isAlone) return { isAlone: true, error: withoutMaster(serving.id.pid, cause, own) };
    // The socket's path may be gone while the master still runs.
    const isRemoved = cause instanceof AppError && hasCode(cause.cause, 'ENOENT') && (await sharesNetwork(socket));
    return { isAlone: false, error: isRemoved ? outOfReach(serving.id.pid, socket) : cause };
  }

  /** Finds which worker serves and which are gone. Throws an AppError where the master does not answer. */
  async poll(): Promise<Seen> {
    const processes = await readProcesses(this.#options.socket, { timeoutMs: 2000 });
    this.#isAlone = false;
    const infos = await this.#askWhoServes(processes);
    const info = infos.find(({ stopping }) => !stopping) ?? null;
    const isKnown = (pid: number): boolean => pid === info?.pid || pid === this.serving?.id.pid;
    await this.#lookAtLeaving(processes.oldWorkers.map(({ pid }) => pid).filter((pid) => !isKnown(pid)));
    // The count starts at 0 with each master.
    const isReload = processes.master.reloads > this.#reloads;
    if (processes.workers.some(({ pid }) => pid === this.serving?.id.pid)) this.#reloads = processes.master.reloads;
    if (info !== null) return this.#isServing(info) ? { kind: 'same' } : { kind: 'other', info, isReload };
    const pids = [...processes.workers, ...processes.oldWorkers].map(({ pid }) => pid);
    const isLeaving = pids.length > 0 && infos.length === pids.length;
    const pid = this.serving?.id.pid;
    if (isLeaving || pid === undefined || !pids.includes(pid)) return { kind: 'nobody', isLeaving };
    const error = new AppError('MYELIN_SOCKET_FAILED', `the worker ${pid} does not answer its master`);
    return { kind: 'silent', error };
  }

  /** This worker serves from now on; the previous one is taken to be leaving. */
  serve(info: Info, sections: readonly Section[], started: readonly Section[] | null, since?: Moment): MasterServing {
    const { now } = this.#options;
    this.#drain(info.pid);
    this.#generation += 1;
    const facts = { info, generation: this.#generation, sections, started, since: since ?? now(), now };
    const alone = askingOwnSocket(this.#options.ownSocket, info.pid);
    const serving = masterServing({ ...facts, ask: (line) => (this.#isAlone ? alone(line) : this.ask(line)) });
    this.#tracker.on({ kind: 'serves', process: serving });
    return serving;
  }

  /** An unknown worker serves. */
  meet(foreign: ForeignWorker, isInPlaceOfOurs: boolean): void {
    this.#drain(null);
    this.#tracker.on({ kind: 'foreign_found', foreign, isInPlaceOfOurs });
  }

  /** The serving worker is gone, or is stopping on an order that Myelin did not give. */
  ended(how: 'soft_stop' | 'gone'): void {
    const { serving } = this;
    this.#drain(null);
    // A foreign worker may only be silent for a moment: a different one would be noticed by `meet`.
    if (how !== 'gone' || this.foreign === null) this.#tracker.on({ kind: how });
    if (serving === null) return;
    const { pid, generation } = nameOf(serving);
    const { onEvent, onChange } = this.#options;
    onEvent(
      how === 'gone' ? { kind: 'exited', pid, generation, words: '' } : { kind: 'stopped_externally', pid, generation },
    );
    onChange();
  }

  /** The outcome of a query to the serving worker, or to its master; null: it was answered. */
  heard(askedAt: Moment, error: unknown): void {
    const { serving } = this;
    if (serving !== null) this.#tracker.heard(serving, askedAt, error);
  }

  /** Ends the oldest leaving workers until there are at most `max`. */
  async keepAtMost(max: number): Promise<void> {
    for (const each of this.#leaving.slice(0, Math.max(0, this.#leaving.length - max)))
      if (!each.isStubborn) await this.#end(each);
  }

  #isServing(info: Info): boolean {
    return this.serving !== null && isSame(this.serving.id, idOf(info, this.#options.now()));
  }

  /**
   * Queries workers until one says that it serves; skips silent ones. After a failed reload some versions list it among
   * the old ones.
   */
  async #askWhoServes({ workers, oldWorkers }: Processes): Promise<readonly Info[]> {
    const infos: Info[] = [];
    for (const { pid } of [...workers, ...oldWorkers.toReversed()]) {
      const info = await this.#readInfo(pid);
      if (info === null || info.pid !== pid) continue;
      infos.push(info);
      if (!info.stopping) break;
    }
    return infos;
  }

  /** null where the worker does not answer now. */
  #readInfo(pid: number): Promise<Info | null> {
    return readWorkerInfo(this.#options.socket, pid, { timeoutMs: answerWithinMs }).catch(() => null);
  }

  async #lookAtLeaving(pids: readonly number[]): Promise<void> {
    const now = this.#options.now();
    const gone = this.#leaving.filter(({ pid }) => !pids.includes(pid));
    for (const each of gone) {
      // A worker that finished all its work was seen without connections, or ended long before this.
      this.#remove(each, now - each.since >= this.#options.hardStopAfterMs() ? 'hard_stop_after' : null);
    }
    const found = pids.filter((pid) => !this.#leaving.some((each) => each.pid === pid));
    this.#leaving = [...found.map((pid) => leaving(pid, 0, now)), ...this.#leaving];
    for (const each of this.#leaving) {
      if (now - each.lookedAt < lookAtConnectionsEveryMs) continue;
      each.lookedAt = now;
      each.connections = (await this.#readInfo(each.pid))?.currConns ?? each.connections;
    }
    if (gone.length > 0) this.#options.onChange();
  }

  #drain(successor: number | null): void {
    const before = this.serving;
    if (before === null || before.id.pid === successor) return;
    this.#leaving = [...this.#leaving, leaving(before.id.pid, before.generation, this.#options.now())];
  }

  /** Shuts down its sessions: a signal does not reach into another container, where the PID may be another process. */
  async #end(each: Leaving): Promise<void> {
    const { socket, onEvent } = this.#options;
    const { pid } = each;
    each.connections = (await this.#readInfo(pid))?.currConns ?? each.connections;
    const deadline = performance.now() + endWithinMs;
    while (performance.now() < deadline) {
      await shutDownSessions(this.ask, { ...this.serving?.worker.frame, prefix: prefixOf(pid) });
      const { oldWorkers } = await readProcesses(socket);
      if (!oldWorkers.some((row) => row.pid === pid)) return this.#remove(each, 'max_old_workers');
      await timers.setTimeout(endPauseMs);
    }
    each.isStubborn = true;
    const message = `the old worker ${pid} keeps connections that cannot be shut down`;
    onEvent({
      kind: 'trouble',
      error: new AppError('MYELIN_SOCKET_FAILED', message, { remedy: 'it ends after `reload.hardStopAfter`' }),
    });
  }

  #remove(each: Leaving, limit: 'max_old_workers' | 'hard_stop_after' | null): void {
    const { pid, since, connections } = each;
    const { onEvent, now } = this.#options;
    this.#leaving = this.#leaving.filter((other) => other !== each);
    if (limit !== null && connections !== 0) onEvent({ kind: 'connections_closed', limit, pid, connections });
    onEvent({ kind: 'old_worker_gone', pid, ageMs: now() - since });
  }
}

function leaving(pid: number, generation: number, since: Moment): Leaving {
  const lookedAt = Number.NEGATIVE_INFINITY;
  return { pid, generation, since, connections: null, lookedAt, isStubborn: false };
}

function nameOf({ id, generation }: MasterServing): { readonly pid: number; readonly generation: number } {
  return { pid: id.pid, generation };
}
