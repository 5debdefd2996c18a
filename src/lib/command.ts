/** Runs a program to its end, without a shell and never for longer than it is given. */
import { spawn } from 'node:child_process';
import { hasCode } from '../errors.ts';
import type { Ms } from '../model.ts';
import { plainEnvironment } from './environment.ts';

export type Finished = {
  /** null where a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
};

export type CommandLimits = {
  readonly timeoutMs: Ms;
  readonly signal?: AbortSignal | undefined;
  /** Not Myelin's own, unless somebody says so: that has the tokens of the sources. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whether what the program has started ends with it when it has to be ended. */
  readonly endsChildren?: boolean;
};

/** What is kept of each stream: enough for every message, however much a broken program prints. */
const maxOutput = 1024 * 1024;

/** Rejects with Node's own error (`ENOENT`, `EACCES`) where the program cannot be started, and when `signal` aborts. */
export function runCommand(argv: readonly string[], limits: CommandLimits): Promise<Finished> {
  const { timeoutMs, signal, env = plainEnvironment(process.env), endsChildren = false } = limits;
  const [program = '', ...args] = argv;
  const { promise, resolve, reject } = Promise.withResolvers<Finished>();
  if (signal?.aborted) return Promise.reject(signal.reason);
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: endsChildren });
  const kill = (): void => {
    if (endsChildren && child.pid !== undefined) killGroup(child.pid);
    else child.kill('SIGKILL');
  };
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      output[name] = (output[name] + chunk).slice(0, maxOutput);
    });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, timeoutMs);
  const abort = (): void => {
    kill();
    reject(signal?.reason);
  };
  signal?.addEventListener('abort', abort, { once: true });
  const done = (): void => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  };
  child.once('error', (error) => {
    done();
    reject(error);
  });
  // A grandchild that keeps the pipes open must not hold us up for ever: what the program said is there by then.
  child.once('exit', () => setTimeout(() => closePipes(), 1000).unref());
  child.once('close', (status, killedBy) => {
    done();
    resolve({ status, signal: killedBy, ...output, timedOut });
  });
  return promise;

  function closePipes(): void {
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    // It has just ended.
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

/** `/usr/sbin/haproxy -c …: exit status 1`, for messages. */
export function describeExit({ status, signal, timedOut }: Pick<Finished, 'status' | 'signal' | 'timedOut'>): string {
  if (timedOut) return 'did not end in time';
  return signal === null ? `exit status ${status}` : `ended by ${signal}`;
}

/** The end of an output on one line, for messages. */
export function lastLines(output: string, count = 5): string {
  return output.trim().split('\n').slice(-count).join(' | ').slice(-1000);
}
