/** Starts one HAProxy beside the one that serves. It counts as started once it answers on its own socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import timers from 'node:timers/promises';
import { type Complaint, parseAlerts } from '../../haproxy/binary/check.ts';
import { type Info, readInfo } from '../../haproxy/cli/info.ts';
import { lastLines } from '../../lib/command.ts';
import type { Ms } from '../../model.ts';
import type { Generation } from '../state/generation.ts';
import { identifyProcess, isAlive, type ProcessId, sendSignal, waitForEnd } from '../system/processes.ts';
import { setFrontends } from './frontends.ts';
import { StandIn } from './stand-in.ts';

export type StartOptions = {
  readonly binary: string;
  readonly config: string;
  readonly generation: Generation;
  /** The socket of the process whose listening sockets are taken over; null where there is none. Asked for each try. */
  readonly takeOverFrom: () => Promise<string | null>;
  readonly moves: Moves;
  /** It takes over stick tables, which HAProxy 2.4 to 2.8 does only where it knows of a process before it. */
  readonly takesOverTables: boolean;
  /** Of a process that was started, is not ready yet and still lives: it may have accepted connections. */
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
      /** It could not get the listening sockets from the old process, which may work the next time. */
      readonly lostSockets: boolean;
    };

/** Addresses that the new process wants in another form than the one that serves holds them in. */
export type Moves = {
  /** The frontends of the one that serves which hold them. */
  readonly inTheWay: readonly string[];
  /** The frontends of the new one that keep another address of those. */
  readonly kept: readonly string[];
};

/** Whose listening sockets are taken over, and whom the new process takes for the one before it, if anybody. */
type Before = { readonly socket: string; readonly standIn: StandIn | null };

const letGoWithinMs: Ms = 2000;

/** HAProxy 2.2 now and then fails to get the old one's listening sockets, and gets them the next time. */
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
 * `*:80` cannot be bound while `127.0.0.1:80` is held, not even by handing it on: the old process lets go of it once the
 * new one is ready for it, and for no longer than that takes. Nothing else than those frontends is touched.
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
    // What kept the old one from letting go says more than what came of it.
    if (start.kind === 'failed') await standIn.wasPaused();
    return start;
  } finally {
    if (start?.kind !== 'ready' && inTheWay.length > 0) {
      await standIn.wasPaused().catch(() => {});
      await takeBack(from, inTheWay, notReady);
    }
  }
}

/** What was told to leave lets go of its addresses at once, or hangs: then it must not keep them from the one that serves. */
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
 * No `-sf` of the old one: a new process that is given its PID and cannot bind makes it stop listening for two seconds.
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
      // Only now may Myelin end without it: until it is ready its end is waited for.
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

  /** Killed, it would take along what it has accepted since it has the listening sockets. */
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
 * What the old process let go of, the new one had taken over before, as both share these sockets: whichever of them it
 * keeps, it has to listen on again.
 */
async function listenAgain({ generation, moves }: StartOptions, from: Before | null): Promise<void> {
  if (await from?.standIn?.wasPaused()) await setFrontends(['disable', 'enable'], generation.socket, moves.kept);
}

async function spawnHaproxy(options: StartOptions, from: Before | null): Promise<ChildProcess> {
  const { binary, config, generation, env } = options;
  // Appended to, so that it can be cut short while HAProxy has it open.
  await using stderr = await open(generation.stderr, 'a', 0o640);
  await stderr.truncate(0);
  const args = ['-db', '-f', config, '-f', generation.socketConfig];
  if (from !== null) args.push('-x', from.socket);
  if (from?.standIn) args.push('-sf', `${from.standIn.pid}`);
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
