/** Caches an expensive response that anybody may request: computing it takes only a small part of the time. */
import type { Ms } from '../model.ts';

/** The part of a core for each such response. */
const defaultShare = 1 / 50;
/** A response is never cached for longer than this, however expensive it is. */
const longestMs: Ms = 5000;

/**
 * Returns the last response while a new one would exceed its share of the time; simultaneous requests share one response.
 */
export function recent<T>(
  make: () => T | Promise<T>,
  { share = defaultShare, now = () => performance.now() }: { readonly share?: number; readonly now?: () => Ms } = {},
): () => Promise<T> {
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
      // The next request tries again.
      if (last === made) last = null;
    });
    return made;
  };
}
