/** A small file system of its own, to be filled or made read-only. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export type Disk = AsyncDisposable & {
  readonly path: string;
  fill(): Promise<void>;
  makeRoom(): Promise<void>;
  remount(mode: 'ro' | 'rw'): void;
};

/** Mounts it at `path`. It takes root to do that: without, the test is skipped and there is none. */
export async function mountDisk(t: TestContext, path: string, size: string): Promise<Disk | null> {
  if (process.getuid?.() !== 0) {
    t.skip('needs root to mount a small file system');
    return null;
  }
  await mkdir(path, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path]);
  const ballast = join(path, 'ballast');
  return {
    path,
    fill: () => assert.rejects(writeFile(ballast, Buffer.alloc(16 * 1024 * 1024)), { code: 'ENOSPC' }),
    makeRoom: () => rm(ballast),
    remount: (mode) => {
      execFileSync('mount', ['-o', `remount,${mode}`, path]);
    },
    [Symbol.asyncDispose]: async () => {
      execFileSync('umount', ['--lazy', path]);
    },
  };
}
