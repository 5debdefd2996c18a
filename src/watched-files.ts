/** Tells when any of some files changed: the config, what it includes, templates, secrets. */
import { stat } from 'node:fs/promises';
import timers from 'node:timers/promises';
import type { Ms } from './model.ts';

/**
 * Yields once after each change, until `signal` aborts; `paths` is asked anew at every look. Looking once a second sees
 * what event interfaces miss: links that are swapped, mounts of ConfigMaps, files that come later.
 */
export async function* changesOf(
  paths: () => readonly string[],
  signal: AbortSignal,
  everyMs: Ms = 1000,
): AsyncGenerator<void, void, undefined> {
  const seen = new Map<string, string>();
  for (const path of paths()) seen.set(path, await stamp(path));
  while (await waits(everyMs, signal)) {
    let changed = false;
    for (const path of paths()) {
      const now = await stamp(path);
      const before = seen.get(path);
      seen.set(path, now);
      if (before !== undefined && before !== now) changed = true;
    }
    if (changed) yield;
  }
}

async function waits(ms: Ms, signal: AbortSignal): Promise<boolean> {
  return timers.setTimeout(ms, true, { signal }).catch(() => false);
}

async function stamp(path: string): Promise<string> {
  try {
    const { ino, mtimeMs, size } = await stat(path);
    return `${ino} ${mtimeMs} ${size}`;
  } catch {
    // Not there, for now or for good: coming and going are changes too.
    return '';
  }
}
