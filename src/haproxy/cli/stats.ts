/** Reads `show stat`: what HAProxy says of its backends and of their servers. */
import { AppError } from '../../errors.ts';
import { type Ask, askEach } from './ask.ts';
import type { Frame } from './framing.ts';
import type { Info } from './info.ts';
import { cliWord } from './words.ts';

/** up: takes new connections, whether a check says so or none is made. */
export const serverConditions = ['up', 'down', 'draining', 'maint'] as const;
export type ServerCondition = (typeof serverConditions)[number];

export type ServerHealth = {
  readonly name: string;
  /** `ADDRESS:PORT`, or the path of a UNIX socket. */
  readonly address: string;
  readonly condition: ServerCondition;
  /** HAProxy's own word: `DOWN 1/2`, `no check`, `MAINT (resolution)`, … */
  readonly status: string;
  /** For how long it has been up or down. */
  readonly forSec: number;
  /** The last health check, in HAProxy's words; null: none was made. `code`: `L4CON`, `L7STS`, … */
  readonly check: { readonly code: string; readonly words: string } | null;
  readonly weight: number;
  readonly sessions: number;
  /** Requests that wait for this server. */
  readonly queued: number;
  /** New sessions in the last second. */
  readonly sessionsPerSec: number;
  /** Since this process began: connections that failed, and answers that broke off or were none. */
  readonly errors: number;
};

export type BackendHealth = {
  /** No server of it takes requests. */
  readonly isDown: boolean;
  readonly forSec: number;
  readonly sessions: number;
  readonly queued: number;
  readonly sessionsPerSec: number;
  readonly servers: readonly ServerHealth[];
};

/** Of these backends, by name; one that HAProxy does not have is left out. Throws an AppError where a query was not answered. */
export async function readHealth(
  ask: Ask,
  backends: readonly string[],
  frame?: Frame,
): Promise<{ readonly from: readonly (Info | null)[]; readonly health: ReadonlyMap<string, BackendHealth> }> {
  const { from, replies } = await askEach(ask, backends, (backend) => `show stat ${cliWord(backend)} 6 -1`, frame);
  const health = new Map<string, BackendHealth>();
  for (const [at, backend] of backends.entries()) {
    const reply = replies[at] ?? null;
    if (reply === null) throw new AppError('MYELIN_SOCKET_FAILED', `HAProxy says nothing of the backend ${backend}`);
    const rows = readStats(reply, fields).map(rowOf);
    const own = rows.find(({ type }) => type === backendType);
    if (own === undefined) continue;
    health.set(backend, {
      isDown: own.status.startsWith('DOWN'),
      forSec: Number(own.lastchg),
      sessions: Number(own.scur),
      queued: Number(own.qcur),
      sessionsPerSec: Number(own.rate),
      servers: rows.filter(({ type }) => type === serverType).map(serverOf),
    });
  }
  return { from, health };
}

/** The names of the backends without a server up, a line of the answer each. Throws an AppError where the query was not answered. */
export async function readDownBackends(
  ask: Ask,
  frame?: Frame,
): Promise<{ readonly from: readonly (Info | null)[]; readonly down: ReadonlySet<string> }> {
  const { from, replies } = await askEach(ask, ['-1 2 -1'], (what) => `show stat ${what}`, frame);
  const [reply] = replies;
  if (reply == null) throw new AppError('MYELIN_SOCKET_FAILED', 'HAProxy says nothing of its backends');
  const rows = readStats(reply, ['pxname', 'status']);
  return { from, down: new Set(rows.flatMap(([name = '', status = '']) => (status.startsWith('DOWN') ? [name] : []))) };
}

/** These fields of each row, out of about a hundred; none where the reply is something else. */
export function readStats(reply: string, names: readonly string[]): readonly (readonly string[])[] {
  const [header = '', ...lines] = reply.split('\n');
  const columns = header.replace(/^# /, '').split(',');
  const places = names.map((name) => columns.indexOf(name));
  if (places.includes(-1)) return [];
  const needed = places.reduce((last, at) => Math.max(last, at)) + 1;
  return lines
    .map((line) => cellsOf(line, needed))
    .filter((cells) => cells.length === needed)
    .map((cells) => places.map((at) => cells[at] ?? ''));
}

/** Each stands in the answer of every version. */
const fields = [
  'svname',
  'type',
  'status',
  'lastchg',
  'scur',
  'qcur',
  'rate',
  'econ',
  'eresp',
  'weight',
  'check_status',
  'check_desc',
  'last_chk',
  'addr',
] as const;

type Row = Readonly<Record<(typeof fields)[number], string>>;

const backendType = '1';
const serverType = '2';

function rowOf(values: readonly string[]): Row {
  return Object.fromEntries(fields.map((field, at) => [field, values[at] ?? ''])) as Row;
}

function serverOf(row: Row): ServerHealth {
  // A star marks a check that is being made; the result is the one before.
  const code = row.check_status.replace(/^\* /, '');
  return {
    name: row.svname,
    address: row.addr,
    condition: conditionOf(row),
    status: row.status,
    forSec: Number(row.lastchg),
    check: code === '' || code === 'INI' ? null : { code, words: wordsOf(row) },
    weight: Number(row.weight),
    sessions: Number(row.scur),
    queued: Number(row.qcur),
    sessionsPerSec: Number(row.rate),
    errors: Number(row.econ) + Number(row.eresp),
  };
}

function conditionOf({ status, weight }: Row): ServerCondition {
  if (status.startsWith('MAINT')) return 'maint';
  if (status.startsWith('DOWN')) return 'down';
  // HAProxy says `DRAIN` of weight 0 only where it makes checks.
  return status.startsWith('DRAIN') || status.startsWith('NOLB') || weight === '0' ? 'draining' : 'up';
}

function wordsOf({ check_desc, last_chk }: Row): string {
  return [check_desc, last_chk].filter((text) => text !== '').join(': ');
}

/** The first cells of a line; a cell with a comma or a quote in it is quoted, with its own quotes doubled. */
function cellsOf(line: string, count: number): readonly string[] {
  if (!line.includes('"')) return line.split(',', count);
  const cells: string[] = [];
  for (const [, quoted, plain = ''] of line.matchAll(/(?:"((?:[^"]|"")*)"|([^,]*))(?:,|$)/g)) {
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (cells.length === count) break;
  }
  return cells;
}
