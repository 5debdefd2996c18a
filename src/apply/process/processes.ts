/** All HAProxy processes of ours: the one that serves and the old workers, which leave. Notices when one ends, and ends them. */
import { open, readFile, stat } from 'node:fs/promises';
import timers from 'node:timers/promises';
import { lastLines } from '../../lib/command.ts';
import { createMutex } from '../../lib/mutex.ts';
import type { Moment, Ms } from '../../model.ts';
import type { DriverEvent } from '../driver-event.ts';
import type { ForeignProcess } from '../foreign.ts';
import { ProcessTracker } from '../process-state.ts';
import type { Worker } from '../runtime/worker.ts';
import { type Generation, removeGeneration } from '../state/generation.ts';
import { isAlive, type ProcessId, sendSignal, waitForEnd } from '../system/processes.ts';
import { OldWorker } from './old-worker.ts';
import type { Recovered } from './recover.ts';
import type { Serving } from './serving.ts';

type ProcessesOptions = {
  readonly hardStopAfterMs: () => Ms;
  readonly now: () => Moment;
  readonly onEvent: (event: DriverEvent) => void;
  /** For work whose failure must not stop the work on other processes. */
  readonly tolerate: (work: Promise<unknown>) => Promise<void>;
  /** The process that served ended by itself, or leaves by an order that is not ours. Its folder is kept. */
  readonly onLost: (serving: Serving) => void;
  /** An old worker has ended, which makes room for a reload, or takes commands again. */
  readonly onChange: () => void;
};

type Limit = Extract<DriverEvent, { kind: 'connections_closed' }>['limit'];

/** HAProxy that has not ended by itself this long after its own `hard-stop-after` never will. */
const hardStopSlackMs: Ms = 10_000;

/** HAProxy prints every change of a server's health: without a limit its output would fill the disk. */
const maxOutputBytes = 1024 * 1024;

export class Processes {
  readonly #options: ProcessesOptions;
  readonly #tracker: ProcessTracker<Serving, ForeignProcess>;
  /** Each old worker is removed once. */
  readonly #mutex = createMutex();
  #oldWorkers: readonly OldWorker[];
  #isStopping = false;

  constructor({ serving, oldWorkers }: Pick<Recovered, 'serving' | 'oldWorkers'>, options: ProcessesOptions) {
    this.#options = options;
    this.#oldWorkers = oldWorkers;
    this.#tracker = new ProcessTracker(serving, { ...options, nameOf });
  }

  /** The state of the process that is to serve. */
  get tracker(): Pick<ProcessTracker<Serving, ForeignProcess>, 'whyNone' | 'unresponsive'> {
    return this.#tracker;
  }

  get serving(): Serving | null {
    return this.#tracker.process;
  }

  get oldWorkers(): readonly OldWorker[] {
    return this.#oldWorkers;
  }

  /** The old workers that leave for certain, without one that cannot be reached and may still serve. */
  get leaving(): readonly OldWorker[] {
    return this.#oldWorkers.filter(({ stage }) => stage !== 'presumed');
  }

