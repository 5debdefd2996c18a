/** Where services are registered. */
import type { Ms } from '../../src/model.ts';
import type { Backend } from '../../test/servers/backend.ts';
import type { Workplace } from '../../test/support/sites/myelin.ts';

export type Registry = AsyncDisposable & {
  /** The address at which a backend can be registered. */
  readonly backendAddress: string;
  /** The watcher in the config, whose `discover` settings are these. */
  readonly watcher: string;
  readonly discover: string;
  /** Writes the files that the config names. */
  prepare(place: Workplace): Promise<void>;
  /** Registers many services as `add` does, in whatever way is fast. */
  fill(names: readonly string[], backend: Backend): Promise<void>;
  /** Registers a service with the route `/NAME`, led to this backend. */
  add(name: string, backend: Backend): Promise<unknown>;
  /** It is not registered any more. */
  remove(name: string): Promise<unknown>;
  /** Removes what may be left of it, once it is not served any more. */
  clear(name: string): Promise<unknown>;
  /** Listens as any client does; settles when the registry has told of this service. */
  told(name: string): Promise<{ readonly at: Promise<Ms> }>;
};

/** Starts an empty one. */
export type StartRegistry = () => Promise<Registry>;
