/** What of the config the catalog judges by. */
import { ownListeners } from '../config/own-listeners.ts';
import type { Config } from '../config/schema.ts';
import type { CatalogSettings } from './catalog.ts';

/** `offered`: the questions about services that sources offer; `addresses`: those of this machine. */
export function catalogSettings(
  config: Config,
  { offered, addresses }: { readonly offered: CatalogSettings['offered']; readonly addresses: readonly string[] },
): CatalogSettings {
  const watchers = Object.entries(config.watchers).map(
    ([name, { required, maxServers, maxShrink }]) =>
      [
        name,
        { required, loopbackAllowed: config.sources.get(name)?.trustsLoopback === true, maxServers, maxShrink },
      ] as const,
  );
  const { services, discoveries, allowAddresses, onlyAddresses, startTimeout } = config;
  const discovering = discoveries.map(({ watcher }) => watcher);
  const own = { addresses, listeners: ownListeners(config) };
  return {
    services,
    watchers: new Map(watchers),
    discovering,
    offered,
    allowAddresses,
    onlyAddresses,
    own,
    startTimeout,
  };
}
