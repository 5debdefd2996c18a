/** Which route a request takes, as HAProxy's look-up in the map decides it: exact host, then `*.`, then any host; the longest path. */
import type { Route } from './route.ts';

/** `host`: as in the request, with a port or without; `path`: without a query. */
export function matchRoute<T extends { readonly route: Route }>(
  held: readonly T[],
  host: string,
  path: string,
): T | null {
  const byKey = new Map(held.map((one) => [one.route.key, one]));
  const name = host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
  const dot = name.indexOf('.');
  const hosts = [name, ...(dot === -1 ? [] : [`*${name.slice(dot)}`]), '*'];
  const paths = prefixesOf(path);
  for (const each of hosts)
    for (const prefix of paths) {
      const found = byKey.get(`${each}${prefix}/`);
      if (found !== undefined) return found;
    }
  return null;
}

/** `/a/b` → `/a/b`, `/a` and ``. */
function prefixesOf(path: string): readonly string[] {
  const elements = path.replace(/\/$/, '').split('/').slice(1);
  return Array.from({ length: elements.length + 1 }, (_, fewer) =>
    elements
      .slice(0, elements.length - fewer)
      .map((element) => `/${element}`)
      .join(''),
  );
}
