/** The files of CA certificates that a config names, and where HAProxy gets the copies of them. */
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { certificatesFolder, clientCaFile } from './paths.ts';
import type { Config } from './schema.ts';

export type CaFile = {
  /** The path in the config. */
  readonly source: string;
  /** The path that HAProxy reads. */
  readonly copy: string;
  /** The shared frontend whose clients are verified; null: servers are. */
  readonly frontend: string | null;
};

type Names = Pick<Config, 'haproxy' | 'frontends' | 'services' | 'discoveries'>;

/** One for all services that name the file. No name of a frontend contains `+`. */
export function serverCaFile(config: Pick<Config, 'haproxy'>, source: string): string {
  const name = basename(source).replace(/[^\w.-]/g, '_');
  const hash = createHash('sha256').update(source).digest('hex').slice(0, 12);
  return join(certificatesFolder(config), `servers+${name}-${hash}.ca-file`);
}

const known = new WeakMap<Names['services'], { readonly config: Names; readonly files: readonly CaFile[] }>();

/** Each copy once. */
export function caFilesOf(config: Names): readonly CaFile[] {
  const before = known.get(config.services);
  if (before?.config.frontends === config.frontends && before.config.discoveries === config.discoveries)
    return before.files;
  const files: CaFile[] = Object.entries(config.frontends).flatMap(([frontend, { clientCertificates }]) =>
    clientCertificates === undefined
      ? []
      : [{ source: clientCertificates.caFile, copy: clientCaFile(config, frontend), frontend }],
  );
  const sources = new Set<string>();
  const add = ({ server: { tls } }: { readonly server: { readonly tls?: Tls | undefined } }): void => {
    if (tls?.caFile !== undefined && tls.verify && isFile(tls.caFile)) sources.add(tls.caFile);
  };
  // What discovered services have is what the config says for all of them: they do not choose files.
  for (const { limits } of config.discoveries) add(limits.service);
  for (const service of config.services.values()) if (service.createdAt === undefined) add(service);
  for (const source of sources) files.push({ source, copy: serverCaFile(config, source), frontend: null });
  known.set(config.services, { config, files });
  return files;
}

type Tls = { readonly caFile?: string | undefined; readonly verify: boolean };

/** `@system-ca` is none. */
function isFile(path: string): boolean {
  return path.startsWith('/');
}
