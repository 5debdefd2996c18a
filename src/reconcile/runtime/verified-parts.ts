/** Parts that were found to run as they should: while HAProxy says the same of the same part, they still do. */
import type { Owner, Seen } from '../../haproxy/resources/resource.ts';

type Parts = ReadonlyMap<Owner, object>;
type SeenParts = ReadonlyMap<Owner, Seen>;

export class VerifiedParts {
  #said = new WeakMap<object, string>();

  /** What is not what was said of the same parts when they were verified. */
  news(seen: SeenParts, parts: Parts): SeenParts {
    return new Map([...seen].filter(([owner, { said }]) => this.#saidOf(parts.get(owner)) !== said));
  }

  /** These are as they should be. */
  add(seen: SeenParts, parts: Parts): void {
    for (const [owner, { said }] of seen) {
      const part = parts.get(owner);
      if (part !== undefined) this.#said.set(part, said);
    }
  }

  clear(): void {
    this.#said = new WeakMap();
  }

  #saidOf(part: object | undefined): string | null {
    return part === undefined ? null : (this.#said.get(part) ?? null);
  }
}
