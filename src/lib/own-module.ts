/** The modules of this package that are started, or given to others, by their address. */

/** `path` is that of the source without its extension. The bundle has these apart, in `dist`, by the same path. */
export function ownModule(path: string): URL {
  const where = import.meta.url.endsWith('.ts') ? `${path}.ts` : `dist/${path}.js`;
  return new URL(where, import.meta.resolve('#package.json'));
}
