/** Tells when any of some files changed: the config, what it includes, templates, secrets. */
import { stat } from 'node:fs/promises';
import timers from 'node:timers/promises';
import { wallClock } from '../lib/time/clock.ts';
import type { Ms, Timestamp } from '../model.ts';

/** Time stamps of files are as coarse as the kernel's tick. */
const tickMs: Ms = 20;

/**
 * Yields once after each change, until `signal` aborts; `paths` is asked anew at every look. Looking once a second sees
 * what event interfaces miss: links that are swapped, mounts of ConfigMaps, files that come later. A path that is new
 * among them was read since `since`, or since the last look, and is looked at for changes from then on.
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
    // `ctime` also tells of rights that were given, and of what was written with an old time of change, as by `cp -p`.
    return { stamp: `${dev} ${ino} ${mtimeMs} ${ctimeMs} ${size}`, changedAt: Math.max(mtimeMs, ctimeMs) };
  } catch {
    // Not there, for now or for good: coming and going are changes too.
    return { stamp: '', changedAt: 0 };
  }
}
