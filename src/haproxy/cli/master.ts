/**
 * HAProxy's master (`haproxy -W -S SOCKET`): it starts the workers, and its command line lists them, reloads, and
 * forwards commands to each of them. Every connection carries one line: the master closes it after the answer because
 * we half-close ours.
 */
import timers from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import type { Ms } from '../../model.ts';
import { atLeast, parseVersion, type Version } from '../binary/version.ts';
import type { Ask } from './ask.ts';
import { type Info, parseInfo } from './info.ts';
import { ask, nobodyListens } from './socket.ts';

/** One row of `show proc`. */
type ProcessRow = {
  readonly pid: number;
  /** For the master: how often it was told to reload. For a worker: how many reloads it has survived. */
  readonly reloads: number;
  readonly uptimeSec: number;
  /** null where the row does not say. */
  readonly version: Version | null;
};

export type Processes = {
  readonly master: ProcessRow;
  /** More than one only with `nbproc`. After a failed reload some versions list no worker here. */
  readonly workers: readonly ProcessRow[];
  /** The leaving workers; after a failed reload in some versions also the serving one. The oldest first. */
  readonly oldWorkers: readonly ProcessRow[];
};

export type MasterReload =
  | { readonly kind: 'loaded'; readonly pid: number }
  | {
      readonly kind: 'failed';
      readonly why: string;
      /** What HAProxy printed; '' before 2.7, which does not show it. */
      readonly words: string;
    };

type Limits = { readonly timeoutMs?: Ms; readonly signal?: AbortSignal | undefined };

/** The prefix that sends a command to this worker, even while it leaves. */
export function prefixOf(pid: number): string {
  return `@!${pid} `;
}

export async function readProcesses(socket: string, limits?: Limits): Promise<Processes> {
  return parseProcesses(await ask(socket, ['show proc'], limits));
}

/** null where the master has no such worker (any more). `float` adds the exact start time; 2.2 and 2.4 ignore it. */
export async function readWorkerInfo(socket: string, pid: number, limits?: Limits): Promise<Info | null> {
  const answer = await ask(socket, [`${prefixOf(pid)}show info float`], limits);
  return /^Pid: \d+$/m.test(answer) ? parseInfo(answer) : null;
}

/**
 * Queries the master. While the master re-executes itself, it does not listen for a moment: then nothing was sent,
 * and the query is sent again.
 */
export function askingMaster(socket: string): Ask {
  return async (line) => {
    const deadline = performance.now() + reexecutionMs;
    for (;;) {
      try {
        return await ask(socket, [line]);
      } catch (error) {
        if (!nobodyListens(error) || performance.now() > deadline) throw error;
        await timers.setTimeout(pauseMs);
      }
    }
  };
}

/**
 * Makes HAProxy read its config again and waits for the outcome. `loaded` only where a worker exists that was not there
 * before: no other sign is right in all versions. Throws an AppError where nobody answers. There is no signal: once the
 * reload has begun, it cannot be cancelled.
 */
export async function reloadMaster(socket: string, { timeoutMs }: { readonly timeoutMs: Ms }): Promise<MasterReload> {
  const before = await readProcesses(socket);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await sendReload(socket, deadline);
    switch (answer.kind) {
      case 'loaded':
      case 'asynchronous': {
        const seen = await awaitWorker(socket, before, { deadline, isLoaded: answer.kind === 'loaded' });
        return seen.kind === 'loaded' ? seen : { ...seen, words: answer.words };
      }
      case 'failed':
        return { kind: 'failed', why: 'the master reports a failure', words: answer.words };
      case 'busy':
        if (performance.now() > deadline)
          return { kind: 'failed', why: 'another reload did not come to an end', words: '' };
        await timers.setTimeout(busyPauseMs);
    }
  }
}

const pauseMs: Ms = 10;
const busyPauseMs: Ms = 100;
/** The longest wait for the old worker: the new one serves in any case. */
const overlapMs: Ms = 500;
/** How long a master may take to re-execute itself: up to 2.4 it reads the whole config meanwhile. */
const reexecutionMs: Ms = 1000;
/** After this time the master does not come back by itself. */
const goneMs: Ms = 5000;

type ReloadAnswer = { readonly kind: 'loaded' | 'failed' | 'busy' | 'asynchronous'; readonly words: string };

async function sendReload(socket: string, deadline: Ms): Promise<ReloadAnswer> {
  // From 2.7 on the master answers when the reload is over; an empty answer was cut off by somebody else's reload.
  const { version } = (await processesSoon(socket, deadline)).master;
  const isSynchronous = version !== null && atLeast(version, 2, 7);
  let answer: string;
  try {
    answer = await ask(socket, ['reload'], { timeoutMs: Math.max(deadline - performance.now(), 1000) });
  } catch (error) {
    // The master does not listen: another reload is under way, and this command was perhaps not received.
    if (performance.now() > deadline) throw error;
    return { kind: 'busy', words: '' };
  }
  const [first = '', ...rest] = answer.split('\n');
  const words = rest.join('\n').replace(/^--\n/, '');
  if (first === 'Success=1') return { kind: 'loaded', words };
  if (first === 'Success=0') return { kind: /reload is still in progress/.test(words) ? 'busy' : 'failed', words };
  if (answer.trim() === '') return { kind: isSynchronous ? 'busy' : 'asynchronous', words: '' };
  throw new AppError('MYELIN_SOCKET_FAILED', `HAProxy's master answered ${JSON.stringify(answer)} to reload`, {
    remedy: 'its socket (-S) must be of level operator or admin',
  });
}

