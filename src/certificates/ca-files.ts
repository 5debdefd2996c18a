/**
 * The files of CA certificates by which clients and servers are verified. A file that is not sound leaves its former content in
 * force, also after a restart: the copies beside HAProxy's config are what was in force last.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type CaFile, caFilesOf } from '../config/ca-files.ts';
import { describe, hasCode } from '../errors.ts';
import { readIfThere } from '../lib/files/files.ts';
import { readAgain } from '../lib/files/read-file.ts';
import { wallClock } from '../lib/time/clock.ts';
import type { Ms, Timestamp } from '../model.ts';
import { type CaCertificate, type InspectedCa, inspectCa, whyNoneNow } from './inspect-ca.ts';
import { selfSignedPem } from './self-signed.ts';

/** A file of CA certificates, as the status shows it. */
export type CaFileState = {
  /** The shared frontend whose clients are verified by it; null: servers are. */
  readonly frontend: string | null;
  readonly file: string;
  /** The subjects in what is in force, some of them. */
  readonly subjects: readonly string[];
  /** When the first of them ends; null: nothing is in force. */
  readonly notAfter: Timestamp | null;
  /** Some of those that end within 14 days, or have ended. */
  readonly expiring: readonly Pick<CaCertificate, 'subject' | 'notAfter'>[];
  /** What is wrong with the file, so that its former content is in force. null: nothing is wrong. */
  readonly problem: string | null;
};

type Names = Parameters<typeof caFilesOf>[0];

type Reading = {
  /** null: it could not be read. */
  readonly text: string | null;
  readonly problem: string;
  /** Every path that was read. */
  readonly paths: readonly string[];
};

type InForce = { readonly pem: string; readonly certificates: readonly CaCertificate[] };
type Followed = { readonly file: CaFile; reading: Reading; inForce: InForce | null; problem: string | null };

/** By this time before its end, a certificate should have been renewed. */
const soonMs: Ms = 14 * 86_400_000;
/** Longer files are no CA certificates: those of a whole system have a quarter of this. */
const mostBytes = 1024 * 1024;
const mostListed = 10;
const nobody = 'nobody';

export class CaFiles {
  /** By copy and source. Those of former configs stay: one of these configs may still be live. */
  readonly #followed = new Map<string, Followed>();
  /** The results of inspections, by content. */
  #inspected = new Map<string, InspectedCa>();

