/** Reads a folder of certificates: as certbot writes them, as Kubernetes mounts Secrets, or PEM files side by side. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, hasCode } from '../errors.ts';
import { readAgain } from '../lib/files/read-file.ts';
import type { Pem } from './inspect.ts';

/** The certificate of one name in a folder. */
type Entry = { readonly name: string; readonly file: string } & (
  | { readonly kind: 'pem'; readonly pem: Pem }
  | { readonly kind: 'wrong'; readonly reason: string }
);

export type Reading = {
  /** In the order of their names. */
  readonly entries: readonly Entry[];
  /** Why the folder could not be read; null: it could. */
  readonly problem: string | null;
  /** Every path that was read: a change of one of them may be a change of the certificates. */
  readonly paths: readonly string[];
};

/** Longer files are no certificates. */
const mostBytes = 256 * 1024;

/** Names of the certificate and key files in folders of Kubernetes (kubernetes.io/tls) and certbot (live/NAME). */
const pairs = [
  ['tls.crt', 'tls.key'],
  ['fullchain.pem', 'privkey.pem'],
] as const;

type Place = { readonly name: string; readonly certificate: string; readonly keys: readonly string[] };

export async function readFolder(folder: string): Promise<Reading> {
  const paths = [folder];
  try {
    const places = await placesIn(folder, paths);
    const entries: Entry[] = [];
    const taken = new Map<string, string>();
    for (const place of places.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      for (const path of [place.certificate, ...place.keys]) paths.push(path);
      const holder = taken.get(place.name);
      taken.set(place.name, holder ?? place.certificate);
      if (holder !== undefined) entries.push(wrong(place, `${basename(holder)} has this name already`));
      else {
        const entry = await readPlace(place);
        if (!isOfIssuers(entry)) entries.push(entry);
      }
    }
    return { entries, problem: null, paths };
  } catch (error) {
    const problem = hasCode(error, 'ENOENT') ? 'there is no such folder' : `it cannot be read: ${describe(error)}`;
    return { entries: [], problem, paths };
  }
}

/** Throws where the folder itself cannot be read. */
async function placesIn(folder: string, paths: string[]): Promise<readonly Place[]> {
  const places: Place[] = [];
  // Names with a dot are what Kubernetes swaps, and what editors leave.
  const found = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  for (const name of found) {
    const path = join(folder, name);
    const [, plain = '', ending] = /^(.*)\.(pem|crt)$/.exec(name) ?? [];
    const isFolder = await stat(path).then(
      (stats) => stats.isDirectory(),
      () => false,
    );
    if (isFolder) {
      paths.push(path);
      const inside = await readdir(path).catch((): string[] => []);
      const pair = pairs.find(([certificate]) => inside.includes(certificate));
      if (pair !== undefined) places.push({ name, certificate: join(path, pair[0]), keys: [join(path, pair[1])] });
    } else if (ending !== undefined) {
      places.push({
        name: plain,
        certificate: path,
        keys: [join(folder, `${plain}.key`), join(folder, `${name}.key`)],
      });
    }
  }
  return places;
}

/** What cert-manager (`ca.crt`), certbot (`chain.pem`) and lego (`NAME.issuer.crt`) write beside a certificate: it has no key. */
function isOfIssuers(entry: Entry): boolean {
  if (entry.kind === 'wrong' || !/^(ca|chain|.*\.issuer)$/.test(entry.name)) return false;
  return !`${entry.pem.certificate}${entry.pem.key ?? ''}`.includes('PRIVATE KEY');
}

async function readPlace(place: Place): Promise<Entry> {
  const { name, certificate: file, keys } = place;
  if (!/^[A-Za-z0-9_][\w.-]{0,150}$/.test(name))
    return wrong(
      place,
      'a name of a certificate has letters, digits and _ . - only, and begins with none of the last two',
    );
  try {
    const certificate = await read(file);
    for (const path of keys) {
      const key = await read(path).catch((error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
        throw new Error(`its key ${path}: ${describe(error)}`);
      });
      if (key !== null) return { name, file, kind: 'pem', pem: { certificate, key } };
    }
    return { name, file, kind: 'pem', pem: { certificate, key: null } };
  } catch (error) {
    return wrong(place, `it cannot be read: ${describe(error)}`);
  }
}

async function read(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size > mostBytes) throw new Error(`it has ${size} bytes, more than the ${mostBytes} of any certificate`);
  return (await readAgain(path)).toString('latin1');
}

function wrong({ name, certificate: file }: Place, reason: string): Entry {
  return { name, file, kind: 'wrong', reason };
}
