/** Decides whether a failure concerns one namespace or the whole source. */
import { AppError } from '../../../src/errors.ts';
import type { Ms } from '../../../src/model.ts';
import type { Failure } from './failure.ts';
import { resources } from './resources.ts';

export class Failing {
  readonly #server: string;
  readonly #reaches: number;
  readonly #refused: (askedMs: Ms) => Ms;
  /** The failures by namespace (null: all namespaces) and resource. */
  readonly #failures = new Map<string | null, Map<string, Failure>>();

  /**
   * `reaches`: the number of queried namespaces; `refused`: how long to wait for a server that refuses the
   * credentials, given the wait that the server asks for.
   */
  constructor(server: string, reaches: number, refused: (askedMs: Ms) => Ms) {
    this.#server = server;
    this.#reaches = reaches;
    this.#refused = refused;
  }

  /** Returns an error when the whole source is down: for a reason that all share, or in every namespace. */
  set(namespace: string | null, resource: string, failure: Failure | null): AppError | undefined {
    const failures = new Map(this.#failures.get(namespace));
    if (failure === null) failures.delete(resource);
    else failures.set(resource, failure);
    this.#failures.set(namespace, failures);
    if (failure === null || (failure.scope !== 'server' && !this.#isDown())) return undefined;
    const all = [...this.#failures.values()].flatMap((its) => [...its.values()]);
    const askedMs = all.reduce((most, { retryAfterMs }) => Math.max(most, retryAfterMs), 0);
    return new AppError('MYELIN_SOURCE_FAILED', `Kubernetes at ${this.#server}: ${failure.reason}`, {
      retryAfterMs: failure.scope === 'server' ? this.#refused(askedMs) : askedMs,
    });
  }

  #isDown(): boolean {
    const down = [...this.#failures.values()].filter((failures) => {
      const its = [...failures.values()];
      // An overloaded server answers some queries: the others wait, and do not restart the whole source.
      return its.length === resources.length || its.some(({ isBusy }) => !isBusy);
    });
    return down.length === this.#reaches;
  }
}
