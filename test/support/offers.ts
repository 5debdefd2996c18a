/** Configs with `discover`, and what a cluster offers, in few words. */
import type { Config } from '../../src/config/schema.ts';
import type { Offer, SourceEvent } from '../../src/model.ts';
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

export function offer(name: string, options: Offer['options'] = {}, createdAt = 0): Offer {
  return { key: `*shop/${name}`, name: `shop:${name}`, owner: 'shop', createdAt, options };
}

export function offers(...list: readonly Offer[]): SourceEvent {
  return { watcher: 'cluster', kind: 'offers', key: '*shop', offers: list };
}
