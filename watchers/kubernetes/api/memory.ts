/**
 * Results outlive a failure of the source: the same query later continues from them. Otherwise every Myelin of
 * a cluster would list everything again as soon as the API server is back.
 */
import type { ServiceKey } from '../service-query.ts';
import { View } from '../view.ts';
import type { Place } from './reflect.ts';
import type { Resource } from './resources.ts';

/** The state of one namespace, or of the whole cluster. */
export class Memory {
  readonly view: View;
  readonly #places = new Map<string, Place>();

  /** `wanted`: of which Services; null: of any. */
  constructor(wanted: ReadonlySet<ServiceKey> | null) {
    this.view = new View(wanted);
  }

  /** How far its list and watch have come; null: list everything again. */
  place({ plural }: Resource): Place | null {
    return this.#places.get(plural) ?? null;
  }

  setPlace({ plural }: Resource, place: Place | null): void {
    if (place === null) this.#places.delete(plural);
    else this.#places.set(plural, place);
  }

  /** Forgets the place, so that everything is listed again. */
  distrust(): void {
    this.#places.clear();
  }
}

type ByNamespace = ReadonlyMap<string | null, Memory>;

/** Keeps the memories of a watcher that has failed for its next start. */
export class Memories {
  #kept: { readonly about: string; readonly memories: ByNamespace } | null = null;

  /** Returns what is remembered about the same query and server, to the first caller only: two would mix their results. */
  take(about: string): ByNamespace {
    const memories = this.#kept?.about === about ? this.#kept.memories : new Map<string | null, Memory>();
    this.#kept = null;
    return memories;
  }

  keep(about: string, memories: ByNamespace): void {
    this.#kept = { about, memories };
  }
}
