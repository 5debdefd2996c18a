/** The map entries that a running HAProxy has, and where they differ from what is desired. */
import type { MapCommand, MapDrift, Rendered, RuntimeCommand, Section } from '../../../model.ts';
import { type Ask, askEach, unreadable } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import { cliWord } from '../../cli/words.ts';
import { partsOfKind, withOthers } from '../parts.ts';
import type { Finding, Findings, Observation, Owner, Resource, Seen } from '../resource.ts';
import { identity } from './commands.ts';
import { collect, type Entries, type Entry, entriesOf, lineOf, readEntry } from './entries.ts';

/** null: the process knows no such map, as where no line of its config names it; or what was asked for is as it should be. */
export type SeenMap = Seen & { readonly entries: readonly Entry[] | null };

export function ownerOf(map: string): Owner {
  return `map ${map}`;
}

function mapOf(owner: Owner): string {
  return owner.slice('map '.length);
}

/** Of a map that few commands have touched only their keys are looked up; all of it is read where one is not as it should be. */
export async function observeMaps(
  ask: Ask,
  owners: readonly Owner[],
  { running, touched }: Parameters<Resource<MapCommand>['observe']>[2],
  frame?: Frame,
): Promise<Observation<SeenMap>> {
  const sections = partsOfKind('map', running, owners);
  const asked = owners.flatMap((owner) => {
    const section = sections.get(owner);
    const keys = keysOf(touched?.get(owner) ?? []);
    return section === undefined ? [] : keys.map((key) => ({ owner, key, value: entriesOf(section).values.get(key) }));
  });
  const lookUp = ({ owner, key }: (typeof asked)[number]): string => `get map ${cliWord(mapOf(owner))} ${cliWord(key)}`;
  const { from, replies } = await askEach(ask, asked, lookUp, frame);
  const confirmed = new Map<Owner, boolean>();
  for (const [at, { owner, key, value }] of asked.entries())
    confirmed.set(owner, confirmed.get(owner) !== false && isConfirmed(replies[at], key, value));
  const isWhole = (owner: Owner): boolean => confirmed.get(owner) !== true;
  const whole = await readMaps(ask, owners.filter(isWhole).map(mapOf), frame);
  const rest = asked.filter(({ owner }) => !isWhole(owner));
  const its = Map.groupBy(rest, ({ owner }) => owner);
  const seen = [...its].map(([owner, entries]): [Owner, SeenMap] => [
    owner,
    { said: lookedUp(entries), entries: null },
  ]);
  return { from: [...from, ...whole.from], seen: new Map([...whole.seen, ...seen]) };
}

/** Beyond this many, to look up each costs more than to read them all. */
const mostKeys = 32;

/** Empty: the map is to be read as a whole. */
function keysOf(commands: readonly RuntimeCommand[]): readonly string[] {
  const keys = new Set<string>();
  for (const command of commands)
    if (command.kind !== 'map' || command.action === 'version' || keys.add(command.key).size > mostKeys) return [];
  return [...keys];
}

/**
 * Whether HAProxy has the entry, or none where `value` is undefined. It answers with the entry that it would use, which may be a
 * shorter one; where it searches without an index, that says nothing of others.
 */
function isConfirmed(reply: string | null | undefined, key: string, value: string | undefined): boolean {
  const lines = (reply ?? '').split('\n').filter((line) => line !== '');
  const isIt = (line: string): boolean =>
    value === undefined
      ? line.endsWith(', found=no') || (/, found=yes, idx=tree, key="/.test(line) && !line.includes(`, key="${key}", `))
      : line.endsWith(`, found=yes, idx=tree, key="${key}", value="${value}", type="str"`);
  return lines.length > 0 && lines.every(isIt);
}

/** Unlike what HAProxy says of a whole map. */
function lookedUp(entries: readonly { readonly key: string; readonly value: string | undefined }[]): string {
  return JSON.stringify(entries.map(({ key, value = null }) => [key, value]));
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
