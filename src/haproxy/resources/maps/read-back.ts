/** The map entries that a running HAProxy has, and where they differ from what is desired. */
import type { MapDrift, Rendered, Section } from '../../../model.ts';
import { type Ask, askEach, unreadable } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import { cliWord } from '../../cli/words.ts';
import { partsOfKind, withOthers } from '../parts.ts';
import type { Finding, Findings, Observation, Owner, Seen } from '../resource.ts';
import { identity } from './commands.ts';
import { collect, type Entries, type Entry, entriesOf, lineOf, readEntry } from './entries.ts';

/** null: the process knows no such map, as where no line of its config names it. */
export type SeenMap = Seen & { readonly entries: readonly Entry[] | null };

export function ownerOf(map: string): Owner {
  return `map ${map}`;
}

export function mapOf(owner: Owner): string {
  return owner.slice('map '.length);
}

/** Throws an AppError where a query was not answered. */
export async function readMaps(ask: Ask, maps: readonly string[], frame?: Frame): Promise<Observation<SeenMap>> {
  const { from, replies } = await askEach(ask, maps, (map) => `show map ${cliWord(map)}`, frame);
  const seen = maps.map((map, at): [Owner, SeenMap] => [ownerOf(map), readReply(replies[at])]);
  return { from, seen: new Map(seen) };
}

export function seenMap(entries: readonly Entry[]): SeenMap {
  return { said: entries.map(lineOf).join(''), entries };
}

/** An empty map is answered with nothing. */
function readReply(reply: string | null | undefined): SeenMap {
  if (reply == null) throw unreadable('a map', reply);
  if (reply.startsWith('Unknown map identifier')) return { said: reply, entries: null };
  const lines = reply.split('\n').filter((line) => line !== '');
  return seenMap(
    lines.map((line) => {
      const [, rest] = /^0x[0-9a-f]+ (.*)$/.exec(line) ?? [];
      const entry = rest === undefined ? null : readEntry(rest);
      if (entry === null) throw unreadable('a map', line);
      return entry;
    }),
  );
}

export function findDrift(running: Rendered, seen: ReadonlyMap<Owner, SeenMap>): Findings {
  const findings: Finding[] = [];
  const others = new Map<Section, Section>();
  for (const [owner, section] of partsOfKind('map', running, seen.keys())) {
    const entries = seen.get(owner)?.entries ?? null;
    if (entries === null) continue;
    const found = compare(section, entries);
    for (const drift of found)
      findings.push({
        owner,
        identity: identity(drift),
        what: `${drift.kind} of ${drift.key}`,
        drift,
      });
    if (found.length > 0) others.set(section, { ...section, text: entries.map(lineOf).join('') });
  }
  return { findings, running: withOthers(running, others), leaving: new Map() };
}

function compare(section: Section, entries: readonly Entry[]): readonly MapDrift[] {
  const [desired, is] = [entriesOf(section), collect(entries)];
  const drift: MapDrift[] = [];
  const note = (key: string, kind: MapDrift['kind'], detail: string): void => {
    drift.push({ map: section.name, key, kind, detail });
  };
  let common = 0;
  for (const [key, value] of desired.values) {
    const found = is.values.get(key);
    if (found !== undefined) common++;
    if (found === undefined) note(key, 'missing', '');
    else if (isRepeated(key, is) !== isRepeated(key, desired)) note(key, 'duplicate', '');
    else if (found !== value) note(key, 'value', found);
  }
  if (common < is.values.size)
    for (const [key, value] of is.values) if (!desired.values.has(key)) note(key, 'extra', value);
  return drift;
}

function isRepeated(key: string, { repeated }: Entries): boolean {
  return repeated.has(key);
}
