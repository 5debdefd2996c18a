/** Enforces rules for the servers of a backend, whatever a template prints: weight 0 while draining, ids for a hash. */

import { defaultsOf } from '../haproxy/text/layout/inheritance.ts';
import { amendServers } from '../haproxy/text/servers/amend.ts';
import { serverId } from '../haproxy/text/servers/server-id.ts';
import { linesOf, type ServerLine, splitSections, tokenise } from '../haproxy/text/text.ts';
import type { Section } from '../model.ts';

type Circumstances = {
  /** The names of draining servers, which get no new connections. */
  readonly draining: ReadonlySet<string>;
  /** The `defaults` sections before the backend, the nearest last. */
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
 * Whether the backend hashes keys onto a ring of server ids. A server without an id gets one by its place in the file:
 * each added or removed server would move the others, and a server added at runtime would get another id at a reload.
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
