/** Decides whether a failure concerns one query or the whole source. */
import { AppError } from '../../../src/errors.ts';
import type { Connection } from './connection.ts';
import type { Failure } from './failure.ts';

/** When all queries failed one by one, the source is started again this much later for each of them. */
const perQueryMs = 5;

export type Verdict =
  | { readonly kind: 'source'; readonly error: AppError }
  | { readonly kind: 'query'; readonly isUnanswerable: boolean };

export class SourceHealth {
  readonly #connection: Connection;
  /** By query key; '' is the agent's own datacenter. */
  readonly #datacenters: Map<string, string>;
  readonly #failing = new Set<string>();
  /** Datacenters with a response so far. */
  readonly #reached = new Set<string>();
  /** Datacenters whose last query failed. */
  readonly #troubled = new Set<string>();
  /** Queries without a response or failure so far. */
  readonly #pending: Set<string>;
  readonly #connections: number;
  #failuresInARow = 0;

  /** `connections`: how many queries can be under way at once. */
  constructor(connection: Connection, datacenters: ReadonlyMap<string, string>, connections: number) {
    this.#connection = connection;
    this.#connections = connections;
    this.#datacenters = new Map(datacenters);
    this.#pending = new Set(datacenters.keys());
  }

  /** Another query from now on. */
  add(key: string, datacenter: string): void {
    this.#datacenters.set(key, datacenter);
  }

  remove(key: string): void {
    this.#datacenters.delete(key);
    this.#failing.delete(key);
    this.#pending.delete(key);
  }

  datacenter(key: string): string {
    return this.#datacenters.get(key) ?? '';
  }

  /** Whether a response to this query is to be expected. */
  isWell(key: string): boolean {
    const datacenter = this.datacenter(key);
    return this.#reached.has(datacenter) && !this.#troubled.has(datacenter) && !this.#failing.has(key);
  }

  succeeded(key: string): void {
    this.#failuresInARow = 0;
    this.#reached.add(this.datacenter(key));
    this.#troubled.delete(this.datacenter(key));
    this.#failing.delete(key);
    this.#pending.delete(key);
  }

  /** The source fails when all queries fail, or when the first query fails for a reason that concerns them all. */
  failed(key: string, { reason, retryAfterMs, scope, fault }: Failure): Verdict {
    this.#failing.add(key);
    this.#pending.delete(key);
    // The agent works: the query is wrong.
    if (fault === 'query' || (fault === 'presumed' && this.#respondsToOthers(key)))
      return { kind: 'query', isUnanswerable: true };
    this.#failuresInARow += 1;
    this.#troubled.add(this.datacenter(key));
    const isAlone = new Set(this.#datacenters.values()).size === 1;
    const isShared = scope === 'agent' || (scope === 'datacenter' && isAlone);
    // Where queries outnumber connections, the others may not have begun yet.
    const allRunningFail = this.#failuresInARow > this.#connections && this.#failing.size >= this.#connections;
    const isWhole = this.#failing.size === this.#datacenters.size || allRunningFail;
    if (!isWhole && (!isShared || this.#reached.size > 0))
      return { kind: 'query', isUnanswerable: this.#isOutOfReach(key) };
    const error = new AppError('MYELIN_SOURCE_FAILED', `Consul at ${this.#connection.name}: ${reason}`, {
      retryAfterMs: Math.max(retryAfterMs, isShared ? 0 : this.#datacenters.size * perQueryMs),
    });
    return { kind: 'source', error };
  }

  /** Its datacenter has responded before, and not every query fails now. */
  #respondsToOthers(key: string): boolean {
    return this.#reached.has(this.datacenter(key)) && this.#failing.size < this.#datacenters.size;
  }

  /** Queries without any response or failure, to datacenters that seem out of reach. */
  get hanging(): readonly string[] {
    return [...this.#pending].filter((key) => this.#isOutOfReach(key));
  }

  /** Its datacenter has not responded, and another one has. */
  #isOutOfReach(key: string): boolean {
    return this.#reached.size > 0 && !this.#reached.has(this.datacenter(key));
  }
}
