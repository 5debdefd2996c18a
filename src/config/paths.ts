/** Where Myelin keeps its own files: below `state`, but for what a HAProxy elsewhere has to read. */
import { join } from 'node:path';
import type { Config } from './schema.ts';

type HasState = { readonly state: string };

/**
 * HAProxy reads from here, when it starts, which servers were down; written before every reload. null where Myelin knows
 * of no HAProxy that would.
 */
export function serverStateFile({ state, haproxy }: HasState & Pick<Config, 'haproxy'>): string | null {
  const { control, config, masterSocket } = haproxy;
  // With a HAProxy elsewhere no more has to be shared than this folder; and what an init container writes (`none`) is
  // then what the Myelin beside that HAProxy would write.
  if (masterSocket !== undefined) return `${config}.servers`;
  return control === 'none' ? null : join(state, 'servers.state');
}

/** What an operator ordered servers to be. */
export const overridesFile = (config: HasState): string => join(config.state, 'orders.json');

/** The services that sources discovered last. */
export const knownServicesFile = (config: HasState): string => join(config.state, 'services.json');

/** Where an older Myelin had them. */
export const formerKnownServicesFile = (config: HasState): string => join(config.state, 'offers.json');

/** Who served each service last. */
export const endpointsFile = (config: HasState): string => join(config.state, 'endpoints.json');

/**
 * The socket that one HAProxy hands on to the next, while `haproxy.statsSocket` leads to the one that serves. Beside that:
 * a second name has to be on the same file system, and does not go where somebody clears `state`.
 */
export const handedOnSocket = ({ haproxy }: Pick<Config, 'haproxy'>): string => `${haproxy.statsSocket}.kept`;

/** Where an older Myelin had it. */
export const formerHandedOnSocket = (config: HasState): string => join(config.state, 'stats.sock');

/** Each HAProxy that Myelin starts has a folder in here. */
export const generationsFolder = ({ state, haproxy }: HasState & Pick<Config, 'haproxy'>): string =>
  haproxy.handover ?? state;

/** Copies of the files that services name. With a HAProxy elsewhere it reads them beside its config, as the above. */
export function keptFilesFolder({ state, haproxy }: HasState & Pick<Config, 'haproxy'>): string {
  return haproxy.masterSocket !== undefined ? `${haproxy.config}.files` : join(state, 'files');
}

/**
 * The maps that HAProxy reads with its config, and its certificates: beside that, as a HAProxy elsewhere reads them as well.
 * All that is in these folders is Myelin's.
 */
export const mapsFolder = ({ haproxy }: Pick<Config, 'haproxy'>): string => `${haproxy.config}.maps`;

/** The routes of a shared frontend. */
export const mapFile = (config: Pick<Config, 'haproxy'>, frontend: string): string =>
  join(mapsFolder(config), `${frontend}.map`);

export const certificatesFolder = ({ haproxy }: Pick<Config, 'haproxy'>): string => `${haproxy.config}.certs`;

/** Those of a shared frontend: `+` is in no name of one. */
export const certificateFile = (config: Pick<Config, 'haproxy'>, frontend: string, name: string): string =>
  join(certificatesFolder(config), `${frontend}+${name}.pem`);

/** The name of one by that of its file; null: it is none of this frontend. */
export function certificateName(frontend: string, file: string): string | null {
  return file.startsWith(`${frontend}+`) && file.endsWith('.pem') ? file.slice(frontend.length + 1, -4) : null;
}

/** Which certificates a shared frontend has. */
export const certificateList = (config: Pick<Config, 'haproxy'>, frontend: string): string =>
  join(certificatesFolder(config), `${frontend}.crt-list`);

/** What shared frontends serve that have no other certificate. */
export const selfSignedFile = (config: HasState): string => join(config.state, 'self-signed.pem');

/** What those who read each output have been told of. */
export const outputsFolder = (config: HasState): string => join(config.state, 'outputs');

/** Held by the one Myelin that may work with this state. */
export const lockFile = (config: HasState): string => join(config.state, 'lock');
