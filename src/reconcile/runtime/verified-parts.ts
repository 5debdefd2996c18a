/** Parts that were found to run as they should: while HAProxy says the same of the same part, they still do. */
import type { Owner, Seen } from '../../haproxy/resources/resource.ts';

type Parts = ReadonlyMap<Owner, object>;
type SeenParts = ReadonlyMap<Owner, Seen>;

export class VerifiedParts {
  #said = new WeakMap<object, string>();

  /** The parts about which HAProxy says something else than when they were verified, and those that are `concerned`. */
  news(seen: SeenParts, parts: Parts, concerned: ReadonlySet<Owner>): SeenParts {
    const isNews = (owner: Owner, said: string): boolean =>
      concerned.has(owner) || this.#saidOf(parts.get(owner)) !== said;
    return new Map([...seen].filter(([owner, { said }]) => isNews(owner, said)));
  }

  /** Notes these parts as verified. */
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
