/**
 * Each HAProxy that Myelin starts is a generation with a folder of its own in `state`: what it was started with, a
 * socket that is only its own, what it printed, and, once it was ready, who it is (`records.ts`). What runs is found by
 * looking at these folders and the processes that were started with them, not by remembering.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, describe } from '../../errors.ts';
import { linesOf } from '../../haproxy/text/text.ts';
import { isThere, writeDurably } from '../../lib/files/files.ts';
import type { Section } from '../../model.ts';
import { commandLines, findsSame, identifyProcess, type ProcessId, parentOf } from '../system/processes.ts';
import { isReadyRecordOf, readReady, writeSections } from './records.ts';

export type Generation = {
  readonly number: number;
  readonly folder: string;
  /** A copy of the config that it was started with. */
  readonly config: string;
  /** A second config file, which adds the socket of this generation: so the first holds the same bytes each time. */
  readonly socketConfig: string;
  readonly socket: string;
  readonly stderr: string;
};

export function generationAt(state: string, number: number): Generation {
  const folder = join(state, `g${number}`);
  return {
    number,
    folder,
    config: join(folder, 'haproxy.cfg'),
    socketConfig: join(folder, 'socket.cfg'),
    socket: join(folder, 's'),
    stderr: join(folder, 'stderr'),
  };
}

/** The single record of what went live last, where others start HAProxy. */
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

/** HAProxy has one limit for all its stats sockets, 10 by default: other clients must not lock Myelin out. */
const leastConnections = 100;

/** The limit in the file; 0 where the file has none. */
function statsMaxconn(sections: readonly Section[]): number {
  const lines = sections.flatMap(({ kind, text }) => (kind === 'global' ? linesOf(text) : []));
  return Number(lines.flatMap((line) => /^\s*stats\s+maxconn\s+(\d+)/.exec(line)?.[1] ?? []).at(-1) ?? 0);
}

/** Whether the files that the process was started with still exist. */
export async function isPrepared({ config, socketConfig }: Generation): Promise<boolean> {
  return (await isThere(config)) && (await isThere(socketConfig));
}

/** The numbers of all generations that left a folder, in ascending order. */
export async function listGenerations(state: string): Promise<readonly number[]> {
  const names = await readdir(state);
  return names.flatMap((name) => (/^g\d+$/.test(name) ? [Number(name.slice(1))] : [])).sort((a, b) => a - b);
}

/**
 * The living HAProxies of this state folder by generation, also those of others. The path may be another folder in
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
    // A new child that has not run its own program yet, such as an external check, still has HAProxy's command line.
    if (id === null || named.get(parentOf(pid) ?? 0) === number) continue;
    const isOurs = findsSame(pid, state) ?? isReadyRecordOf(await readReady(generationAt(state, number)), id);
    if (isOurs) living.set(number, id);
  }
  return living;
}

/** Throws an AppError where the folder cannot be removed, which is harmless. */
export async function removeGeneration({ folder }: Generation): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true });
  } catch (cause) {
    throw new AppError('MYELIN_WRITE_FAILED', `${folder} cannot be removed: ${describe(cause)}`, {
      cause,
      remedy: 'nothing needs it any more: remove it, and look who else writes there',
    });
  }
}

/** `-db` tells the serving process from a `haproxy -c` or an editor with the same file. */
function generationOf(state: string, command: string): number | null {
  if (!/[\0 ]-db[\0 ]/.test(command)) return null;
  for (const match of command.matchAll(/\/g(\d+)\/socket\.cfg(?=[\0 ]|$)/g))
    if (command.slice(0, match.index).endsWith(state)) return Number(match[1]);
  return null;
}
