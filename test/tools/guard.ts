/**
 * Ends what was started under a folder for temporary files, and removes it, once whoever started this process closes the
 * pipe to it or ends, in whatever way: Ctrl-C, SIGKILL, out of memory. A process of its own, and of no group that a
 * signal from outside reaches.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { describe } from '../../src/errors.ts';
import { tempFolder } from '../support/index.ts';
import { endProcessesOf } from './left-behind.ts';

/** Not an argument: by those it would be taken for one of the processes that it is to end. */
const variable = 'MYELIN_GUARDED_FOLDER';

/** A folder whose processes end when it is disposed of, and when this process ends without doing so. */
export async function guardedFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const { path } = await tempFolder();
  const guard = spawn(process.execPath, [...process.execArgv, import.meta.filename], {
    stdio: ['pipe', 'ignore', 'inherit'],
    env: { ...process.env, [variable]: path },
    detached: true,
  });
  const ended = once(guard, 'exit');
  await once(guard, 'spawn');
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      guard.stdin.end();
      await ended;
    },
  };
}

/** What cannot be taken away, such as a file system that is mounted there, is only told: what ran has its own outcome. */
async function guard(folder: string): Promise<void> {
  for await (const _ of process.stdin);
  try {
    await endProcessesOf(folder);
    await rm(folder, { recursive: true, force: true });
  } catch (error) {
    process.stderr.write(`left something that cannot be removed: ${describe(error)}\n`);
  }
}

const { [variable]: folder } = process.env;
if (process.argv[1] === import.meta.filename && folder !== undefined) await guard(folder);
