/**
 * The records in the folder of a generation, for a Myelin that starts later. Older versions gave some of these
 * files other names: those are read as well, so that an upgrade recognises what runs.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { BinaryIdentity } from '../../haproxy/binary/binary.ts';
import { withoutFiles } from '../../haproxy/text/layout/files.ts';
import { textOf } from '../../haproxy/text/layout/layout.ts';
import type { ListChunk } from '../../lib/chunked-list.ts';
import {
  makeFolder,
  readIfPossible,
  readNewer,
  removeFile,
  together,
  writeDurably,
  writeWhole,
} from '../../lib/files/files.ts';
import type { Leaving, Section, Timestamp } from '../../model.ts';
import type { ProcessId } from '../system/processes.ts';
import type { Generation } from './generation.ts';
import { type FileRecord, fileRecordsOf, type Owner, ownerOf, sectionsOf, withFileRecords } from './sections.ts';

/** Written once HAProxy has answered; a generation without this record is not trusted. */
export type ReadyRecord = {
  readonly pid: number;
  readonly startTime: string;
  readonly version: string;
  readonly binary: BinaryIdentity | null;
  readonly since: Timestamp;
};

type JsonFile<T> = {
  readonly name: string;
  readonly formerName?: string;
  readonly mode?: number;
  readonly shape: z.ZodType<T>;
};

const ready: JsonFile<ReadyRecord> = {
  name: 'ready.json',
  formerName: 'proved',
  shape: z.object({
    pid: z.number(),
    startTime: z.string(),
    version: z.string(),
    binary: z.object({ path: z.string(), inode: z.number(), mtimeMs: z.number(), size: z.number() }).nullable(),
    since: z.number(),
  }),
};

/** The service of each section in the config. */
const services: JsonFile<readonly Owner[]> = {
  name: 'services.json',
  formerName: 'owners',
  shape: z.array(
    z.union([
      z.string(),
      z.null(),
      z.object({ service: z.string().nullable(), queryKey: z.string() }),
      // The field's name in older versions.
      z
        .object({ service: z.string().nullable(), asked: z.string() })
        .transform(({ service, asked }) => ({ service, queryKey: asked })),
    ]),
  ),
};

/** The foreign process that this one replaces, where there is one. */
const replaces: JsonFile<ProcessId> = {
  name: 'replaces.json',
  formerName: 'displaced',
  shape: z.object({ pid: z.number(), startTime: z.string() }),
};

/** The files beside the config, keys among them; missing where there are none. */
const files: JsonFile<readonly FileRecord[]> = {
  name: 'files.json',
  mode: 0o600,
  shape: z.array(
    z.object({
      at: z.number(),
      kind: z.string(),
      name: z.string(),
      text: z.string(),
      service: z.string().nullable(),
    }),
  ),
};

/** Removed servers and backends that finish connections; missing where there are none. Up to 0.9 without a kind. */
const leaving: JsonFile<readonly Leaving[]> = {
  name: 'leaving',
  shape: z.array(
    z.union([
      z.object({
        kind: z.literal('backend'),
        backend: z.string(),
        from: z.string().nullable(),
        isPinned: z.literal(true).exactOptional(),
      }),
      z.object({
        kind: z.literal('server').default('server'),
        backend: z.string(),
        server: z.string(),
        options: z.array(z.string()),
        hasAgent: z.literal(true).exactOptional(),
        isServing: z.literal(true).exactOptional(),
        frontends: z.array(z.string()).exactOptional(),
      }),
    ]),
  ),
};

/** `laidOut`: the sections in chunks, and the bytes of their file, where these are known. */
export async function writeSections(
  generation: Generation,
  sections: readonly Section[],
  servers: readonly Leaving[] = [],
  laidOut: LaidOut = { chunks: [sections], bytes: Buffer.from(textOf(sections)) },
): Promise<void> {
  // Somebody may have removed the folder.
  await makeFolder(generation.folder);
  const beside = fileRecordsOf(sections);
  await together(
    writeText(generation, services, ownersIn(laidOut.chunks)),
    beside.length === 0 ? remove(generation, files) : write(generation, files, beside),
    writeWhole(generation.config, laidOut.bytes),
    // Removes the file instead of writing an empty one, which a full disk would prevent.
    servers.length === 0 ? remove(generation, leaving) : write(generation, leaving, servers),
  );
}

