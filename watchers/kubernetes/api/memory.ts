/**
 * What was read outlives a failure of the source: whoever asks the same again goes on from there. Otherwise every Myelin of
 * a cluster would list everything anew at the moment at which the API server is back.
 */
import type { ServiceKey } from '../service-query.ts';
import { View } from '../view.ts';
import type { Place } from './reflect.ts';
import type { Resource } from './resources.ts';

/** Of one namespace, or of all. */
export class Memory {
  readonly view: View;
  readonly #places = new Map<string, Place>();

  /** `wanted`: of which Services; null: of any. */
  constructor(wanted: ReadonlySet<ServiceKey> | null) {
    this.view = new View(wanted);
  }

  /** How far its list and watch have come; null: that is to be listed anew. */
  place({ plural }: Resource): Place | null {
    return this.#places.get(plural) ?? null;
  }

  setPlace({ plural }: Resource, place: Place | null): void {
    if (place === null) this.#places.delete(plural);
    else this.#places.set(plural, place);
  }

  /** All is to be listed anew. */
  distrust(): void {
    this.#places.clear();
  }
}

type ByNamespace = ReadonlyMap<string | null, Memory>;

/** The memories of the last one that failed. */
export class Memories {
  #kept: { readonly about: string; readonly memories: ByNamespace } | null = null;

  /** For one asker alone: what is read of the same things by two would be mixed. `about`: what is asked, and whom. */
  take(about: string): ByNamespace {
    const memories = this.#kept?.about === about ? this.#kept.memories : new Map<string | null, Memory>();
    this.#kept = null;
    return memories;
  }

  keep(about: string, memories: ByNamespace): void {
    this.#kept = { about, memories };
  }
}
