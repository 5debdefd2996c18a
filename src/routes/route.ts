/** A route: which traffic of a shared frontend goes to a service. Plain values. */

/** How a shared frontend distinguishes its traffic: by host and path, by the name in a TLS hello, or by port. */
export type RouteKind = 'http' | 'sni' | 'port';

export type PortRange = { readonly first: number; readonly last: number };

/** The part of a shared frontend that routes need. */
export type SharedFrontend = {
  readonly name: string;
  readonly kind: RouteKind;
  /** The ports of a pool; empty for other frontends. */
  readonly ports: readonly PortRange[];
};

/** A route as written, each part valid by itself; a part that was left out is undefined. */
export type WrittenRoute = {
  /** The written text, for messages. */
  readonly label: string;
  readonly frontend?: string | undefined;
  /** In lower case; a `*.` at the beginning stands for one label. */
  readonly host?: string | undefined;
  /** Without a slash at the end; '' matches every path. */
  readonly path?: string | undefined;
  readonly sni?: string | undefined;
  readonly port?: number | undefined;
  /** Replaces `path` in the request that the service gets; '' where `path` is only removed. */
  readonly to?: string | undefined;
};

export type Route = {
  readonly frontend: string;
  /** The key in one of the frontend's maps. */
  readonly key: string;
  /** The line in that map, with its line feed. */
  readonly line: string;
  /** The route as written. */
  readonly label: string;
};
