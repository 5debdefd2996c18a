/** Reads what HAProxy says about itself: `show info` and `show servers state`. */
import { AppError } from '../../errors.ts';
import type { Ms, Timestamp } from '../../model.ts';
import { parseVersion, type Version } from '../binary/version.ts';
import { ask } from './socket.ts';

export type Info = {
  readonly pid: number;
  readonly version: Version;
  /** The process leaves: it accepts no new connections and finishes those it has. */
  readonly stopping: boolean;
  readonly uptimeSec: number;
  /** Seconds since 1970; null before HAProxy 2.5. PID and start time together identify a process. */
  readonly startTimeSec: number | null;
  /** The same with the fraction of the second, where `show info float` was asked. */
  readonly startedAt: Timestamp | null;
  /** Open connections, without those to its own sockets. */
  readonly currConns: number;
  readonly maxconn: number;
};

/** One server's row of `show servers state`: fields by their names in its header. */
export type ServerStateRow = Readonly<Record<string, string>>;
export type ServersState = { readonly fields: readonly string[]; readonly rows: readonly ServerStateRow[] };

type Limits = { readonly timeoutMs?: Ms; readonly signal?: AbortSignal | undefined };

export async function readInfo(socket: string, limits?: Limits): Promise<Info> {
  return parseInfo(await ask(socket, ['show info'], limits));
}

export async function readServersState(socket: string, limits?: Limits): Promise<ServersState> {
  return parseServersState(await ask(socket, ['show servers state'], limits));
}

export function parseInfo(text: string): Info {
  const version = parseVersion(infoOf(text, 'Version') ?? '');
  const pid = countOf(text, 'Pid');
  if (version === null || pid === null)
    throw new AppError('MYELIN_SOCKET_FAILED', `this is no answer to "show info": ${text.slice(0, 200)}`);
  const started = numberOf(text, 'Start_time_sec');
  return {
    pid,
    version,
    stopping: infoOf(text, 'Stopping') === '1',
    uptimeSec: Math.floor(numberOf(text, 'Uptime_sec') ?? 0),
    startTimeSec: started === null ? null : Math.floor(started),
    startedAt: started === null ? null : started * 1000,
    currConns: countOf(text, 'CurrConns') ?? 0,
    maxconn: countOf(text, 'Maxconn') ?? 0,
  };
}

/**
 * The text has the version of the format on its first line, then `# field field …`, then a row for each server. `only`: the fields
 * that are of use, of some 25, where thousands of servers are read one after the other.
 */
export function parseServersState(text: string, only?: ReadonlySet<string>): ServersState {
  const [version, header = '', ...lines] = text.split('\n');
  if (version?.trim() !== '1' || !header.startsWith('# '))
    throw new AppError('MYELIN_SOCKET_FAILED', `this is no answer to "show servers state": ${text.slice(0, 200)}`);
  const fields = header.slice(2).trim().split(' ');
  const rows = lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const values = line.trim().split(' ');
      const row: Record<string, string> = {};
      for (const [at, field] of fields.entries())
        if (only === undefined || only.has(field)) row[field] = values[at] ?? '-';
      return row;
    });
  return { fields, rows };
}

/** The text after `name:` at the beginning of a line. It is searched, since each change needs seven of some seventy lines. */
function infoOf(text: string, name: string): string | null {
  const label = `${name}:`;
  const at = text.startsWith(label) ? 0 : text.indexOf(`\n${label}`) + 1;
  if (at === 0 && !text.startsWith(label)) return null;
  const end = text.indexOf('\n', at);
  return text.slice(at + label.length, end === -1 ? undefined : end).trim();
}

function countOf(text: string, name: string): number | null {
  const value = numberOf(text, name);
  return value !== null && Number.isInteger(value) ? value : null;
}

function numberOf(text: string, name: string): number | null {
  const value = infoOf(text, name);
  return value !== null && /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : null;
}
