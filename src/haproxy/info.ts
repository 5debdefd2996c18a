/** Reads what HAProxy says about itself: `show info` and `show servers state`. */
import { AppError } from '../errors.ts';
import type { Ms } from '../model.ts';
import { ask } from './socket.ts';
import { parseVersion, type Version } from './version.ts';

export type Info = {
  readonly pid: number;
  readonly version: Version;
  /** It was told to leave and finishes what it has. */
  readonly stopping: boolean;
  readonly uptimeSec: number;
  /** Seconds since 1970; null before 2.5, which does not say. With the PID it tells one process from every other. */
  readonly startTimeSec: number | null;
  /** Connections that it holds now; those to its own sockets do not count. */
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
  const values = new Map(
    text.split('\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
    }),
  );
  const version = parseVersion(values.get('Version') ?? '');
  const pid = number(values, 'Pid');
  if (version === null || pid === null)
    throw new AppError('MYELIN_SOCKET_FAILED', `this is no answer to "show info": ${text.slice(0, 200)}`);
  return {
    pid,
    version,
    stopping: values.get('Stopping') === '1',
    uptimeSec: number(values, 'Uptime_sec') ?? 0,
    startTimeSec: number(values, 'Start_time_sec'),
    currConns: number(values, 'CurrConns') ?? 0,
    maxconn: number(values, 'Maxconn') ?? 0,
  };
}

/** The format's version on the first line, then `# field field …`, then a row a server. */
export function parseServersState(text: string): ServersState {
  const [version, header = '', ...lines] = text.split('\n');
  if (version?.trim() !== '1' || !header.startsWith('# '))
    throw new AppError('MYELIN_SOCKET_FAILED', `this is no answer to "show servers state": ${text.slice(0, 200)}`);
  const fields = header.slice(2).trim().split(' ');
  const rows = lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const values = line.trim().split(' ');
      const row: Record<string, string> = {};
      for (const [at, field] of fields.entries()) row[field] = values[at] ?? '-';
      return row;
    });
  return { fields, rows };
}

function number(values: ReadonlyMap<string, string>, name: string): number | null {
  const value = values.get(name);
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : null;
}
