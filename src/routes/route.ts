/** A route: what of the traffic of a shared frontend goes to a service. Plain values. */

/** By what a shared frontend tells its traffic apart: host and path, the name in a TLS hello, or the port. */
export type RouteKind = 'http' | 'sni' | 'port';

export type PortRange = { readonly first: number; readonly last: number };

/** A shared frontend, as far as routes know it. */
export type SharedFrontend = {
  readonly name: string;
  readonly kind: RouteKind;
  /** Those that a pool holds; empty for others. */
  readonly ports: readonly PortRange[];
};

/** As somebody wrote it, each part valid by itself; what was left out is undefined. */
export type WrittenRoute = {
  /** The text itself, for messages. */
  readonly label: string;
  readonly frontend?: string | undefined;
  /** In lower case; a `*.` at its beginning stands for one label. */
  readonly host?: string | undefined;
  /** Without a slash at its end; '' is every path. */
  readonly path?: string | undefined;
  readonly sni?: string | undefined;
  readonly port?: number | undefined;
  /** What stands in the place of `path` in the request that the service gets; '' where it is only taken away. */
  readonly to?: string | undefined;
};

export type Route = {
  readonly frontend: string;
  /** What it is looked up by: one of a frontend's map. */
  readonly key: string;
  /** Its line in that map, with its line feed. */
  readonly line: string;
  /** As somebody wrote it. */
  readonly label: string;
};
