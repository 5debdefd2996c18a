/**
 * Each HAProxy that Myelin starts is a generation with a folder of its own in `state`: what it was started with, a
 * socket that is only its own, what it printed, and, once it proved itself, who it is. What runs is found by looking at
 * these folders and the processes that were started with them, not by remembering.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { BinaryIdentity } from '../haproxy/binary/binary.ts';
import { linesOf } from '../haproxy/text/text.ts';
import { isThere, makeFolder, readIfThere, together, writeDurably } from '../lib/files.ts';
import type { LeavingServer, Section, Timestamp } from '../model.ts';
import { type Owner, ownerOf, sectionsOf, textOf } from './sections.ts';
import { commandLines, findsSame, identifyProcess, type ProcessId, parentOf } from './system/processes.ts';

export type Generation = {
  readonly number: number;
  readonly folder: string;
  /** The bytes of the config that it was started with. */
  readonly config: string;
  /** The service of each section in it. */
  readonly owners: string;
  /** The servers that were removed and finish their connections; not there where there are none. */
  readonly leaving: string;
  /** A second config file, which adds the socket of this generation: so the first holds the same bytes each time. */
  readonly socketConfig: string;
  readonly socket: string;
  readonly stderr: string;
  readonly proof: string;
  /** The process that was started by others and that this one takes the place of, where there is one. */
  readonly displaced: string;
  /** How the config file is known again that was put where none was: whoever reads it there has read no other. */
  readonly first: string;
};

/** Written once HAProxy answered; a generation without it is not to be relied on. */
export type Proof = {
  readonly pid: number;
  readonly startTime: string;
  readonly version: string;
  readonly binary: BinaryIdentity | null;
  readonly since: Timestamp;
};

const proofShape: z.ZodType<Proof> = z.object({
  pid: z.number(),
  startTime: z.string(),
  version: z.string(),
  binary: z.object({ path: z.string(), inode: z.number(), mtimeMs: z.number(), size: z.number() }).nullable(),
  since: z.number(),
});
const processShape: z.ZodType<ProcessId> = z.object({ pid: z.number(), startTime: z.string() });
const ownersShape: z.ZodType<readonly Owner[]> = z.array(
  z.union([z.string(), z.null(), z.object({ service: z.string().nullable(), asked: z.string() })]),
);

const leavingShape: z.ZodType<readonly LeavingServer[]> = z.array(
  z.object({ backend: z.string(), server: z.string(), options: z.array(z.string()) }),
);

export function generationAt(state: string, number: number): Generation {
  const folder = join(state, `g${number}`);
  return {
    number,
    folder,
    config: join(folder, 'haproxy.cfg'),
    owners: join(folder, 'owners'),
    leaving: join(folder, 'leaving'),
    socketConfig: join(folder, 'socket.cfg'),
    socket: join(folder, 's'),
    stderr: join(folder, 'stderr'),
    proof: join(folder, 'proved'),
    displaced: join(folder, 'displaced'),
    first: join(folder, 'first'),
  };
}

/** Where others start HAProxy: the one record of what went live last. */
export function recordIn(state: string): Generation {
  return generationAt(state, 0);
}

export async function prepareGeneration(generation: Generation, sections: readonly Section[]): Promise<void> {
  const socket = generation.socket.replaceAll("'", "'\\''");
  const socketConfig =
    `global\n    stats socket '${socket}' mode 600 level admin expose-fd listeners\n` +
    `    stats maxconn ${Math.max(leastConnections, statsMaxconn(sections))}\n`;
  await writeSections(generation, sections);
  await writeDurably(generation.socketConfig, socketConfig);
}

/** HAProxy's limit is one for all of its stats sockets, and 10 if nothing is said: others must not keep us out. */
const leastConnections = 100;

/** As the file says; 0 where it says nothing. */
function statsMaxconn(sections: readonly Section[]): number {
  const lines = sections.flatMap(({ kind, text }) => (kind === 'global' ? linesOf(text) : []));
  return Number(lines.flatMap((line) => /^\s*stats\s+maxconn\s+(\d+)/.exec(line)?.[1] ?? []).at(-1) ?? 0);
}

/** Whether what it was started with is still there. */
export async function isPrepared({ config, socketConfig }: Generation): Promise<boolean> {
  return (await isThere(config)) && (await isThere(socketConfig));
}

