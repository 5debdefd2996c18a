/** Notices that one of the watched files changed: the config, its includes, templates, secrets. */
import { stat } from 'node:fs/promises';
import timers from 'node:timers/promises';
import type { Ms, Timestamp } from '../../model.ts';
import { wallClock } from '../time/clock.ts';

/** The resolution of the time stamps of files: the tick of the kernel. */
const tickMs: Ms = 20;

/**
 * Yields once after each change, until `signal` aborts. `paths` is called at every poll. A poll once a second sees what events
 * miss: swapped links, mounts of ConfigMaps, files that are created later. A new path was read after `since`, or after the last
 * poll, and is checked for changes since then.
 */
export async function* changesOf(
  paths: () => readonly string[],
  signal: AbortSignal,
  { since = wallClock(), everyMs = 1000 }: { readonly since?: Timestamp; readonly everyMs?: Ms } = {},
): AsyncGenerator<void, void, undefined> {
  const seen = new Map<string, string>();
  let lookedAt = since;
  while (await waits(everyMs, signal)) {
    const before = lookedAt;
    lookedAt = wallClock();
    let changed = false;
    for (const path of paths()) {
      const { stamp, changedAt } = await look(path);
      const stampBefore = seen.get(path);
      seen.set(path, stamp);
      if (stampBefore === undefined ? changedAt > before - tickMs : stampBefore !== stamp) changed = true;
    }
    if (changed) yield;
  }
}

async function waits(ms: Ms, signal: AbortSignal): Promise<boolean> {
  return timers.setTimeout(ms, true, { signal }).catch(() => false);
}

async function look(path: string): Promise<{ readonly stamp: string; readonly changedAt: Timestamp }> {
  try {
    const { dev, ino, mtimeMs, ctimeMs, size } = await stat(path);
    // `ctime` changes with the access rights as well, and when a file is written with an old time stamp, as by `cp -p`.
    return { stamp: `${dev} ${ino} ${mtimeMs} ${ctimeMs} ${size}`, changedAt: Math.max(mtimeMs, ctimeMs) };
  } catch {
    // A missing file; to appear and to disappear are changes as well.
    return { stamp: '', changedAt: 0 };
  }
}
