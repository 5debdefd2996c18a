/** A HAProxy in master-worker mode, as systemd or another container would run it; ended with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Processes, readProcesses, readWorkerInfo } from '../../../src/haproxy/cli/master.ts';
import { until } from '../index.ts';

export type Master = AsyncDisposable & {
  readonly socket: string;
  readonly pid: number;
  /** All that it has printed. */
  readonly words: () => string;
  processes(): Promise<Processes>;
  /** The PID of the worker that serves. */
  worker(): Promise<number>;
  /** Settles once it and its workers have ended. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
};

const ownNetwork = ['unshare', '-rn', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];

/** Waits until a worker serves what `file` says; in a network of its own, as another container has it, where that is asked. */
export async function startMaster(
  binary: string,
  folder: string,
  file: string,
  { isInOwnNetwork = false }: { readonly isInOwnNetwork?: boolean } = {},
): Promise<Master> {
  const socket = join(folder, 'master.sock');
  const argv = [binary, '-W', '-db', '-S', socket, '-f', file];
  const [program = '', ...args] = isInOwnNetwork ? [...ownNetwork, ...argv] : argv;
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    words = (words + chunk).slice(-50_000);
  });
  // Its workers hold the pipe too: it closes with the last of them.
  const ended = once(child, 'close').then(() => {});
  await once(child, 'spawn');
  const processes = (): Promise<Processes> => readProcesses(socket);
  const worker = async (): Promise<number> => {
    const pid = (await processes()).workers[0]?.pid;
    if (pid === undefined) throw new Error('no worker serves');
    return pid;
  };
  const stop = async (): Promise<void> => {
    await end(child);
    await ended;
  };
  try {
    await until('the master has a worker that serves', async () => {
      if (child.exitCode !== null) throw new Error(words);
      // From 3.1 on it is listed while it still reads its config, and leaves those who ask then without an answer.
      return readWorkerInfo(socket, await worker(), { timeoutMs: 200 });
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    socket,
    pid: child.pid ?? -1,
    words: () => words,
    processes,
    worker,
    ended,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The workers of a master that is gone end by themselves. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 2000);
  await exited;
  clearTimeout(timer);
}
