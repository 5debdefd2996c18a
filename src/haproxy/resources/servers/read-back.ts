/** What a running HAProxy has: its servers and their sessions, of some backends, in one question or a few. */
import { type Ask, askEach } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import { parseServersState, type ServerStateRow } from '../../cli/info.ts';
import { cliWord } from '../../cli/words.ts';
import type { Observation, Owner, Seen } from '../resource.ts';

/** The servers of a backend, in the order of the process; none for a backend that it does not have. */
export type SeenServers = Seen & { readonly rows: readonly ServerStateRow[] };

/** `show servers state` of these backends alone. Throws an AppError where one was not answered. */
export async function readBackends(
  ask: Ask,
  backends: readonly string[],
  frame?: Frame,
): Promise<Observation<SeenServers>> {
  const { from, replies } = await askEach(ask, backends, (backend) => `show servers state ${cliWord(backend)}`, frame);
  const seen = new Map(
    backends.map((backend, at): [Owner, SeenServers] => {
      const reply = replies[at] ?? '';
      // Anything else is no answer, and must not be taken for "no servers": it throws.
      const rows = reply === "Can't find backend." ? [] : parseServersState(reply).rows;
      return [ownerOf(backend), seenServers(rows)];
    }),
  );
  return { from, seen };
}

export function ownerOf(backend: string): Owner {
  return `backend ${backend}`;
}

export function backendOf(owner: Owner): string {
  return owner.slice('backend '.length);
}

/** Times and counts change by themselves. */
export function seenServers(rows: readonly ServerStateRow[]): SeenServers {
  const said = rows.map((row) =>
    [row.srv_name, row.srv_addr, row.srv_port, row.srv_fqdn, row.srv_uweight, row.srv_admin_state].join(' '),
  );
  return { rows, said: said.join('\n') };
}

/** `backend/server` → the connections that it has now; servers that are not there are left out. */
export async function readSessions(
  ask: Ask,
  backends: readonly string[],
  frame?: Frame,
): Promise<ReadonlyMap<string, number>> {
  const { replies } = await askEach(ask, backends, (backend) => `show stat ${cliWord(backend)} 4 -1`, frame);
  const sessions = new Map<string, number>();
  for (const reply of replies) {
    const [header = '', ...lines] = (reply ?? '').split('\n');
    const fields = header.replace(/^# /, '').split(',');
    const [backendAt, serverAt, currentAt] = ['pxname', 'svname', 'scur'].map((name) => fields.indexOf(name));
    // Of some hundred fields.
    const needed = Math.max(backendAt ?? 0, serverAt ?? 0, currentAt ?? 0) + 1;
    for (const line of lines) {
      const values = line.split(',', needed);
      const current = values[currentAt ?? -1];
      if (current !== undefined) sessions.set(`${values[backendAt ?? -1]}/${values[serverAt ?? -1]}`, Number(current));
    }
  }
  return sessions;
}
