/** The part of the config that the catalog uses. */
import { ownListeners } from '../config/own-listeners.ts';
import type { Config } from '../config/schema.ts';
import type { CatalogSettings } from './catalog.ts';

/** `discovered`: the queries for discovered services; `addresses`: those of this machine. */
export function catalogSettings(
  config: Config,
  {
    discovered,
    addresses,
  }: { readonly discovered: CatalogSettings['discovered']; readonly addresses: readonly string[] },
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
    discovered,
    allowAddresses,
    onlyAddresses,
    own,
    startTimeout,
  };
}
