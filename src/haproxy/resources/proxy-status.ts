/** The status of frontends, or of backends, in a running HAProxy, in few queries. */
import { type Ask, askEach, unreadable } from '../cli/ask.ts';
import type { Frame } from '../cli/framing.ts';
import type { Info } from '../cli/info.ts';
import { cliWord } from '../cli/words.ts';

export type ProxyStatus = {
  readonly from: readonly (Info | null)[];
  /** By name; none for a proxy that HAProxy does not show. */
  readonly status: ReadonlyMap<string, string>;
};

const typeOf = { frontend: 1, backend: 2 } as const;

/** The header of an answer is as long as the rows of this many proxies. */
const rowsOfHeader = 16;

/** Reads some of `count` proxies. Throws an AppError where a query was not answered. */
export async function readStatus(
  ask: Ask,
  side: keyof typeof typeOf,
  names: readonly string[],
  count: number,
  frame?: Frame,
): Promise<ProxyStatus> {
  const asked = names.length * rowsOfHeader > count ? ['-1'] : names.map((name) => cliWord(name));
  const { from, replies } = await askEach(ask, asked, (which) => `show stat ${which} ${typeOf[side]} -1`, frame);
  return { from, status: new Map(replies.flatMap((reply) => readReply(reply, side))) };
}

function readReply(reply: string | null, side: string): readonly (readonly [name: string, status: string])[] {
  const [header = '', ...lines] = (reply ?? '').split('\n');
  if (header === 'No such proxy.') return [];
  const status = header.split(',').indexOf('status');
  if (!header.startsWith('# pxname,svname,') || status === -1) throw unreadable(`a ${side}`, header);
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const values = line.split(',', status + 1);
      return [values[0] ?? '', values[status] ?? ''];
    });
}
