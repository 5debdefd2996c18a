/** What a running HAProxy really has: its servers and their sessions, of some backends, in one question or a few. */
import { type Frame, frames, unframe } from './framing.ts';
import { type Info, parseServersState, type ServerStateRow } from './info.ts';
import { cliWord } from './runtime-commands.ts';

/** Sends one line and reads its whole answer. */
export type Ask = (line: string) => Promise<string>;

export type ReadBack = {
  /** Who answered, on each line that was needed; null where one did not say. */
  readonly from: readonly (Info | null)[];
  /** By backend, in the order of the process; empty for a backend that it does not have. */
  readonly servers: ReadonlyMap<string, readonly ServerStateRow[]>;
};

/** `show servers state` of these backends alone. Throws an AppError where one was not answered. */
export async function readBackends(ask: Ask, backends: readonly string[], options?: Frame): Promise<ReadBack> {
  const { from, replies } = await askEach(
    ask,
    backends,
    (backend) => `show servers state ${cliWord(backend)}`,
    options,
  );
  const servers = new Map(
    backends.map((backend, at): [string, readonly ServerStateRow[]] => {
      const reply = replies[at] ?? '';
      // Anything else is no answer, and must not be taken for "no servers": it throws.
      return [backend, reply === "Can't find backend." ? [] : parseServersState(reply).rows];
    }),
  );
  return { from, servers };
}

/** `backend/server` → the connections that it has now; servers that are not there are left out. */
export async function readSessions(
  ask: Ask,
  backends: readonly string[],
  options?: Frame,
): Promise<ReadonlyMap<string, number>> {
  const { replies } = await askEach(ask, backends, (backend) => `show stat ${cliWord(backend)} 4 -1`, options);
  const sessions = new Map<string, number>();
  for (const reply of replies) {
    const [header = '', ...lines] = reply.split('\n');
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

async function askEach(
  ask: Ask,
  backends: readonly string[],
  command: (backend: string) => string,
  options: Frame = {},
): Promise<{ readonly from: readonly (Info | null)[]; readonly replies: readonly string[] }> {
  const from: (Info | null)[] = [];
  const replies: string[] = [];
  for (const { line, items } of frames(backends, (backend) => [command(backend)], options)) {
    const answer = unframe(await ask(line));
    from.push(answer.from);
    // What was cut short counts as no answer, in its place.
    for (const at of items.keys()) replies.push(answer.replies[at] ?? '');
  }
  return { from, replies };
}
