/** All HAProxies that Myelin answers for: the one that serves and those that leave. Sees when one ends, and ends them. */
import { open, readFile, stat } from 'node:fs/promises';
import timers from 'node:timers/promises';
import { lastLines } from '../haproxy/check.ts';
import type { Moment, Ms } from '../model.ts';
import type { ControlEvent } from './control.ts';
import { removeGeneration } from './generation.ts';
import { OldWorker } from './old-worker.ts';
import { isAlive } from './processes.ts';
import type { Recovered } from './recover.ts';
import type { Serving } from './serving.ts';

type FleetOptions = {
  readonly hardStopAfterMs: Ms;
  readonly now: () => Moment;
  readonly onEvent: (event: ControlEvent) => void;
  /** The serving process ended by itself. */
  readonly onExit: (serving: Serving) => void;
  /** An old worker is gone, which makes room for a reload. */
  readonly onRoom: () => void;
};

/** HAProxy prints every change of a server's health; where it was started, nobody reads that in the long run. */
const maxOutputBytes = 1024 * 1024;

export class Fleet {
  readonly #options: FleetOptions;
  #serving: Serving | null;
  #oldWorkers: readonly OldWorker[];
  #isStopping = false;

  constructor({ serving, oldWorkers }: Recovered, options: FleetOptions) {
    this.#options = options;
    this.#serving = serving;
    this.#oldWorkers = oldWorkers;
  }

  get serving(): Serving | null {
    return this.#serving;
  }

  get oldWorkers(): readonly OldWorker[] {
    return this.#oldWorkers;
  }

  /** `next` serves from now on; the one that did is told to leave. */
  async replace(next: Serving): Promise<void> {
    const before = this.#serving;
    this.#serving = next;
    if (before === null || before.id === next.id) return;
    const leaving = await OldWorker.dismiss(before.generation, before.id, this.#options.now());
    this.#oldWorkers = [...this.#oldWorkers, leaving];
  }

  /** Ends the oldest of the leaving ones until there are fewer than `max`. */
  async makeRoom(max: number): Promise<void> {
    await this.look();
    while (this.#oldWorkers.length >= max) {
      const [oldest, ...others] = this.#oldWorkers;
      if (oldest === undefined) return;
      await oldest.end();
      this.#closed('max_old_workers', oldest);
      this.#oldWorkers = others;
      await this.#bury(oldest);
    }
  }

  /** Sees who is gone. */
  async look(): Promise<void> {
    await this.lookAtServing();
    await Promise.all(this.#oldWorkers.map((worker) => worker.look()));
    const gone = this.#oldWorkers.filter((worker) => !worker.isAlive);
    if (gone.length === 0) return;
    this.#oldWorkers = this.#oldWorkers.filter((worker) => !gone.includes(worker));
    for (const worker of gone) {
      // One that finished all it had was seen without connections, or ended long before this.
      if (this.#options.now() - worker.since >= this.#options.hardStopAfterMs) this.#closed('hard_stop_after', worker);
      await this.#bury(worker);
    }
    if (!this.#isStopping) this.#options.onRoom();
  }

  async lookAtServing(): Promise<void> {
    const serving = this.#serving;
    if (serving === null || isAlive(serving.id)) return;
    this.#serving = null;
    if (this.#isStopping) return;
    const { number: generation, stderr } = serving.generation;
    const words = await readFile(stderr, 'utf8').catch(() => '');
    this.#options.onEvent({ kind: 'exited', pid: serving.id.pid, generation, words: lastLines(words) });
    this.#options.onExit(serving);
  }

  async trimOutput(): Promise<void> {
    for (const { stderr } of [this.#serving, ...this.#oldWorkers].flatMap((each) => each?.generation ?? [])) {
      const size = await stat(stderr).then(
        (stats) => stats.size,
        () => 0,
      );
      if (size <= maxOutputBytes) continue;
      await using file = await open(stderr, 'r+');
      await file.truncate(0);
    }
  }

  /** Softly at first; after `graceMs` with what they still have. */
  async stop(graceMs: Ms): Promise<void> {
    this.#isStopping = true;
    const serving = this.#serving;
    if (serving !== null)
      this.#oldWorkers = [
        ...this.#oldWorkers,
        await OldWorker.dismiss(serving.generation, serving.id, this.#options.now()),
      ];
    const deadline = performance.now() + graceMs;
    await this.look();
    while (this.#oldWorkers.length > 0 && performance.now() < deadline) {
      await timers.setTimeout(20);
      await this.look();
    }
    for (const worker of this.#oldWorkers) {
      await worker.end();
      this.#closed('stop_grace', worker);
      await this.#bury(worker);
    }
    this.#oldWorkers = [];
    if (serving !== null) await removeGeneration(serving.generation);
  }

  /** They live on; only we look away. */
  forget(): void {
    for (const worker of this.#oldWorkers) worker.forget();
  }

  #closed(limit: 'max_old_workers' | 'hard_stop_after' | 'stop_grace', { id, connections }: OldWorker): void {
    if (connections !== 0) this.#options.onEvent({ kind: 'connections_closed', limit, pid: id.pid, connections });
  }

  async #bury({ generation, id, since }: OldWorker): Promise<void> {
    const ageMs = this.#options.now() - since;
    this.#options.onEvent({ kind: 'old_worker_gone', pid: id.pid, ageMs });
    await removeGeneration(generation);
  }
}
