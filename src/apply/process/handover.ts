/**
 * Handing over from one Myelin to the next on the same machine (`haproxy.handover`). Each has a folder for the HAProxies
 * that it starts, and the folders of all stand side by side. The first HAProxy of the next one takes the listening
 * sockets of a serving HAProxy there: both accept from the same sockets until the old Myelin ends its own. The other
 * Myelin may be in another container, where PIDs mean something else: only the answers on sockets count.
 */
import { readdir, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError, hasCode } from '../../errors.ts';
import { readInfo } from '../../haproxy/cli/info.ts';
import { nobodyListens } from '../../haproxy/cli/socket.ts';
import { readIfThere } from '../../lib/files/files.ts';
import type { Ms, Section, Timestamp } from '../../model.ts';
import type { DriverContext } from '../driver.ts';
import {
  type Generation,
  generationAt,
  listGenerations,
  livingGenerations,
  removeGeneration,
} from '../state/generation.ts';
import { readSections } from '../state/records.ts';

/** A HAProxy whose listening sockets can be taken over, and what it runs. */
export type Predecessor = { readonly generation: Generation; readonly sections: readonly Section[] };

/** Long after any start that is still under way. */
const leftoverAfterMs: Ms = 3_600_000;

/**
 * null where no HAProxy of another Myelin serves, or handover is off. `own` is the folder of this Myelin. Throws where
 * the config desired here may not replace the one that serves.
 */
export async function findPredecessor(
  own: string,
  { config, whyNoTakeover }: Pick<DriverContext, 'config' | 'whyNoTakeover'>,
): Promise<Predecessor | null> {
  if (config().haproxy.handover === undefined) return null;
  const predecessor = await findServing(own);
  const why = predecessor === null ? null : whyNoTakeover();
  if (why !== null)
    throw new AppError('MYELIN_SOURCE_TIMEOUT', `the HAProxy of the other Myelin is not taken over: ${why}`);
  return predecessor;
}

async function findServing(own: string): Promise<Predecessor | null> {
  for (const folder of await foldersBeside(own))
    for (const generation of await generationsIn(folder)) {
      if ((await probe(generation)) !== 'serves') continue;
      const sections = await readSections(generation);
      if (sections !== null) return { generation, sections };
    }
  return null;
}

/** Throws where a foreign HAProxy answers in our own folder: another Myelin uses the folder too. */
export async function assertOwn(own: string): Promise<void> {
  const living = await livingGenerations(own);
  for (const generation of await generationsIn(own))
    if (!living.has(generation.number) && (await probe(generation)) === 'serves')
      throw new AppError('MYELIN_LOCKED', `the folder ${own} is in use by another Myelin`, {
        remedy: 'let `haproxy.handover` name a folder for each one, such as /run/handover/${POD_UID}',
      });
}

/** The frontends in the way belong to the other Myelin, which reads the same config later and then removes them. */
export function heldByPredecessor(frontends: readonly string[]): AppError {
  return new AppError(
    'MYELIN_PORT_TAKEN',
    `the HAProxy that hands over holds addresses of ${frontends.join(', ')} in another form, such as *:80 for 127.0.0.1:80`,
    { remedy: 'give the Myelin before this one the same `bind`, or stop it; until then this is tried again' },
  );
}

/** Removes the folders of killed Myelins: where no process listens any more, none ever will. */
export async function removeLeftovers(own: string, now: Timestamp): Promise<void> {
  for (const folder of await foldersBeside(own)) {
    if (!(await isOld(folder, now))) continue;
    for (const generation of await generationsIn(folder)) {
      if (!(await isLeftover(generation, now))) continue;
      await removeGeneration(generation);
      await removeIfEmpty(folder);
    }
  }
}

export async function removeIfEmpty(folder: string): Promise<void> {
  await rmdir(folder).catch((error: unknown) => {
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM')) throw error;
  });
}

async function foldersBeside(own: string): Promise<readonly string[]> {
  const shared = dirname(own);
  return (await readdir(shared)).filter((name) => name !== basename(own)).map((name) => join(shared, name));
}

/** The newest first, because older ones are leaving. */
async function generationsIn(folder: string): Promise<readonly Generation[]> {
  const numbers = await listGenerations(folder).catch((error: unknown) => {
    // Folders that are not Myelin's, or of another user, do not matter.
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM')) return [];
    throw error;
  });
  return numbers.toReversed().map((number) => generationAt(folder, number));
}

async function probe({ socket }: Generation): Promise<'serves' | 'leaves' | 'silent' | 'gone'> {
  try {
    return (await readInfo(socket, { timeoutMs: 1000 })).stopping ? 'leaves' : 'serves';
  } catch (error) {
    return nobodyListens(error) ? 'gone' : 'silent';
  }
}

/** Only folders that Myelin made: other files may lie beside its folder. */
async function isLeftover(generation: Generation, now: Timestamp): Promise<boolean> {
  const isOurs = (await readIfThere(generation.socketConfig)) !== null;
  return isOurs && (await isOld(generation.folder, now)) && (await probe(generation)) === 'gone';
}

async function isOld(path: string, now: Timestamp): Promise<boolean> {
  return stat(path).then(
    ({ mtimeMs }) => now - mtimeMs > leftoverAfterMs,
    () => false,
  );
}
