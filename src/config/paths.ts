/** Where Myelin keeps its own files: below `state`, but for what a HAProxy elsewhere has to read. */
import { join } from 'node:path';
import type { Config } from './schema.ts';

type HasState = { readonly state: string };

/**
 * HAProxy reads from here, when it starts, which servers were down; written before every reload. Where its master runs
 * elsewhere the two need not share more than the folder of its config.
 */
export function serverStateFile({ state, haproxy }: HasState & Pick<Config, 'haproxy'>): string {
  return haproxy.control === 'master' ? `${haproxy.config}.servers` : join(state, 'servers.state');
}

/** What an operator ordered servers to be. */
export const ordersFile = (config: HasState): string => join(config.state, 'orders.json');

/** Held by the one Myelin that may work with this state. */
export const lockFile = (config: HasState): string => join(config.state, 'lock');
