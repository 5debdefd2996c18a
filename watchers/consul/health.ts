/** Tells apart what is wrong with one query, with a datacenter, and with the source. */
import { AppError } from '../../src/errors.ts';
import type { Connection } from './connection.ts';
import type { Failure } from './failure.ts';

/** When all queries failed one by one, asking them all again is put off by this much for each. */
const perQueryMs = 5;

export type Verdict =
  | { readonly kind: 'source'; readonly error: AppError }
  | { readonly kind: 'query'; readonly isUnanswerable: boolean };

export class Health {
  readonly #connection: Connection;
  /** The datacenter of each query; '' is the agent's own. */
  readonly #datacenters: ReadonlyMap<string, string>;
  readonly #failing = new Set<string>();
  /** Datacenters that have answered. */
  readonly #answered = new Set<string>();
  /** Of these the last word was a failure. */
  readonly #troubled = new Set<string>();
  /** Queries that have neither been answered nor failed. */
  readonly #silent: Set<string>;
  readonly #connections: number;
  #inARow = 0;

  /** `connections`: how many queries can be asked at once. */
  constructor(connection: Connection, datacenters: ReadonlyMap<string, string>, connections: number) {
    this.#connection = connection;
    this.#connections = connections;
    this.#datacenters = datacenters;
    this.#silent = new Set(datacenters.keys());
  }

  datacenter(key: string): string {
    return this.#datacenters.get(key) ?? '';
  }

  /** Whether it is to be expected that this query is answered. */
  isWell(key: string): boolean {
    const datacenter = this.datacenter(key);
    return this.#answered.has(datacenter) && !this.#troubled.has(datacenter) && !this.#failing.has(key);
  }

  answered(key: string): void {
    this.#inARow = 0;
    this.#answered.add(this.datacenter(key));
    this.#troubled.delete(this.datacenter(key));
    this.#failing.delete(key);
    this.#silent.delete(key);
  }

  /** The source is down when nothing is answered any more, or the first query fails for a reason that all share. */
  failed(key: string, { reason, retryAfterMs, scope, fault }: Failure): Verdict {
    this.#failing.add(key);
    this.#silent.delete(key);
    // That the query is wrong is an answer: the agent is well.
    if (fault === 'query' || (fault === 'presumed' && this.#answersOthers(key)))
      return { kind: 'query', isUnanswerable: true };
    this.#inARow += 1;
    this.#troubled.add(this.datacenter(key));
    const isAlone = new Set(this.#datacenters.values()).size === 1;
    const isShared = scope === 'agent' || (scope === 'datacenter' && isAlone);
    // Of more queries than can be asked at once the others may not have had their turn yet.
    const isSilent = this.#inARow > this.#connections && this.#failing.size >= this.#connections;
    const isWhole = this.#failing.size === this.#datacenters.size || isSilent;
    if (!isWhole && (!isShared || this.#answered.size > 0))
      return { kind: 'query', isUnanswerable: this.#isOutOfReach(key) };
    const error = new AppError('MYELIN_SOURCE_FAILED', `Consul at ${this.#connection.name}: ${reason}`, {
      retryAfterMs: Math.max(retryAfterMs, isShared ? 0 : this.#datacenters.size * perQueryMs),
    });
    return { kind: 'source', error };
  }

  /** Its datacenter has answered, and does not fail every query now. */
  #answersOthers(key: string): boolean {
    return this.#answered.has(this.datacenter(key)) && this.#failing.size < this.#datacenters.size;
  }

  /** Queries to datacenters that are out of reach, and that have not even failed yet. */
  get hanging(): readonly string[] {
    return [...this.#silent].filter((key) => this.#isOutOfReach(key));
  }

  /** Its datacenter has said nothing, and another has. */
  #isOutOfReach(key: string): boolean {
    return this.#answered.size > 0 && !this.#answered.has(this.datacenter(key));
  }
}
