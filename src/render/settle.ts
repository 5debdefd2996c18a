/** What holds for the servers of a backend whatever template has printed them. */
import { amendServers } from '../haproxy/amend.ts';
import { serverId } from '../haproxy/server-id.ts';
import { linesOf, type ServerLine, tokenise } from '../haproxy/text.ts';

type Circumstances = {
  /** Names of servers that get no new connections. */
  readonly draining: ReadonlySet<string>;
  /** Text of the `defaults` sections. */
  readonly defaults: string;
};

export function settleServers(text: string, { draining, defaults }: Circumstances): string {
  const isHashed = isConsistentHash(`${defaults}${text}`);
  if (!isHashed && draining.size === 0) return text;
  const taken = new Set<number>();
  return amendServers(text, ({ name, words }) =>
    [
      draining.has(name) && lastValue(words, 'weight') !== '0' ? 'weight 0' : '',
      isHashed && lastValue(words, 'id') === undefined ? `id ${idOf(name, taken)}` : '',
    ]
      .filter(Boolean)
      .join(' '),
  );
}

/**
 * Whether keys are dealt on a ring of the servers' ids. HAProxy counts the servers of the file through: each one that comes
 * or goes would move the others, and none would be where it was when it was added at runtime.
 */
function isConsistentHash(text: string): boolean {
  if (!text.includes('hash-type')) return false;
  const settings = linesOf(text).map((line) => tokenise(line).words);
  const last = (wanted: string): string => settings.findLast(([keyword]) => keyword === wanted)?.[1] ?? '';
  return (
    last('hash-type') === 'consistent' && !/^(roundrobin|static-rr|leastconn|first|random|$)/.test(last('balance'))
  );
}

function idOf(name: string, taken: Set<number>): number {
  const id = serverId(name, taken);
  taken.add(id);
  return id;
}

function lastValue(words: ServerLine['words'], keyword: string): string | undefined {
  const at = words.lastIndexOf(keyword);
  return at === -1 ? undefined : words[at + 1];
}
