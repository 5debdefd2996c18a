/** Starts one HAProxy beside the one that serves, and believes in it only once it answers on its own socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import timers from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { type Complaint, lastLines, parseAlerts } from '../haproxy/check.ts';
import { frames, unframe } from '../haproxy/framing.ts';
import { type Info, readInfo } from '../haproxy/info.ts';
import { cliWord } from '../haproxy/runtime-commands.ts';
import { ask } from '../haproxy/socket.ts';
import type { Ms } from '../model.ts';
import type { Generation } from './generation.ts';
import { identifyProcess, isAlive, type ProcessId } from './processes.ts';

export type StartOptions = {
  readonly binary: string;
  readonly config: string;
  readonly generation: Generation;
  /** The socket of the process whose listening sockets are taken over; null where there is none. Asked for each try. */
  readonly takeOverFrom: () => Promise<string | null>;
  /** Frontends of that process that hold an address which the new one wants in another form. */
  readonly inTheWay: readonly string[];
  /** Of a process that was started, has not proved itself and still lives: it may have accepted connections. */
  readonly dismiss: (id: ProcessId) => Promise<void>;
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: Ms;
  readonly signal: AbortSignal;
};

export type Start =
  | { readonly kind: 'proved'; readonly id: ProcessId; readonly info: Info; readonly child: ChildProcess }
  | {
      readonly kind: 'failed';
      readonly why: string;
      readonly complaints: readonly Complaint[];
      /** It could not get the listening sockets from the old process, which may work the next time. */
      readonly lostSockets: boolean;
    };

/** HAProxy 2.2 now and then fails to get the old one's listening sockets, and gets them the next time. */
const pausesMs: readonly Ms[] = [50, 100, 200];

/** Rejects where HAProxy cannot be run at all. */
export async function startHaproxy(options: StartOptions): Promise<Start> {
  const { inTheWay, signal } = options;
  for (let attempt = 0; ; attempt++) {
    const from = await options.takeOverFrom();
    let start: Start | null = null;
    try {
      if (from !== null) await setFrontends('disable', from, inTheWay);
      start = await startOnce(options, from);
    } finally {
      if (start?.kind !== 'proved' && from !== null) await setFrontends('enable', from, inTheWay);
    }
    const pauseMs = pausesMs[attempt];
    if (start.kind === 'proved' || !start.lostSockets || pauseMs === undefined) return start;
    await timers.setTimeout(pauseMs, undefined, { signal });
  }
}

/**
 * `*:80` cannot be bound while `127.0.0.1:80` is held, not even by handing it on: the old process lets go of it for the
 * few milliseconds that the new one needs. Nothing else than those frontends is touched.
 */
export async function setFrontends(
  command: 'disable' | 'enable',
  socket: string,
  names: readonly string[],
): Promise<void> {
  const commandOf = (name: string): readonly string[] => [`${command} frontend ${cliWord(name)}`];
  for (const { line, items } of frames(names, commandOf, { maxBytes: shortLineBytes })) {
    const { replies } = unframe(await ask(socket, [line]));
    const at = items.findIndex((_, each) => !isSet.test(replies[each] ?? 'nothing'));
    if (at !== -1)
      throw new AppError(
        'MYELIN_SOCKET_FAILED',
        `HAProxy answered ${JSON.stringify(replies[at] ?? '')} to ${command} frontend ${items[at]}`,
      );
  }
}

/** It is so now, or was before; one that an `.if` leaves out is not there. */
const isSet = /^(|Frontend (is already|was previously) .*|No such frontend\.)$/;

/** Whatever the buffers of that process hold. */
const shortLineBytes = 1_000;

/**
 * No `-sf`: a new process that is given the old one's PID and cannot bind makes it stop listening for two seconds.
 * Detached and with no pipe of ours, so that it lives on when Myelin ends.
 */
async function startOnce(options: StartOptions, from: string | null): Promise<Start> {
  const { generation, timeoutMs, signal } = options;
  const child = await spawnHaproxy(options, from);
  const { promise: exited, resolve } = Promise.withResolvers<void>();
  child.once('exit', () => resolve());
  if (child.exitCode !== null || child.signalCode !== null) resolve();
  const id = child.pid === undefined ? null : identifyProcess(child.pid);
  try {
    const info = id === null ? null : await prove(generation.socket, id, { timeoutMs, signal });
    if (id !== null && info !== null) {
      // Only now may Myelin end without it: until it has proved itself its end is waited for.
      child.unref();
      return { kind: 'proved', id, info, child };
    }
    const isSilent = id !== null && isAlive(id);
    if (isSilent) await leave(id);
    else await exited;
    return await explain(child, generation, isSilent ? `it did not answer within ${timeoutMs} ms` : null);
  } catch (error) {
    if (id !== null && isAlive(id)) await leave(id);
    throw error;
  }

  /** Killed, it would take along what it has accepted since it has the listening sockets. */
  async function leave(unproved: ProcessId): Promise<void> {
    await options.dismiss(unproved);
    child.unref();
  }
}

/** Waits until exactly this process answers on the socket; null when it ends or takes too long. */
export async function prove(
  socket: string,
  id: ProcessId,
  { timeoutMs, signal }: { readonly timeoutMs: Ms; readonly signal: AbortSignal },
): Promise<Info | null> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const info = await readInfo(socket, { timeoutMs: 1000, signal }).catch((error: unknown) => {
      if (signal.aborted) throw error;
      return null;
    });
    if (info !== null && info.pid === id.pid) return info.stopping ? null : info;
    if (!isAlive(id) || performance.now() > deadline) return null;
    await timers.setTimeout(4, undefined, { signal });
  }
}

async function spawnHaproxy(options: StartOptions, from: string | null): Promise<ChildProcess> {
  const { binary, config, generation, env } = options;
  // Appended to, so that it can be cut short while HAProxy has it open.
  await using stderr = await open(generation.stderr, 'a', 0o640);
  await stderr.truncate(0);
  const args = ['-db', '-f', config, '-f', generation.socketConfig];
  if (from !== null) args.push('-x', from);
  const child = spawn(binary, args, { detached: true, env, stdio: ['ignore', 'inherit', stderr.fd] });
  await once(child, 'spawn');
  return child;
}

async function explain(child: ChildProcess, { stderr }: Generation, why: string | null): Promise<Start> {
  const words = await readFile(stderr, 'utf8');
  const complaints = parseAlerts(words);
  const status = child.exitCode === null ? `it was ended by ${child.signalCode}` : `exit status ${child.exitCode}`;
  return {
    kind: 'failed',
    why: why ?? (complaints.length > 0 || words.trim() === '' ? status : `${status}: ${lastLines(words)}`),
    complaints,
    lostSockets: /failed to get the (?:number of )?sockets/i.test(words),
  };
}
