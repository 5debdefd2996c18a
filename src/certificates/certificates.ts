/**
 * The certificates of the shared frontends, read from their folders, and read again when these change; with them the CA
 * certificates by which clients and servers are verified. Only an unsound certificate is left out; its former version keeps
 * serving, also after a restart: the copies beside HAProxy's config are those that served last.
 */
import { readdir } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { certificateName, certificatesFolder, selfSignedFile } from '../config/paths.ts';
import type { Config } from '../config/schema.ts';
import { readIfPossible, writeDurably } from '../lib/files/files.ts';
import { changesOf } from '../lib/files/watched-files.ts';
import { createMutex } from '../lib/mutex.ts';
import { wallClock } from '../lib/time/clock.ts';
import { pause } from '../lib/time/retry.ts';
import { settle } from '../lib/time/settle.ts';
import type { Ms, Timestamp } from '../model.ts';
import { type CaFileState, CaFiles } from './ca-files.ts';
import { type Certificate, type Choice, choose, inOrder, type Problem } from './choose.ts';
import { type Reading, readFolder } from './folder.ts';
import { type Inspected, inspect, type Pem } from './inspect.ts';
import { selfSignedPem } from './self-signed.ts';

/** By shared frontend: the first one is for clients whose server name matches none. */
type Served = ReadonlyMap<string, readonly Certificate[]>;

/** What HAProxy is given. */
export type InForce = {
  readonly certificates: Served;
  /** CA certificates by the path at which HAProxy reads them. */
  readonly caFiles: ReadonlyMap<string, string>;
};

/** All of a config that names certificates. */
type Names = Parameters<CaFiles['of']>[0];

/** A certificate that is served or left out, as the status shows it. */
export type CertificateState = {
  readonly frontend: string;
  readonly name: string;
  /** The path of the certificate; null: it was generated, because the folder has none. */
  readonly file: string | null;
  /** The names in the certificate. */
  readonly names: readonly string[];
  /** When the served certificate ends; null: none of this name is served. */
  readonly notAfter: Timestamp | null;
  readonly serial: string | null;
  /** Clients whose server name matches no certificate get this one. */
  readonly isDefault: boolean;
  /** The certificate ends within 14 days, or has ended. */
  readonly isExpiring: boolean;
  /** What is wrong with the file; where a certificate is served, it is an earlier one. null: nothing is wrong. */
  readonly problem: string | null;
};

type Frontends = Config['frontends'];
type Folder = { readonly frontend: string; readonly path: string; reading: Reading; choice: Choice };

/** A reading counts when the next one after this time agrees: files may be half written, and a key may come later. */
const settleMs: Ms = 300;
/** Certificates become valid, and end, without any change of a file. */
const judgeEveryMs: Ms = 30_000;
const generatedName = 'self-signed';

type Options = {
  /** Whether nothing may be written. */
  readonly isPreview?: boolean;
  /** Called when the certificates change. */
  readonly onChange?: () => void;
};

export class Certificates {
  readonly #config: Pick<Config, 'haproxy' | 'state'>;
  readonly #options: Options;
  readonly #caFiles = new CaFiles();
  readonly #mutex = createMutex();
  /** By frontend and folder. Folders of former configs stay: one of these configs may still be live. */
  readonly #folders = new Map<string, Folder>();
  /** The results of inspections, by content: checking keys takes time. */
  #inspected = new Map<string, Inspected>();
  #generated: Certificate | null = null;
  #isOpen = false;
  #served: { readonly frontends: Frontends; readonly served: Served } | null = null;

  private constructor(config: Config, options: Options) {
    this.#config = config;
    this.#options = options;
  }

