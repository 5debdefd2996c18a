/** What parts of the page share of state and time. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Timestamp } from '../../model.ts';
import { ask } from './api.ts';
import type { Store, View } from './store.ts';

/** Renders again with each news, together with all that comes before the next frame. */
export function useView(store: Store): View | null {
  const [view, setView] = useState(store.view);
  useEffect(() => store.subscribe(() => setView(store.view)), [store]);
  return view;
}

/** The time of the server, to the second. */
export function useNow(store: Store): Timestamp {
  const [now, setNow] = useState(store.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(store.now), 1000);
    return () => clearInterval(timer);
  }, [store]);
  // A status that came since is not from the future.
  return Math.max(now, store.view?.status.at ?? 0);
}

/** What the address names after `#`, such as `service=web`. */
export function useHash(): URLSearchParams {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = (): void => setHash(location.hash);
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return new URLSearchParams(hash.slice(1));
}

export function serviceLink(service: string): string {
  return `#service=${encodeURIComponent(service)}`;
}

export type Asked<T> = { readonly value: T | null; readonly trouble: string | null };

/**
 * Asks when `path` or `again` changes, one question at a time; meanwhile the last answer about the same path stands. null:
 * nothing is asked.
 */
export function useAnswer<T>(path: string | null, again: unknown = null): Asked<T> {
  const [asked, setAsked] = useState<Asked<T> & { readonly path: string | null }>({ path, value: null, trouble: null });
  const wanted = useRef(path);
  const asking = useRef<string | null>(null);
  wanted.current = path;
  useEffect(() => {
    if (path === null || asking.current === path) return;
    asking.current = path;
    const show = (answer: Asked<T>): void => {
      if (asking.current === path) asking.current = null;
      if (wanted.current === path) setAsked({ path, ...answer });
    };
    ask<T>(path).then(
      (value) => show({ value, trouble: null }),
      (error: unknown) => show({ value: null, trouble: error instanceof Error ? error.message : String(error) }),
    );
  }, [path, again]);
  return asked.path === path ? asked : { value: null, trouble: null };
}
