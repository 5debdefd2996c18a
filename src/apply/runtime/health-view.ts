/**
 * What HAProxy says of our backends, as it was last asked. It is asked when somebody wants to know: with thousands of servers its
 * answer is megabytes.
 */

import { AppError } from '../../errors.ts';
import type { BackendHealth } from '../../haproxy/cli/stats.ts';
import { now } from '../../lib/time/clock.ts';
import type { Moment } from '../../model.ts';
import type { ManagedDriver } from '../driver.ts';

/** Read at `at`, of the process `pid`. */
type Seen = {
  readonly pid: number;
  readonly at: Moment;
  readonly backends: ReadonlyMap<string, BackendHealth>;
};

/** Asked in one go: commands that change HAProxy take turns with these questions. */
const backendsAtOnce = 64;

export class HealthView {
  readonly #driver: Pick<ManagedDriver, 'runtime' | 'running' | 'unresponsive'>;
  #last: Seen | null = null;

  constructor(driver: Pick<ManagedDriver, 'runtime' | 'running' | 'unresponsive'>) {
    this.#driver = driver;
  }

  /** null: HAProxy was not asked, or does not answer, or another process serves since. */
  get last(): Omit<Seen, 'pid'> | null {
    return this.#last?.pid === this.#pid ? this.#last : null;
  }

  /** Asks again. Where HAProxy does not answer there is no view: `unresponsive` says why before long. */
  async refresh(): Promise<void> {
    // Until there is an answer, the one before stands.
    this.#last = await this.#read();
  }

  async #read(): Promise<Seen | null> {
    const { runtime, unresponsive } = this.#driver;
    const pid = this.#pid;
    if (runtime === null || pid === null || unresponsive !== null) return null;
    const names = runtime.running.sections.flatMap(({ kind, name, service }) =>
      kind === 'backend' && service !== null ? [name] : [],
    );
    const backends = new Map<string, BackendHealth>();
    try {
      for (let from = 0; from < names.length; from += backendsAtOnce)
        for (const [name, health] of await runtime.health(names.slice(from, from + backendsAtOnce)))
          backends.set(name, health);
    } catch (error) {
      if (error instanceof AppError) return null;
      throw error;
    }
    return { pid, at: now(), backends };
  }

  get #pid(): number | null {
    return this.#driver.running?.process?.pid ?? null;
  }
}
