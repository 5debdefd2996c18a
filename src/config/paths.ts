/** Where Myelin keeps its own files: below `state`, except for files that a HAProxy elsewhere has to read. */
import { dirname, join } from 'node:path';
import type { Config } from './schema.ts';

type HasState = { readonly state: string };

/**
 * When HAProxy starts, it reads from this file which servers were down; written before every reload. null where Myelin
 * knows of no HAProxy that would read it.
 */
export function serverStateFile({ state, haproxy }: HasState & Pick<Config, 'haproxy'>): string | null {
  const { control, config, masterSocket } = haproxy;
  // With a HAProxy elsewhere only this folder has to be shared; and an init container (`none`) writes the same text
  // as the Myelin beside that HAProxy.
  if (masterSocket !== undefined) return `${config}.servers`;
  return control === 'none' ? null : join(state, 'servers.state');
}

/** The states that operators have set servers to. */
export const overridesFile = (config: HasState): string => join(config.state, 'orders.json');

/** The services that sources discovered last. */
export const knownServicesFile = (config: HasState): string => join(config.state, 'services.json');

/** The place of this file in older versions. */
export const formerKnownServicesFile = (config: HasState): string => join(config.state, 'offers.json');

/** What happened. */
export const historyFile = (config: HasState): string => join(config.state, 'history.jsonl');

/** The last endpoints of each service. */
export const endpointsFile = (config: HasState): string => join(config.state, 'endpoints.json');

/**
 * The socket that one HAProxy passes to the next, while `haproxy.statsSocket` leads to the live one. It has the same
 * folder: a second name must be on the same file system, and must survive when somebody clears `state`.
 */
export const handedOnSocket = ({ haproxy }: Pick<Config, 'haproxy'>): string => `${haproxy.statsSocket}.kept`;

/** The place of this socket in older versions. */
export const formerHandedOnSocket = (config: HasState): string => join(config.state, 'stats.sock');

/** Each HAProxy that Myelin starts has a folder in this one. */
export const generationsFolder = ({ state, haproxy }: HasState & Pick<Config, 'haproxy'>): string =>
  haproxy.handover ?? state;

/** Copies of the files that services name. A HAProxy elsewhere reads them beside its config. */
export function keptFilesFolder({ state, haproxy }: HasState & Pick<Config, 'haproxy'>): string {
  return haproxy.masterSocket !== undefined ? `${haproxy.config}.files` : join(state, 'files');
}

/**
 * The maps and certificates that HAProxy reads: beside its config, because a HAProxy elsewhere reads them as well.
 * Everything in these folders belongs to Myelin.
 */
export const mapsFolder = ({ haproxy }: Pick<Config, 'haproxy'>): string => `${haproxy.config}.maps`;

/** The routes of a shared frontend. */
export const mapFile = (config: Pick<Config, 'haproxy'>, frontend: string): string =>
  join(mapsFolder(config), `${frontend}.map`);

export const certificatesFolder = ({ haproxy }: Pick<Config, 'haproxy'>): string => `${haproxy.config}.certs`;

/** How its files there begin. The runtime API takes what follows a `:` for a line; no name of a frontend contains `=`. */
const beginningOf = (frontend: string): string => frontend.replaceAll(':', '=');

/** A certificate of a shared frontend: no name of a frontend contains `+`. */
export const certificateFile = (config: Pick<Config, 'haproxy'>, frontend: string, name: string): string =>
  join(certificatesFolder(config), `${beginningOf(frontend)}+${name}.pem`);

/** The name of a certificate, from the name of its file; null: the file is not of this frontend. */
export function certificateName(frontend: string, file: string): string | null {
  const beginning = `${beginningOf(frontend)}+`;
  return file.startsWith(beginning) && file.endsWith('.pem') ? file.slice(beginning.length, -4) : null;
}

/** The file that lists the certificates of a shared frontend. */
export const certificateList = (config: Pick<Config, 'haproxy'>, frontend: string): string =>
  join(certificatesFolder(config), `${beginningOf(frontend)}.crt-list`);

/** The CA certificates by which its clients are verified. It keeps its path when the config names another file. */
export const clientCaFile = (config: Pick<Config, 'haproxy'>, frontend: string): string =>
  join(certificatesFolder(config), `${beginningOf(frontend)}.ca-file`);

/** The certificate of shared frontends that have no other. */
export const selfSignedFile = (config: HasState): string => join(config.state, 'self-signed.pem');

/** For each output, the text that its reader was last told to read. */
export const outputsFolder = (config: HasState): string => join(config.state, 'outputs');

/** Locked by the one Myelin that may use this state. */
/** The folders that Myelin writes in, whatever it is started with. */
export function foldersOf({ state, haproxy, admin }: HasState & Pick<Config, 'haproxy' | 'admin'>): readonly string[] {
  return [...new Set([state, dirname(haproxy.config), dirname(haproxy.statsSocket), dirname(admin.socket)])];
}

export const lockFile = (config: HasState): string => join(config.state, 'lock');
