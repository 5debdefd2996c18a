/** A program that ends with what uses it: where it is disposed of, and where this process ends without doing that. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

export type Child = AsyncDisposable & {
  readonly process: ChildProcess;
  readonly pid: number;
  hasEnded(): boolean;
  /** As in a crash. */
  kill(): Promise<void>;
};

/** Settles once it runs; rejects where it cannot be started. */
export async function startChild(argv: readonly string[], options: SpawnOptions): Promise<Child> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, options);
  // A test that is ended halfway must not leave it behind.
  const killWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  const { promise: exited, resolve } = Promise.withResolvers<void>();
  child.once('exit', () => {
    process.off('exit', killWithUs);
    resolve();
  });
  await once(child, 'spawn');
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const kill = (): Promise<void> => {
    if (!hasEnded()) child.kill('SIGKILL');
    return exited;
  };
  return { process: child, pid: child.pid ?? -1, hasEnded, kill, [Symbol.asyncDispose]: kill };
}

/** The last that it prints, for messages. */
export function lastOutput({ stdout, stderr }: ChildProcess, length = 8000): () => string {
  let output = '';
  for (const stream of [stdout, stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(-length);
    });
  return () => output;
}
