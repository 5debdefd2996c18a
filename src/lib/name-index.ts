/** Finds items of a list by their names, of thousands of which one or a few come or go at a time. */
import { nextCommon } from './difference.ts';

export class NameIndex<T extends { readonly name: string }> {
  readonly #isIn: (item: T) => boolean;
  #items: readonly T[] = [];
  #byName = new Map<string, T>();
  /** Some name stands twice. Then the last item that has it counts, which only the whole list tells. */
  #isRepeated = false;

  /** `isIn`: which items are to be found. */
  constructor(isIn: (item: T) => boolean) {
    this.#isIn = isIn;
  }

  /** Holds until the next call. */
  of(items: readonly T[]): ReadonlyMap<string, T> {
    if (items === this.#items) return this.#byName;
    if (this.#isRepeated || !this.#follow(items)) this.#rebuild(items);
    this.#items = items;
    return this.#byName;
  }

  #follow(items: readonly T[]): boolean {
    const before = this.#items;
    const come: T[] = [];
    for (let i = 0, j = 0; i < before.length || j < items.length; ) {
      if (i < before.length && before[i] === items[j]) {
        i++;
        j++;
        continue;
      }
      const next = nextCommon(before, i, items, j);
      if (next === null) return false;
      for (const item of before.slice(i, i + next.gone)) if (this.#isIn(item)) this.#byName.delete(item.name);
      for (const item of items.slice(j, j + next.come)) if (this.#isIn(item)) come.push(item);
      i += next.gone;
      j += next.come;
    }
    for (const item of come) this.#add(item);
    return !this.#isRepeated;
  }

  #rebuild(items: readonly T[]): void {
    this.#byName = new Map();
    this.#isRepeated = false;
    for (const item of items) if (this.#isIn(item)) this.#add(item);
  }

  #add(item: T): void {
    this.#isRepeated ||= this.#byName.has(item.name);
    this.#byName.set(item.name, item);
  }
}