  static async open(config: Config, options: Options = {}): Promise<Certificates> {
    const certificates = new Certificates(config, options);
    await certificates.#mutex(async () => {
      for (const [frontend, path] of foldersOf(config.frontends)) await certificates.#add(frontend, path);
      await certificates.#caFiles.add(config);
      await certificates.#judge();
    });
    certificates.#open();
    return certificates;
  }

  /** Reports changes from now on. */
  #open(): void {
    this.#isOpen = true;
  }

  /** Reads the folders of a new config, which cannot be rendered before that. */
  async use(config: Names): Promise<void> {
    await this.#mutex(async () => {
      for (const [frontend, path] of foldersOf(config.frontends))
        if (!this.#folders.has(keyOf(frontend, path))) await this.#add(frontend, path);
      await this.#caFiles.add(config);
      await this.#judge();
    });
  }

  /** What is in force. */
  of(config: Names): InForce {
    return { certificates: this.#servedBy(config.frontends), caFiles: this.#caFiles.of(config) };
  }

  caFileStates(config: Names): readonly CaFileState[] {
    return this.#caFiles.states(config);
  }

  /** The certificates of each frontend that has a folder; the same objects until something changes. */
  #servedBy(frontends: Frontends): Served {
    if (this.#served?.frontends === frontends) return this.#served.served;
    const served = new Map(
      foldersOf(frontends).map(([frontend, path]): [string, readonly Certificate[]] => {
        const all = this.#folders.get(keyOf(frontend, path))?.choice.certificates ?? [];
        const ordered = inOrder(all, frontends[frontend]?.defaultCertificate);
        return [frontend, ordered.length === 0 && this.#generated !== null ? [this.#generated] : ordered];
      }),
    );
    this.#served = { frontends, served };
    return served;
  }

  states(frontends: Frontends): readonly CertificateState[] {
    const served = this.#servedBy(frontends);
    return foldersOf(frontends).flatMap(([frontend, path]) => {
      const choice = this.#folders.get(keyOf(frontend, path))?.choice;
      const problems = new Map((choice?.problems ?? []).map((each) => [each.name, each]));
      const live = (served.get(frontend) ?? []).map((certificate, at): CertificateState => {
        const problem = problems.get(certificate.name)?.reason ?? null;
        problems.delete(certificate.name);
        const { name, names, notAfter, serial } = certificate;
        const file = certificate === this.#generated ? null : certificate.file;
        const isExpiring = choice?.expiring.includes(name) ?? false;
        return { frontend, name, file, names, notAfter, serial, isDefault: at === 0, isExpiring, problem };
      });
      const wanted = frontends[frontend]?.defaultCertificate;
      const isMissing = wanted !== undefined && !live.some(({ name }) => name === wanted) && !problems.has(wanted);
      const missing: Problem[] = isMissing
        ? [
            {
              name: wanted,
              file: path,
              reason: 'there is no certificate of this name (defaultCertificate)',
              isKept: false,
            },
          ]
        : [];
      return [...live, ...[...problems.values(), ...missing].map((problem) => leftOut(frontend, problem))];
    });
  }

  /** Watches the folders until `signal` aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#followFiles(signal), this.#followTime(signal)]);
  }

  async #followFiles(signal: AbortSignal): Promise<void> {
    const paths = (): string[] => [
      ...[...this.#folders.values()].flatMap(({ reading }) => reading.paths),
      ...this.#caFiles.paths,
    ];
    for await (const _ of changesOf(paths, signal))
      await this.#mutex(async () => {
        const settled = async <T>(read: () => Promise<T>): Promise<T> =>
          settle(await read(), { read, isSame: isDeepStrictEqual, waitMs: () => settleMs, signal });
        for (const folder of this.#folders.values()) folder.reading = await settled(() => readFolder(folder.path));
        this.#caFiles.use(await settled(() => this.#caFiles.readAll()));
        if (!signal.aborted) await this.#judge();
      });
  }

  async #followTime(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(judgeEveryMs, signal);
      if (!signal.aborted) await this.#mutex(() => this.#judge());
    }
  }

  async #add(frontend: string, path: string): Promise<void> {
    const choice = { certificates: await this.#before(frontend, path), problems: [], expiring: [] };
    this.#folders.set(keyOf(frontend, path), { frontend, path, reading: await readFolder(path), choice });
  }

  /** Decides which of the read certificates are served. */
  async #judge(): Promise<void> {
    const used = new Map<string, Inspected>();
    const inspectOnce = (pem: Pem): Inspected => {
      const key = JSON.stringify(pem);
      const inspected = this.#inspected.get(key) ?? inspect(pem);
      used.set(key, inspected);
      return inspected;
    };
    let isChanged = this.#caFiles.judge();
    for (const folder of this.#folders.values()) {
      const before = new Map(folder.choice.certificates.map((each) => [each.name, each]));
      const { reading, path } = folder;
      const choice = choose({ reading, before, inspect: inspectOnce, folder: path }, wallClock());
      isChanged ||= !isDeepStrictEqual(choice, folder.choice);
      folder.choice = choice;
      if (choice.certificates.length === 0) this.#generated ??= await this.#generate();
    }
    this.#inspected = used;
    this.#served = null;
    if (isChanged && this.#isOpen) this.#options.onChange?.();
  }

  /** Generated once: clients that were configured to trust it can continue to do so. */
  async #generate(): Promise<Certificate> {
    const file = selfSignedFile(this.#config);
    const known = (await readIfPossible(file))?.toString('latin1');
    const found = known === undefined ? null : inspect({ certificate: known, key: null });
    if (found?.kind === 'sound' && found.notAfter > wallClock()) return { name: generatedName, file, ...pick(found) };
    const pem = selfSignedPem(new Date(wallClock()), { days: 3650 });
    if (this.#options.isPreview !== true) await writeDurably(file, pem, 0o600);
    const made = inspect({ certificate: pem, key: null });
    if (made.kind === 'unsound') throw new Error(made.reason);
    return { name: generatedName, file, ...pick(made) };
  }

  /** What served so far: from this folder under another name of the frontend, or by this frontend from another folder. */
  async #before(frontend: string, path: string): Promise<readonly Certificate[]> {
    const renamed = [...this.#folders.values()].findLast((folder) => folder.path === path);
    return renamed?.choice.certificates ?? [...(await this.#copies(frontend)).values()];
  }

  /** The copies that HAProxy got last. */
  async #copies(frontend: string): Promise<ReadonlyMap<string, Certificate>> {
    const folder = certificatesFolder(this.#config);
    const files = await readdir(folder).catch(() => []);
    const copies = new Map<string, Certificate>();
    for (const each of files) {
      const name = certificateName(frontend, each);
      if (name === null || name === generatedName) continue;
      const file = `${folder}/${each}`;
      const text = await readIfPossible(file);
      const inspected = text === null ? null : inspect({ certificate: text.toString('latin1'), key: null });
      if (inspected?.kind === 'sound') copies.set(name, { name, file, ...pick(inspected) });
    }
    return copies;
  }
}

function pick({
  pem,
  names,
  notAfter,
  serial,
}: Omit<Certificate, 'name' | 'file'>): Omit<Certificate, 'name' | 'file'> {
  return { pem, names, notAfter, serial };
}

function leftOut(frontend: string, { name, file, reason }: Problem): CertificateState {
  const nothing = { names: [], notAfter: null, serial: null, isDefault: false, isExpiring: false };
  return { frontend, name, file, ...nothing, problem: reason };
}

function foldersOf(frontends: Frontends): readonly (readonly [frontend: string, path: string])[] {
  return Object.entries(frontends).flatMap(([frontend, { certificates }]) =>
    certificates === undefined ? [] : [[frontend, certificates] as const],
  );
}

function keyOf(frontend: string, path: string): string {
  return `${frontend} ${path}`;
}
