/** The HAProxy that serves without Myelin: which one it is, and how it is ended. */
import { realpath } from 'node:fs/promises';
import timers from 'node:timers/promises';
import { generationsFolder, lockFile } from '../../config/paths.ts';
import type { Config } from '../../config/schema.ts';
import { AppError, hasCode } from '../../errors.ts';
import { linesOf, tokenise } from '../../haproxy/text/text.ts';
import type { Ms, Section } from '../../model.ts';
import { type Generation, generationAt, livingGenerations, removeGeneration } from '../state/generation.ts';
import { isReadyRecordOf, readReady, readSections } from '../state/records.ts';
import { acquireLock } from '../system/lock.ts';
import { type ProcessId, sendSignal, waitForEnd } from '../system/processes.ts';

export type LeftHaproxy = {
  readonly pid: number;
  /** Where its frontends listen, as its config says. */
  readonly binds: readonly string[];
};

type Places = Pick<Config, 'haproxy' | 'state'>;
type Living = { readonly generation: Generation; readonly id: ProcessId };

/** How long a process may take to end that is to end at once. */
const endMs: Ms = 2000;

/** The HAProxy of ours that serves; null where there is none, and where others start it. */
export async function servingHaproxy(places: Places): Promise<LeftHaproxy | null> {
  for (const { generation, id } of await livingHaproxies(places)) {
    if (!isReadyRecordOf(await readReady(generation), id)) continue;
    return { pid: id.pid, binds: bindsIn((await readSections(generation)) ?? []) };
  }
  return null;
}

/**
 * Ends every HAProxy of this state folder, also those that leave: gracefully, and by force after `stopGrace`. Waits until the
 * Myelin that runs them has ended, and keeps another one from starting meanwhile.
 */
export async function endHaproxies(places: Places): Promise<readonly LeftHaproxy[]> {
  if (places.haproxy.control !== 'process')
    throw new AppError(
      'MYELIN_USAGE',
      `with haproxy.control: ${places.haproxy.control} Myelin does not start HAProxy`,
      {
        remedy: 'end it where it is started',
      },
    );
  if ((await livingHaproxies(places)).length === 0) return [];
  await using _ = await lockOf(places);
  const living = await livingHaproxies(places);
  const told = living.filter(({ id }) => signal(id, 'SIGUSR1'));
  return Promise.all(
    told.map(async ({ generation, id }) => {
      const binds = bindsIn((await readSections(generation)) ?? []);
      await endBy(id, places.haproxy.stopGrace);
      await removeGeneration(generation);
      return { pid: id.pid, binds };
    }),
  );
}

async function endBy(id: ProcessId, graceMs: Ms): Promise<void> {
  if (await waitForEnd(id, graceMs)) return;
  signal(id, 'SIGTERM');
  if (await waitForEnd(id, endMs)) return;
  // One that hangs takes no other signal.
  signal(id, 'SIGKILL');
  if (!(await waitForEnd(id, endMs)))
    throw new AppError('MYELIN_HAPROXY_FAILED', `HAProxy (pid ${id.pid}) does not end`);
}

function signal(id: ProcessId, name: NodeJS.Signals): boolean {
  try {
    return sendSignal(id, name);
  } catch (cause) {
    if (!hasCode(cause, 'EPERM')) throw cause;
    throw new AppError('MYELIN_HAPROXY_FAILED', `HAProxy (pid ${id.pid}) runs as another user, who alone may end it`, {
      cause,
      remedy: 'run this command as that user, or as root',
    });
  }
}

/** The lock of the state folder, once the Myelin that is about to end has freed it. */
async function lockOf({ haproxy, state }: Places): Promise<AsyncDisposable> {
  // With `onExit: stop` Myelin itself takes the grace first.
  const deadline = performance.now() + haproxy.stopGrace + 10_000;
  for (;;) {
    try {
      return await acquireLock(lockFile({ state }));
    } catch (error) {
      const isHeld = error instanceof AppError && error.code === 'MYELIN_LOCKED';
      if (!isHeld || performance.now() > deadline) throw error;
      await timers.setTimeout(50);
    }
  }
}

/** The newest first. */
async function livingHaproxies(places: Places): Promise<readonly Living[]> {
  if (places.haproxy.control !== 'process') return [];
  const folder = await realpath(generationsFolder(places)).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (folder === null) return [];
  return [...(await livingGenerations(folder))]
    .sort(([a], [b]) => b - a)
    .map(([number, id]) => ({ generation: generationAt(folder, number), id }));
}

function bindsIn(sections: readonly Section[]): readonly string[] {
  const lines = sections
    .filter(({ kind }) => kind === 'frontend' || kind === 'listen')
    .flatMap(({ text }) => linesOf(text))
    .filter((line) => tokenise(line).words[0] === 'bind');
  return lines.map((line) => line.trim().split(/\s+/)[1] ?? '');
}