  /** `next` serves from now on; the former process is told to leave. */
  takeOver(next: Serving): Promise<void> {
    const before = this.serving;
    this.#tracker.on({ kind: 'serves', process: next });
    return this.#mutex(async () => {
      if (before !== null) await this.#drain(before, before.worker);
    });
  }

  /** Notes a foreign process that serves; null: there is none. Ignored where a process of ours has begun to serve meanwhile. */
  foreign(foreign: ForeignProcess | null, isInPlaceOfOurs: boolean): void {
    if (this.serving !== null) return;
    if (foreign !== null) this.#tracker.on({ kind: 'foreign_found', foreign, isInPlaceOfOurs });
    else if (this.#tracker.state.kind === 'foreign') this.#tracker.on({ kind: 'gone' });
  }

  /** Tells a process to leave that never served for us: a foreign one, or one that is not ready yet. */
  drainOther(id: ProcessId, generation: Generation): Promise<void> {
    return this.#mutex(async () => {
      const presumed = this.#oldWorkers.find((each) => each.id.pid === id.pid);
      const leaving = OldWorker.found(presumed?.generation ?? generation, id, this.#options.now(), 'stopping');
      leaving.signal('SIGUSR1');
      this.#oldWorkers = [...this.#oldWorkers.filter((each) => each !== presumed), leaving];
    });
  }

  /** Whether a process of this generation lives, as far as is known. */
  has(generation: Generation): boolean {
    return [this.serving, ...this.#oldWorkers].some((each) => each?.generation === generation);
  }

  /** Ends the oldest of the leaving ones until there are no more than `max`. */
  keepAtMost(max: number): Promise<void> {
    return this.#mutex(async () => {
      if (this.leaving.length <= max) return;
      await this.#pollOldWorkers();
      // A worker without connections is about to end by itself.
      const staying = this.leaving.filter(({ connections }) => connections !== 0);
      const excess = staying.slice(0, Math.max(0, staying.length - max));
      for (const worker of excess) await this.#end(worker, 'max_old_workers');
    });
  }

  /** Notices which processes have ended. */
  async poll(): Promise<void> {
    await this.pollServing();
    await this.#mutex(() => this.#pollOldWorkers());
  }

  async pollServing(): Promise<void> {
    const { serving } = this;
    if (serving === null) return;
    const { id, worker, generation, connection } = serving;
    const isLeft = isAlive(id);
    if (isLeft && !worker.isStopping) return;
    this.#tracker.on({ kind: isLeft ? 'soft_stop' : 'gone' });
    connection.close();
    if (this.#isStopping) return;
    this.#options.onLost(serving);
    const about = { pid: id.pid, generation: generation.number };
    if (isLeft) {
      // It finishes its connections like any old worker.
      this.#oldWorkers = [...this.#oldWorkers, OldWorker.found(generation, id, this.#options.now(), 'stopping')];
      this.#options.onEvent({ kind: 'stopped_externally', ...about });
      return;
    }
    const words = await readFile(generation.stderr, 'utf8').catch(() => '');
    this.#options.onEvent({ kind: 'exited', ...about, words: lastLines(words) });
  }

  /** Asks the process that serves. Returns whether it has been silent for so long that it will not recover. */
  async isHopeless(): Promise<boolean> {
    const { serving } = this;
    if (serving === null) return false;
    const askedAt = this.#options.now();
    const error: unknown = await serving.worker.checkAlive().then(
      () => null,
      (cause: unknown) => cause,
    );
    this.#tracker.heard(serving, askedAt, error);
    return this.#tracker.isHopeless;
  }

  /** Kills the process that serves, which hangs, with all its connections. */
  async kill(limit: Limit): Promise<void> {
    const { serving } = this;
    if (serving === null) return;
    this.#tracker.on({ kind: 'gone' });
    serving.connection.close();
    sendSignal(serving.id, 'SIGKILL');
    await waitForEnd(serving.id, 2000);
    this.#options.onEvent({ kind: 'connections_closed', limit, pid: serving.id.pid, connections: null });
    this.#options.onLost(serving);
  }

  async trimOutput(): Promise<void> {
    for (const { stderr } of [this.serving, ...this.#oldWorkers].flatMap((each) => each?.generation ?? [])) {
      const size = await stat(stderr).then(
        (stats) => stats.size,
        () => 0,
      );
      if (size <= maxOutputBytes) continue;
      await using file = await open(stderr, 'r+');
      await file.truncate(0);
    }
  }

  /** Stops all processes: gracefully at first, and after `graceMs` with the connections that are left. */
  stop(graceMs: Ms): Promise<void> {
    this.#isStopping = true;
    return this.#mutex(async () => {
      const { serving } = this;
      this.#tracker.on({ kind: 'gone' });
      // No other process takes over, so HAProxy leaves in its own way, without commands from us.
      if (serving !== null) await this.#drain(serving, null);
      for (const worker of this.#oldWorkers) if (worker.stage === 'presumed') worker.signal('SIGUSR1');
      const deadline = performance.now() + graceMs;
      await this.#pollOldWorkers();
      while (this.#oldWorkers.length > 0 && performance.now() < deadline) {
        await timers.setTimeout(20);
        await this.#pollOldWorkers();
      }
      for (const worker of this.#oldWorkers) await this.#end(worker, 'stop_grace');
    });
  }

  /** Closes our connections to the processes, which live on. */
  forget(): void {
    this.serving?.connection.close();
    for (const worker of this.#oldWorkers) worker.forget();
  }

  /** `worker`: null where no commands have to reach it any more. */
  async #drain({ generation, id, connection }: Serving, worker: Worker | null): Promise<void> {
    const leaving = await OldWorker.drain({ generation, id, worker }, this.#options.now());
    this.#oldWorkers = [...this.#oldWorkers, leaving];
    connection.close();
  }

  async #pollOldWorkers(): Promise<void> {
    const unreachable = this.#oldWorkers.filter(({ worker }) => worker === null);
    await Promise.all(this.#oldWorkers.map((worker) => worker.poll()));
    // A worker that answers again lacks the changes since.
    if (unreachable.some(({ worker }) => worker !== null)) this.#options.onChange();
    const gone = this.#oldWorkers.filter((worker) => !worker.isAlive);
    for (const worker of gone) {
      // A worker that finished by itself was seen without connections, or ended long before the limit.
      const age = this.#options.now() - worker.since;
      await this.#remove(worker, age >= this.#options.hardStopAfterMs() ? 'hard_stop_after' : null);
    }
    for (const worker of this.#oldWorkers) if (this.#isOverdue(worker)) await this.#end(worker, 'hard_stop_after');
    if (gone.length > 0 && !this.#isStopping) this.#options.onChange();
  }

  /** After SIGUSR1 HAProxy itself ends at `hard-stop-after`, unless its config lacks that or it hangs. */
  #isOverdue({ since, stage }: OldWorker): boolean {
    // A worker that cannot be reached may still serve: only the operator may end it.
    if (stage === 'presumed') return false;
    const limitMs = this.#options.hardStopAfterMs() + (stage === 'stopping' ? hardStopSlackMs : 0);
    return this.#options.now() - since >= limitMs;
  }

  async #end(worker: OldWorker, limit: Limit): Promise<void> {
    await worker.end();
    await this.#remove(worker, limit);
  }

  async #remove(worker: OldWorker, limit: Limit | null): Promise<void> {
    const { generation, id, since, connections } = worker;
    const { onEvent, now, tolerate } = this.#options;
    this.#oldWorkers = this.#oldWorkers.filter((each) => each !== worker);
    worker.forget();
    if (this.#tracker.state.kind === 'leaving' && this.leaving.length === 0) this.#tracker.on({ kind: 'gone' });
    if (limit !== null && connections !== 0) onEvent({ kind: 'connections_closed', limit, pid: id.pid, connections });
    onEvent({ kind: 'old_worker_gone', pid: id.pid, ageMs: now() - since });
    await tolerate(removeGeneration(generation));
  }
}

function nameOf({ id, generation }: Serving): { readonly pid: number; readonly generation: number } {
  return { pid: id.pid, generation: generation.number };
}
