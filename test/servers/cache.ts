/** Where servers and tools for the tests are kept once they were built or fetched, shared by all test processes. */
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { acquireLock } from '../../src/apply/lock.ts';
import { AppError } from '../../src/errors.ts';
import { until } from '../support/index.ts';

export async function cacheFolder(): Promise<string> {
  const { MYELIN_CACHE, XDG_CACHE_HOME } = process.env;
  const path = MYELIN_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'myelin');
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
