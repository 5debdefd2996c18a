/** Caches an answer that is expensive and that anybody may ask for: it is made again only so often that it takes a small part of the time. */
import type { Ms } from '../model.ts';

/** Of a core, for each such answer. */
const share = 1 / 50;
/** However long it took: what is this old is no news. */
const longestMs: Ms = 5000;

/** The last one, until making another costs no more than its share; asked for at once, one is made for all. */
export function recent<T>(make: () => T | Promise<T>, now: () => Ms = () => performance.now()): () => Promise<T> {
  let last: Promise<T> | null = null;
  let freshUntil = Number.POSITIVE_INFINITY;
  return () => {
    if (last !== null && now() < freshUntil) return last;
    const startedAt = now();
    freshUntil = Number.POSITIVE_INFINITY;
    const made = (async () => make())();
    last = made;
    const done = (): void => {
      freshUntil = now() + Math.min(longestMs, (now() - startedAt) / share);
    };
    made.then(done, () => {
      // The next one tries again.
      if (last === made) last = null;
    });
    return made;
  };
}