export type LaidOut = { readonly chunks: readonly ListChunk<Section>[]; readonly bytes: Buffer };

const ownersByChunk = new WeakMap<ListChunk<Section>, string>();

/** The list of owners in JSON. */
function ownersIn(chunks: readonly ListChunk<Section>[]): string {
  const entries = chunks.map((chunk) => {
    const known =
      ownersByChunk.get(chunk) ??
      withoutFiles(chunk)
        .map((each) => JSON.stringify(ownerOf(each)))
        .join(',');
    ownersByChunk.set(chunk, known);
    return known;
  });
  return `[${entries.filter((each) => each !== '').join(',')}]`;
}

/** null where the folder is gone, or cannot be read. Each section gets its service back where that was recorded. */
export async function readSections(generation: Generation): Promise<readonly Section[] | null> {
  const text = (await readIfPossible(generation.config))?.toString('utf8');
  if (text === undefined) return null;
  const sections = sectionsOf(text, await read(generation, services));
  return withFileRecords(sections, (await read(generation, files)) ?? []);
}

/** Removes the record of the sections. */
export function forgetSections({ config }: Generation): Promise<void> {
  return removeFile(config);
}

export async function readLeaving(generation: Generation): Promise<readonly Leaving[]> {
  return (await read(generation, leaving)) ?? [];
}

export function writeReady(generation: Generation, record: ReadyRecord): Promise<void> {
  return write(generation, ready, record);
}

/** Removes the ready record: what runs may differ from this folder. */
export function removeReady(generation: Generation): Promise<void> {
  return remove(generation, ready);
}

/** null where the generation was never ready. */
export function readReady(generation: Generation): Promise<ReadyRecord | null> {
  return read(generation, ready);
}

/** Whether the record is about this process. */
export function isReadyRecordOf(record: ReadyRecord | null, id: ProcessId): record is ReadyRecord {
  return record !== null && record.pid === id.pid && record.startTime === id.startTime;
}

export function writeReplaces(generation: Generation, id: ProcessId): Promise<void> {
  return write(generation, replaces, id);
}

export function readReplaces(generation: Generation): Promise<ProcessId | null> {
  return read(generation, replaces);
}

/** The stamp of the first config file at its path: any reader of that path has read this file. */
export function writeFirst({ folder }: Generation, stamp: string): Promise<unknown> {
  return writeDurably(join(folder, 'first'), `${stamp}\n`);
}

export async function isFirst({ folder }: Generation, stamp: string): Promise<boolean> {
  return (await readIfPossible(join(folder, 'first')))?.toString('utf8') === `${stamp}\n`;
}

function write<T>(generation: Generation, file: JsonFile<T>, value: T): Promise<void> {
  return writeText(generation, file, JSON.stringify(value));
}

async function writeText<T>(
  { folder }: Generation,
  { name, formerName, mode }: JsonFile<T>,
  json: string,
): Promise<void> {
  await writeWhole(join(folder, name), `${json}\n`, mode);
  if (formerName !== undefined) await removeFile(join(folder, formerName));
}

/** null where the file is missing, cannot be read or is not ours: then Myelin finds its content out again. */
async function read<T>({ folder }: Generation, { name, formerName, shape }: JsonFile<T>): Promise<T | null> {
  const path = join(folder, name);
  try {
    const bytes = await (formerName === undefined ? readIfPossible(path) : readNewer(path, join(folder, formerName)));
    return bytes ? shape.parse(JSON.parse(bytes.toString('utf8'))) : null;
  } catch {
    return null;
  }
}

async function remove<T>({ folder }: Generation, { name, formerName = name }: JsonFile<T>): Promise<void> {
  for (const each of new Set([name, formerName])) await removeWhateverItIs(join(folder, each));
}

/** Somebody may have made a folder of it. */
async function removeWhateverItIs(path: string): Promise<void> {
  await removeFile(path).catch(() => rm(path, { recursive: true, force: true }));
}