export async function writeSections(
  { folder, owners, config, leaving }: Generation,
  sections: readonly Section[],
  servers: readonly LeavingServer[] = [],
): Promise<void> {
  // Somebody may have removed it.
  await makeFolder(folder);
  await together(
    writeDurably(owners, `${JSON.stringify(sections.map(ownerOf))}\n`),
    writeDurably(config, textOf(sections)),
    // Nothing is written that a full disk could keep from being written.
    servers.length === 0 ? rm(leaving, { force: true }) : writeDurably(leaving, `${JSON.stringify(servers)}\n`),
  );
}

/** null where there is no such folder any more. A section gets back its service where that was recorded. */
export async function readSections({ owners, config }: Generation): Promise<readonly Section[] | null> {
  const text = (await readIfThere(config))?.toString('utf8');
  return text === undefined ? null : sectionsOf(text, await readJson(owners, ownersShape));
}

export async function readLeaving({ leaving }: Generation): Promise<readonly LeavingServer[]> {
  return (await readJson(leaving, leavingShape)) ?? [];
}

export async function writeProof(generation: Generation, proof: Proof): Promise<void> {
  await writeDurably(generation.proof, `${JSON.stringify(proof)}\n`);
}

/** Whatever runs, it is not known to be what stands in this folder. */
export async function removeProof({ proof }: Generation): Promise<void> {
  await rm(proof, { force: true });
}

export async function writeDisplaced({ displaced }: Generation, id: ProcessId): Promise<void> {
  await writeDurably(displaced, `${JSON.stringify(id)}\n`);
}

export function readDisplaced({ displaced }: Generation): Promise<ProcessId | null> {
  return readJson(displaced, processShape);
}

export async function writeFirst({ first }: Generation, stamp: string): Promise<void> {
  await writeDurably(first, `${stamp}\n`);
}

export async function isFirst({ first }: Generation, stamp: string): Promise<boolean> {
  return (await readIfThere(first))?.toString('utf8') === `${stamp}\n`;
}

/** null where it has not proved itself. */
export function readProof({ proof }: Generation): Promise<Proof | null> {
  return readJson(proof, proofShape);
}

/** Whether the proof is about this process. */
export function isProvedBy(proof: Proof | null, id: ProcessId): proof is Proof {
  return proof !== null && proof.pid === id.pid && proof.startTime === id.startTime;
}

/** The numbers of all generations that left a folder, in ascending order. */
export async function listGenerations(state: string): Promise<readonly number[]> {
  const names = await readdir(state);
  return names.flatMap((name) => (/^g\d+$/.test(name) ? [Number(name.slice(1))] : [])).sort((a, b) => a - b);
}

/**
 * The living HAProxies of this state folder by generation, whoever started them. The same path may be another folder in
 * another container, whose HAProxy is not ours.
 */
export async function livingGenerations(state: string): Promise<ReadonlyMap<number, ProcessId>> {
  const named = new Map<number, number>();
  for (const { pid, command } of commandLines()) {
    const number = generationOf(state, command);
    if (number !== null) named.set(pid, number);
  }
  const living = new Map<number, ProcessId>();
  for (const [pid, number] of named) {
    const id = identifyProcess(pid);
    // A child that has yet to become another program, as an external check, still has the command line of HAProxy.
    if (id === null || named.get(parentOf(pid) ?? 0) === number) continue;
    const isOurs = findsSame(pid, state) ?? isProvedBy(await readProof(generationAt(state, number)), id);
    if (isOurs) living.set(number, id);
  }
  return living;
}

export async function removeGeneration({ folder }: Generation): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** `-db` tells the serving process from a `haproxy -c` or an editor with the same file. */
function generationOf(state: string, command: string): number | null {
  if (!/[\0 ]-db[\0 ]/.test(command)) return null;
  for (const match of command.matchAll(/\/g(\d+)\/socket\.cfg(?=[\0 ]|$)/g))
    if (command.slice(0, match.index).endsWith(state)) return Number(match[1]);
  return null;
}

/** null where there is no such file, or where it is not what we wrote: then what it says is found out again. */
async function readJson<T>(path: string, shape: z.ZodType<T>): Promise<T | null> {
  const text = (await readIfThere(path))?.toString('utf8');
  try {
    return text === undefined ? null : shape.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
