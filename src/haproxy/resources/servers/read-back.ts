/** Reads the servers of some backends and their sessions from a running HAProxy, in few queries. */
import { type Ask, askEach } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import { parseServersState, type ServerStateRow } from '../../cli/info.ts';
import { readStats } from '../../cli/stats.ts';
import { cliWord } from '../../cli/words.ts';
import type { Observation, Owner, Seen } from '../resource.ts';
import { noMaxconn } from './commands.ts';

/** The servers of a backend, in the order of the process; none for a backend that it does not have. */
export type SeenServers = Seen & {
  readonly rows: readonly ServerStateRow[];
  /** The connection limit of each server, by name, 0 for no limit; empty where it was not queried. */
  readonly maxconns: ReadonlyMap<string, number>;
};

/**
 * `show servers state` of these backends; and for those in `limited` the servers' connection limits, which it does not
 * show, and which cost several times as much. Throws an AppError where a query was not answered.
 */
export async function readBackends(
  ask: Ask,
  backends: readonly string[],
  limited: ReadonlySet<string>,
  frame?: Frame,
): Promise<Observation<SeenServers>> {
  const asked = backends.filter((backend) => limited.has(backend));
  const questions = [...backends.map((backend) => `show servers state ${cliWord(backend)}`), ...asked.map(showStat)];
  const { from, replies } = await askEach(ask, questions, (question) => question, frame);
  const maxconns = new Map(
    asked.map((backend, at) => {
      const stats = readStats(replies[backends.length + at] ?? '', ['svname', 'slim']);
      return [backend, new Map(stats.map(([name = '', limit]) => [name, Number(limit) % noMaxconn]))];
    }),
  );
  const seen = new Map(
    backends.map((backend, at): [Owner, SeenServers] => {
      const reply = replies[at] ?? '';
      // Any other reply is an error, and must not count as "no servers": it throws.
      const rows = reply === "Can't find backend." ? [] : parseServersState(reply, compared).rows;
      return [ownerOf(backend), seenServers(rows, maxconns.get(backend))];
    }),
  );
  return { from, seen };
}

/** What is compared with what is desired. */
const compared = new Set(['srv_name', 'srv_addr', 'srv_port', 'srv_fqdn', 'srv_uweight', 'srv_admin_state']);

export function ownerOf(backend: string): Owner {
  return `backend ${backend}`;
}

export function backendOf(owner: Owner): string {
  return owner.slice('backend '.length);
}

/** Times and counts change by themselves. */
export function seenServers(
  rows: readonly ServerStateRow[],
  maxconns: SeenServers['maxconns'] = new Map(),
): SeenServers {
  const said = rows.map(({ srv_name: name = '', srv_addr, srv_port, srv_fqdn, srv_uweight, srv_admin_state }) =>
    [name, srv_addr, srv_port, srv_fqdn, srv_uweight, srv_admin_state, maxconns.get(name)].join(' '),
  );
  return { rows, maxconns, said: said.join('\n') };
}

/** The connections that each has now; what is not there is left out. */
export type Sessions = {
  /** By `backend/server`. */
  readonly ofServers: ReadonlyMap<string, number>;
  /** By name, with the requests that wait for a server. */
  readonly ofBackends: ReadonlyMap<string, number>;
  /** By name; HAProxy 2.2 does not show one that was shut down. */
  readonly ofFrontends: ReadonlyMap<string, number>;
};

export async function readSessions(
  ask: Ask,
  backends: readonly string[],
  frontends: readonly string[],
  frame?: Frame,
): Promise<Sessions> {
  const asked = [...backends.map((name) => `${cliWord(name)} 6`), ...frontends.map((name) => `${cliWord(name)} 1`)];
  const { replies } = await askEach(ask, asked, (which) => `show stat ${which} -1`, frame);
  const ofServers = new Map<string, number>();
  const ofBackends = new Map<string, number>();
  const ofFrontends = new Map<string, number>();
  for (const [proxy = '', server, current, type] of replies.flatMap((reply) =>
    readStats(reply ?? '', ['pxname', 'svname', 'scur', 'type']),
  ))
    if (type === '0') ofFrontends.set(proxy, Number(current));
    else if (type === '1') ofBackends.set(proxy, Number(current));
    else ofServers.set(`${proxy}/${server}`, Number(current));
  return { ofServers, ofBackends, ofFrontends };
}

function showStat(backend: string): string {
  return `show stat ${cliWord(backend)} 4 -1`;
}
