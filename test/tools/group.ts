/**
 * Runs a program to its end, to its limit or until it is stopped, and then ends all that it started, however many steps
 * away: a program that is ended from outside does not clean up. Tests and benchmarks run by it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import timers from 'node:timers/promises';
import { describe } from '../../src/errors.ts';
import type { Ms } from '../../src/model.ts';
import { endProcessesOf } from './left-behind.ts';

export type Ending =
  | { readonly kind: 'exit'; readonly code: number | null; readonly by: NodeJS.Signals | null }
  | { readonly kind: 'limit'; readonly limitMs: Ms }
  | { readonly kind: 'stopped' };

export type Ended = {
  readonly ending: Ending;
  /** What it left that cannot be taken away, such as a file system that is mounted there. */
  readonly left: string | null;
};

type Options = {
  /** For temporary files, its own: by it is found whatever the program starts, and it is removed. */
  readonly folder: string;
  readonly limitMs: Ms;
  readonly env?: NodeJS.ProcessEnv;
  /** Of what it prints; without it, it prints where this process does. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
};

/** For what was printed before the end: more only comes from strangers who hold the pipe. */
const restOfOutputMs: Ms = 1000;

export async function runGroup(argv: readonly string[], options: Options): Promise<Ended> {
  const { folder, limitMs, env = process.env, onLine, signal } = options;
  const [program = '', ...args] = argv;
  // Ctrl-C is for whoever runs it.
  const child = spawn(program, args, {
    stdio: ['ignore', onLine === undefined ? 'inherit' : 'pipe', 'inherit'],
    env: { ...env, TMPDIR: folder },
    detached: true,
  });
  const { stdout } = child;
  const read = (async () => {
    if (stdout !== null) for await (const line of createInterface({ input: stdout })) onLine?.(line);
  })();
  const over = new AbortController();
  const exited = once(child, 'exit').then(
    ([code, by]: unknown[]) => ({ kind: 'exit', code, by }) as Extract<Ending, { kind: 'exit' }>,
  );
  const limit = timers.setTimeout(limitMs, { kind: 'limit', limitMs } as const, { signal: over.signal });
  const stopped = signal === undefined ? [] : [abortOf(signal, over.signal)];
  const ending = await Promise.race([exited, limit, ...stopped]);
  over.abort();
  await Promise.allSettled([limit, ...stopped]);
  const left = await cleanUp(folder).then(
    () => null,
    (error: unknown) => `left something that cannot be removed: ${describe(error)}`,
  );
  await Promise.race([read, timers.setTimeout(restOfOutputMs, undefined, { ref: false })]);
  stdout?.destroy();
  await read.catch(() => {});
  return { ending, left };
}

/** For messages. */
export function describeEnding(ending: Ending): string {
  switch (ending.kind) {
    case 'exit':
      return `ended with ${ending.by ?? `exit code ${ending.code}`}`;
    case 'limit':
      return `did not end within ${ending.limitMs / 1000} s`;
    case 'stopped':
      return 'was stopped';
  }
}

async function abortOf(signal: AbortSignal, over: AbortSignal): Promise<Ending> {
  if (!signal.aborted) await once(signal, 'abort', { signal: over });
  return { kind: 'stopped' };
}

async function cleanUp(folder: string): Promise<void> {
  await endProcessesOf(folder);
  await rm(folder, { recursive: true, force: true });
}
