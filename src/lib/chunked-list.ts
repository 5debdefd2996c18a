/**
 * Cuts a list of thousands of items, of which one or a few change at a time, into chunks. Where a chunk begins depends on its first
 * item alone, and a chunk whose items are the same is the same object as before: what was made of it can be kept with it.
 */
import { commonEnds } from './difference.ts';

export type ListChunk<T> = readonly T[];

export class ChunkedList<T> {
  readonly #begins: (item: T) => boolean;
  #items: readonly T[] = [];
  #chunks: readonly ListChunk<T>[] = [];

  constructor(begins: (item: T) => boolean) {
    this.#begins = begins;
  }

  /** All items in their order, none of them empty. */
  of(items: readonly T[]): readonly ListChunk<T>[] {
    if (items === this.#items) return this.#chunks;
    const { start, end } = commonEnds(this.#items, items);
    const before = this.#chunks;
    // What follows a chunk must begin another one in both lists.
    let [first, from] = [0, 0];
    for (; first < before.length && from + lengthOf(before[first]) < start; first++) from += lengthOf(before[first]);
    let [last, to] = [before.length, items.length];
    while (last > first && items.length - to + lengthOf(before[last - 1]) <= end && this.#isChunk(before[last - 1])) {
      last--;
      to -= lengthOf(before[last]);
    }
    const known = new Map(before.slice(first, last).map((chunk) => [chunk[0], chunk]));
    const middle = this.#cut(items, from, to).map((chunk) => same(known.get(chunk[0]), chunk) ?? chunk);
    this.#items = items;
    this.#chunks = [...before.slice(0, first), ...middle, ...before.slice(last)];
    return this.#chunks;
  }

  /** Whether it begins by itself, and not because nothing stands before it. */
  #isChunk(chunk: ListChunk<T> | undefined): boolean {
    return chunk !== undefined && this.#begins(chunk[0] as T);
  }

  #cut(items: readonly T[], from: number, to: number): readonly ListChunk<T>[] {
    const chunks: ListChunk<T>[] = [];
    for (let at = from; at < to; ) {
      let next = at + 1;
      while (next < to && !this.#begins(items[next] as T)) next++;
      chunks.push(items.slice(at, next));
      at = next;
    }
    return chunks;
  }
}

function lengthOf(chunk: ListChunk<unknown> | undefined): number {
  return chunk?.length ?? 0;
}

function same<T>(before: ListChunk<T> | undefined, now: ListChunk<T>): ListChunk<T> | null {
  const isSame = before?.length === now.length && before.every((item, at) => item === now[at]);
  return isSame ? before : null;
}
