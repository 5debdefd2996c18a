/** Where servers and tools for the tests are kept once they were built or fetched, shared by all test processes. */
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { acquireLock } from '../../src/apply/system/lock.ts';
import { AppError } from '../../src/errors.ts';
import { until } from '../support/index.ts';

export async function cacheFolder(): Promise<string> {
  const { MYELIN_CACHE, XDG_CACHE_HOME } = process.env;
  // As the XDG specification says, an empty or relative one counts as unset.
  const base = XDG_CACHE_HOME !== undefined && isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(homedir(), '.cache');
  const path = MYELIN_CACHE ?? join(base, 'myelin');
  await mkdir(path, { recursive: true });
  return path;
}

/** One process at a time does the work for `name`; the others wait for it. */
export async function lockCache(name: string): Promise<AsyncDisposable> {
  const folder = join(await cacheFolder(), 'locks', name);
  return until(
    `another process is done with ${name}`,
    () =>
      acquireLock(folder).catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'MYELIN_LOCKED') return null;
        throw error;
      }),
    { withinMs: 600_000, everyMs: 200 },
  );
}