/** Waits for a worker that was not there before, and until it answers. */
async function awaitWorker(
  socket: string,
  before: Processes,
  { deadline, isLoaded }: { readonly deadline: Ms; readonly isLoaded: boolean },
): Promise<MasterReload> {
  const known = new Set([...before.workers, ...before.oldWorkers].map(({ pid }) => pid));
  for (;;) {
    const { master, workers } = await processesSoon(socket, deadline);
    const [fresh] = workers.filter(({ pid, reloads }) => reloads === 0 && !known.has(pid));
    if (fresh !== undefined && (await serves(socket, fresh.pid))) {
      await stopsServing(socket, [...known]);
      return { kind: 'loaded', pid: fresh.pid };
    }
    // The master got the command and is back without a new worker: up to 2.6 this means that the reload failed.
    if (fresh === undefined && !isLoaded && master.reloads > before.master.reloads)
      return { kind: 'failed', why: 'no new worker came up', words: '' };
    if (performance.now() > deadline) return { kind: 'failed', why: 'no new worker answered in time', words: '' };
    await timers.setTimeout(pauseMs);
  }
}

/** A worker queried while it still reads its config (3.1 and later) never answers that query, so it is repeated. */
async function serves(socket: string, pid: number): Promise<boolean> {
  const info = await readWorkerInfo(socket, pid, { timeoutMs: 500 }).catch(() => null);
  return info !== null && info.pid === pid && !info.stopping;
}

/** The old workers also accept connections for a moment, in 2.2 for some milliseconds. */
async function stopsServing(socket: string, pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + overlapMs;
  for (const pid of pids)
    while (performance.now() < deadline && (await serves(socket, pid))) await timers.setTimeout(pauseMs);
}

/** Resolves as soon as the master listens again. Throws where it does not come back. */
async function processesSoon(socket: string, deadline: Ms): Promise<Processes> {
  const gone = Math.min(performance.now() + goneMs, deadline);
  for (;;) {
    try {
      return await readProcesses(socket);
    } catch (error) {
      if (performance.now() > gone) throw error;
      await timers.setTimeout(pauseMs);
    }
  }
}

/** Columns by their names in the header: 2.2 has one more. Values may hold blanks: `0 [failed: 1]`, `[was: 1]`. */
const columns: Readonly<Record<string, string>> = {
  PID: '(?<pid>\\d+)',
  type: '(?<type>\\S+)',
  reloads: '(?<reloads>\\d+)(?: \\[failed: \\d+\\])?',
  uptime: '(?<uptime>\\S+)',
  version: '(?<version>\\S*)',
};
const otherColumn = '(?:\\[[^\\]]*\\]|\\S+)';

export function parseProcesses(text: string): Processes {
  const [header = '', ...lines] = text.split('\n');
  const names = [...header.matchAll(/<([^>]+)>/g)].map(([, name = '']) => name);
  const row = new RegExp(`^${names.map((name) => columns[name] ?? otherColumn).join('\\s+')}\\s*$`);
  const rows = { master: [] as ProcessRow[], workers: [] as ProcessRow[], oldWorkers: [] as ProcessRow[] };
  let into: ProcessRow[] | null = rows.master;
  for (const line of lines) {
    if (line.startsWith('#')) into = listOf(line.slice(1).trim(), rows);
    const groups = row.exec(line)?.groups;
    if (groups !== undefined) into?.push(readRow(groups));
  }
  const [master] = rows.master;
  if (!header.startsWith('#<PID>') || master === undefined)
    throw new AppError('MYELIN_SOCKET_FAILED', `this is no answer to "show proc": ${text.slice(0, 200)}`, {
      remedy: 'haproxy.masterSocket must name the socket of the master (haproxy -W -S SOCKET), not a stats socket',
    });
  // The reload count shows a worker's age; the order in the answer says nothing.
  const oldWorkers = rows.oldWorkers.sort((a, b) => b.reloads - a.reloads);
  return { master, workers: rows.workers, oldWorkers };
}

/** null for what is no worker: programs that the master runs beside them. */
function listOf(
  title: string,
  { workers, oldWorkers }: { readonly workers: ProcessRow[]; readonly oldWorkers: ProcessRow[] },
): ProcessRow[] | null {
  if (title === 'workers') return workers;
  return title === 'old workers' ? oldWorkers : null;
}

function readRow({ pid, reloads, uptime = '', version = '' }: Readonly<Record<string, string>>): ProcessRow {
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = uptime.split(/[dhms]/).map(Number);
  return {
    pid: Number(pid),
    reloads: Number(reloads),
    uptimeSec: ((days * 24 + hours) * 60 + minutes) * 60 + seconds,
    version: parseVersion(version),
  };
}
