/** The index of the list of services: one query follows it, and others that need it as well are told of it. */
import type { ConsulResponse } from '../agent/client.ts';

type Waiting = { readonly resolve: (index: bigint | null) => void; readonly reject: (error: unknown) => void };

export class CatalogIndex {
  /** undefined: not known now. */
  #index: bigint | null | undefined;
  readonly #waiting = new Set<Waiting>();

  /** null: the responses have none. */
  set(index: bigint | null): void {
    this.#index = index;
    for (const { resolve } of this.#waiting) resolve(index);
    this.#waiting.clear();
  }

  /** The query has failed, or ends. */
  fail(error: unknown): void {
    this.#index = undefined;
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting.clear();
  }

  /** As a blocking query would: resolves when the index is another one than `before`. */
  async response(before: string | undefined): Promise<ConsulResponse> {
    let index = this.#index;
    while (index === undefined || (before !== undefined && index === BigInt(before)))
      index = await new Promise<bigint | null>((resolve, reject) => this.#waiting.add({ resolve, reject }));
    return { headers: index === null ? {} : { 'x-consul-index': `${index}` }, body: {} };
  }
}
