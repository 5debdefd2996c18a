/** Configs with `discover`, and what a cluster offers, in few words. */
import type { Config } from '../../../src/config/schema.ts';
import type { DiscoveredService, SourceEvent } from '../../../src/model.ts';
import { load } from './config.ts';

/** Lines below `discover: { cluster: … }` and any other lines of the config. */
export async function discovering(limits = '', rest = ''): Promise<Config> {
  const { config } = await load(`
watchers: { cluster: { type: kubernetes, namespace: shop } }
discover: { cluster: { labels: { expose: "true" }, ports: "10000-10999"${limits === '' ? '' : `, ${limits}`} } }
${rest}
`);
  return config;
}

export function service(name: string, options: DiscoveredService['options'] = {}, createdAt = 0): DiscoveredService {
  return { key: `*shop/${name}`, name: `shop:${name}`, owner: 'shop', createdAt, options };
}

export function discovered(...list: readonly DiscoveredService[]): SourceEvent {
  return { watcher: 'cluster', kind: 'discovered', key: '*shop', services: list };
}
