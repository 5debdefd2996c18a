/** Starts a HAProxy beside the serving one. The new process counts as started once it answers on its own socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import timers from 'node:timers/promises';
import { type Complaint, parseAlerts } from '../../../haproxy/binary/check.ts';
import { type Info, readInfo } from '../../../haproxy/cli/info.ts';
import { lastLines } from '../../../lib/command.ts';
import type { Ms } from '../../../model.ts';
import type { Generation } from '../../state/generation.ts';
import { identifyProcess, isAlive, type ProcessId, sendSignal, waitForEnd } from '../../system/processes.ts';
import { setFrontends } from './frontends.ts';
import { StandIn } from './stand-in.ts';

export type StartOptions = {
  readonly binary: string;
  readonly config: string;
  readonly generation: Generation;
  /** The socket of the process whose listening sockets are taken over; null where there is none. Called at each try. */
  readonly takeOverFrom: () => Promise<string | null>;
  readonly moves: Moves;
  /** The new process takes over stick tables, which HAProxy 2.4 to 2.8 does only where it has a predecessor. */
  readonly takesOverTables: boolean;
  /** Drains a started process that is not ready yet and still lives: it may have accepted connections. */
  readonly drain: (id: ProcessId) => Promise<void>;
  readonly env: NodeJS.ProcessEnv;
  readonly timeoutMs: Ms;
  readonly signal: AbortSignal;
};

export type Start =
  | { readonly kind: 'ready'; readonly id: ProcessId; readonly info: Info; readonly child: ChildProcess }
  | {
      readonly kind: 'failed';
      readonly why: string;
      readonly complaints: readonly Complaint[];
      /** The new process could not get the listening sockets from the old one; the next try may succeed. */
      readonly lostSockets: boolean;
    };

/** Addresses that the new process needs in a different form than the serving process holds them. */
export type Moves = {
  /** The frontends of the serving process that hold these addresses. */
  readonly inTheWay: readonly string[];
  /** The frontends of the new process that keep another address of those frontends. */
  readonly kept: readonly string[];
};

/** The process whose listening sockets are taken over, and the stand-in that the new process takes for it, if any. */
type Before = { readonly socket: string; readonly standIn: StandIn | null };

const letGoWithinMs: Ms = 2000;

/** HAProxy 2.2 sometimes fails to get the old process's listening sockets; the next try succeeds. */
const pausesMs: readonly Ms[] = [50, 100, 200];

/** Rejects where HAProxy cannot be run at all. */
export async function startHaproxy(options: StartOptions): Promise<Start> {
  const { signal } = options;
  for (let attempt = 0; ; attempt++) {
    const from = await options.takeOverFrom();
    const start = from === null ? await startOnce(options, null) : await startBeside(options, from);
    const pauseMs = pausesMs[attempt];
    if (start.kind === 'ready' || !start.lostSockets || pauseMs === undefined) return start;
    await timers.setTimeout(pauseMs, undefined, { signal });
  }
}

/**
 * `*:80` cannot be bound while `127.0.0.1:80` is held, not even by handing it on: the old process releases it once the
 * new process is ready for it, and only for that moment. No other frontends are touched.
 */
async function startBeside(options: StartOptions, from: string): Promise<Start> {
  const { inTheWay } = options.moves;
  if (inTheWay.length === 0 && !options.takesOverTables) return startOnce(options, { socket: from, standIn: null });
  await using standIn = await StandIn.start(async () => {
    await setFrontends(['disable'], from, inTheWay);
  });
  let start: Start | null = null;
  let notReady: ProcessId | null = null;
  const drain = async (id: ProcessId): Promise<void> => {
    notReady = id;
    await options.drain(id);
  };
  try {
    start = await startOnce({ ...options, drain }, { socket: from, standIn });
    // The reason why the old process did not release its address says more than the failed start.
    if (start.kind === 'failed') await standIn.wasPaused();
    return start;
  } finally {
    if (start?.kind !== 'ready' && inTheWay.length > 0) {
      await standIn.wasPaused().catch(() => {});
      await takeBack(from, inTheWay, notReady);
    }
  }
}

/** A process told to leave releases its addresses at once, or hangs: then it must not block the serving process. */
async function takeBack(from: string, frontends: readonly string[], notReady: ProcessId | null): Promise<void> {
  const deadline = performance.now() + letGoWithinMs;
  for (;;)
    try {
      return await setFrontends(['enable'], from, frontends);
    } catch (error) {
      if (performance.now() > deadline) {
        if (notReady === null || !sendSignal(notReady, 'SIGKILL')) throw error;
        await waitForEnd(notReady, letGoWithinMs);
      }
      await timers.setTimeout(20);
    }
}

/**
 * No `-sf` with the old PID: a new process that has that PID and cannot bind makes the old one stop listening for 2 s.
 * Detached and with no pipe of ours, so that it lives on when Myelin ends.
 */
async function startOnce(options: StartOptions, from: Before | null): Promise<Start> {
  const { generation, timeoutMs, signal } = options;
  const child = await spawnHaproxy(options, from);
  const { promise: exited, resolve } = Promise.withResolvers<void>();
  child.once('exit', () => resolve());
  if (child.exitCode !== null || child.signalCode !== null) resolve();
  const id = child.pid === undefined ? null : identifyProcess(child.pid);
  try {
    const info = id === null ? null : await awaitReady(generation.socket, id, { timeoutMs, signal });
    if (id !== null && info !== null) {
      await listenAgain(options, from);
      // Only now may Myelin end before the child: until it is ready, Myelin waits for its end.
      child.unref();
      return { kind: 'ready', id, info, child };
    }
    const isSilent = id !== null && isAlive(id);
    if (isSilent) await leave(id);
    else await exited;
    return await explain(child, generation, isSilent ? `it did not answer within ${timeoutMs} ms` : null);
  } catch (error) {
    if (id !== null && isAlive(id)) await leave(id);
    throw error;
  }

  /** Drains instead of killing: a kill would close the connections that the process has already accepted. */
  async function leave(notReady: ProcessId): Promise<void> {
    await options.drain(notReady);
    child.unref();
  }
}

/** Waits until exactly this process answers on the socket; null when it ends or takes too long. */
export async function awaitReady(
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

/**
 * The sockets that the old process released are shared with the new one, which had taken them over: those that the new
 * process keeps need to listen again.
 */
async function listenAgain({ generation, moves }: StartOptions, from: Before | null): Promise<void> {
  if (await from?.standIn?.wasPaused()) await setFrontends(['disable', 'enable'], generation.socket, moves.kept);
}

async function spawnHaproxy(options: StartOptions, from: Before | null): Promise<ChildProcess> {
  const { binary, config, generation, env } = options;
  // Opened for appending, so that the file can be truncated while HAProxy has it open.
  await using stderr = await open(generation.stderr, 'a', 0o640);
  await stderr.truncate(0);
  const args = ['-db', '-f', config, '-f', generation.socketConfig];
  if (from !== null) args.push('-x', from.socket);
  if (from?.standIn) args.push('-sf', `${from.standIn.pid}`);
  // What HAProxy logs goes to our standard error, so that the lines of our own log stay the only ones on standard output.
  // It is handed on as it is: a pipe to us would end with us, and HAProxy serves on.
  const child = spawn(binary, args, { detached: true, env, stdio: ['ignore', 2, stderr.fd] });
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
