/** Queries a running HAProxy about many items, on as few lines as possible. */
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