  get paths(): readonly string[] {
    return [...this.#followed.values()].flatMap(({ reading }) => reading.paths);
  }

  /** Reads what this config names and no former one did. */
  async add(config: Names): Promise<void> {
    for (const file of caFilesOf(config)) {
      if (this.#followed.has(keyOf(file))) continue;
      // What was in force here, or by this file elsewhere, as under the former name of a frontend.
      const known = [...this.#followed.values()];
      const former = (
        known.findLast((each) => each.file.copy === file.copy) ??
        known.findLast((each) => each.file.source === file.source)
      )?.inForce;
      const inForce = former ?? (await readCopy(file)) ?? (file.frontend === null ? null : ofNobody());
      this.#followed.set(keyOf(file), { file, reading: await read(file.source), inForce, problem: null });
    }
  }

  /** The same files as they are now. */
  readAll(): Promise<ReadonlyMap<string, Reading>> {
    const all = [...this.#followed].map(async ([key, { file }]) => [key, await read(file.source)] as const);
    return Promise.all(all).then((readings) => new Map(readings));
  }

  use(readings: ReadonlyMap<string, Reading>): void {
    for (const [key, reading] of readings) {
      const followed = this.#followed.get(key);
      if (followed !== undefined) followed.reading = reading;
    }
  }

  /** Decides what is in force. Returns whether anything changes. */
  judge(): boolean {
    const used = new Map<string, InspectedCa>();
    let isChanged = false;
    for (const followed of this.#followed.values()) {
      const before = { inForce: followed.inForce, problem: followed.problem };
      const { text, problem } = followed.reading;
      const inspected = text === null ? unsound(problem) : (this.#inspected.get(text) ?? inspectCa(text));
      if (text !== null) used.set(text, inspected);
      followed.problem =
        inspected.kind === 'sound' ? whyNoneNow(inspected.certificates, wallClock()) : inspected.reason;
      if (inspected.kind === 'sound' && followed.problem === null)
        followed.inForce = { pem: inspected.pem, certificates: inspected.certificates };
      isChanged ||= !isDeepStrictEqual(before, { inForce: followed.inForce, problem: followed.problem });
    }
    this.#inspected = used;
    return isChanged;
  }

  /** What is in force, by copy. A file towards servers that never was sound has none. */
  of(config: Names): ReadonlyMap<string, string> {
    return new Map(
      caFilesOf(config).flatMap((file) => {
        const inForce = this.#followed.get(keyOf(file))?.inForce ?? null;
        return inForce === null ? [] : [[file.copy, inForce.pem]];
      }),
    );
  }

  states(config: Names): readonly CaFileState[] {
    const now = wallClock();
    return caFilesOf(config).flatMap((file) => {
      const followed = this.#followed.get(keyOf(file));
      if (followed === undefined) return [];
      const certificates = isOfNobody(followed.inForce) ? [] : (followed.inForce?.certificates ?? []);
      const expiring = certificates.filter(({ notAfter }) => notAfter - soonMs <= now);
      const { frontend, source } = file;
      return {
        frontend,
        file: source,
        subjects: certificates.slice(0, mostListed).map(({ subject }) => subject),
        notAfter: certificates.reduce<Timestamp | null>(
          (first, { notAfter }) => Math.min(first ?? notAfter, notAfter),
          null,
        ),
        expiring: expiring.slice(0, mostListed).map(({ subject, notAfter }) => ({ subject, notAfter })),
        problem: followed.problem,
      };
    });
  }
}

async function readCopy({ copy }: CaFile): Promise<InForce | null> {
  const text = await readIfThere(copy).catch(() => undefined);
  const inspected = text == null ? null : inspectCa(text.toString('latin1'));
  return inspected?.kind === 'sound' ? { pem: inspected.pem, certificates: inspected.certificates } : null;
}

/**
 * By which nobody is verified, as its key is forgotten at once: a frontend whose file was never sound lets no client in who has to
 * show a certificate, and the others are served.
 */
function ofNobody(): InForce {
  const inspected = inspectCa(selfSignedPem(new Date(wallClock()), { names: [nobody], days: 3650 }));
  if (inspected.kind === 'unsound') throw new Error(inspected.reason);
  return { pem: inspected.pem, certificates: inspected.certificates };
}

function isOfNobody(inForce: InForce | null): boolean {
  return inForce?.certificates.length === 1 && inForce.certificates[0]?.subject === `CN=${nobody}`;
}

/** A file, or, as HAProxy reads them, the files of a folder that end in .pem, .crt or .cer. */
async function read(source: string): Promise<Reading> {
  const paths = [source];
  try {
    const isFolder = (await stat(source)).isDirectory();
    const names = isFolder
      ? (await readdir(source)).filter((name) => /^[^.].*\.(?:pem|crt|cer)$/.test(name)).sort()
      : [];
    const files = isFolder ? names.map((name) => join(source, name)) : [source];
    let bytes = 0;
    const texts: string[] = [];
    for (const file of files) {
      if (isFolder) paths.push(file);
      bytes += (await stat(file)).size;
      if (bytes > mostBytes) throw new Error(`it has more than the ${mostBytes} bytes of any CA certificates`);
      texts.push((await readAgain(file)).toString('latin1'));
    }
    return { text: texts.join('\n'), problem: '', paths };
  } catch (error) {
    const problem = hasCode(error, 'ENOENT') ? 'there is no such file' : `it cannot be read: ${describe(error)}`;
    return { text: null, problem, paths };
  }
}

function unsound(reason: string): InspectedCa {
  return { kind: 'unsound', reason };
}

function keyOf({ copy, source }: CaFile): string {
  return `${copy}\n${source}`;
}
