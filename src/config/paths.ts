/** Where Myelin keeps its own files, all below `state`. */
import { join } from 'node:path';

type HasState = { readonly state: string };

/** HAProxy reads from here, when it starts, which servers were down; written before every reload. */
export const serverStateFile = (config: HasState): string => join(config.state, 'servers.state');

/** What an operator ordered servers to be. */
export const ordersFile = (config: HasState): string => join(config.state, 'orders.json');

/** Held by the one Myelin that may work with this state. */
export const lockFile = (config: HasState): string => join(config.state, 'lock');
