/** What holds for the servers of a backend whatever template has printed them. */
import { amendServers } from '../haproxy/text/amend.ts';
import { defaultsOf } from '../haproxy/text/inheritance.ts';
import { serverId } from '../haproxy/text/server-id.ts';
import { linesOf, type ServerLine, splitSections, tokenise } from '../haproxy/text/text.ts';
import type { Section } from '../model.ts';

type Circumstances = {
  /** Names of servers that get no new connections. */
  readonly draining: ReadonlySet<string>;
  /** The `defaults` sections that stand before, the nearest last. */
  readonly defaults: readonly Section[];
};

export function settleServers(text: string, { draining, defaults }: Circumstances): string {
  const mayBeHashed = [text, ...defaults.map((section) => section.text)].some((each) => each.includes('hash-type'));
  if (!mayBeHashed && draining.size === 0) return text;
  const before = [...defaults];
  const settled = splitSections(text).map((section) => {
    if (section.kind === 'defaults') before.push(section);
    const inherited = defaultsOf(section, before).map((each) => each.text);
    return settle(section.text, draining, isConsistentHash([...inherited, section.text].join('')));
  });
  return settled.join('');
}

function settle(text: string, draining: ReadonlySet<string>, isHashed: boolean): string {
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
