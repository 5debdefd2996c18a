/** Queries a running HAProxy about many items, on as few lines as possible. */
import { AppError } from '../../errors.ts';
import { type Frame, frames, unframe } from './framing.ts';
import type { Info } from './info.ts';

/** Sends one line and reads its whole answer. */
export type Ask = (line: string) => Promise<string>;

/** Sends one command about each item. A reply is null where the answer was cut short. */
export async function askEach<T>(
  ask: Ask,
  about: readonly T[],
  command: (item: T) => string,
  frame: Frame = {},
): Promise<{ readonly from: readonly (Info | null)[]; readonly replies: readonly (string | null)[] }> {
  const from: (Info | null)[] = [];
  const replies: (string | null)[] = [];
  for (const { line, items } of frames(about, (item) => [command(item)], frame)) {
    const answer = unframe(await ask(line));
    from.push(answer.from);
    for (const at of items.keys()) replies.push(answer.replies[at] ?? null);
  }
  return { from, replies };
}

/** `what` was asked about: `a map`. */
export function unreadable(what: string, reply: string | null | undefined): AppError {
  const said = (reply ?? '').trim().slice(0, 100);
  const problem = said === '' ? `cut short its answer about ${what}` : `says of ${what}: ${said}`;
  return new AppError('MYELIN_SOCKET_FAILED', `HAProxy’s runtime API ${problem}`);
}
