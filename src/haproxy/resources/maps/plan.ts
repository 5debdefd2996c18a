/** The commands that bring the entries of a map to what is desired. */
import type { MapCommand, Rendered, Section } from '../../../model.ts';
import type { Capabilities } from '../../binary/capabilities.ts';
import { isPayload } from '../../cli/payload.ts';
import { backendNames, isBackend } from '../../text/named-backends.ts';
import { linesOf } from '../../text/text.ts';
import type { Change, Obstacle, Planner, Rest, RuntimeState } from '../resource.ts';
import { canBeSaid } from './commands.ts';
import { type Entries, type Entry, entriesIn, entriesOf, entriesOfBoth, lineOf, readEntry } from './entries.ts';

export function isMap({ kind }: Pick<Section, 'kind'>): boolean {
  return kind === 'map';
}

/** The backend that an entry leads to; the part after a bar is about the request's path. */
export function backendOf(value: string): string {
  const bar = value.indexOf('|');
  return bar === -1 ? value : value.slice(0, bar);
}

export function planMaps(_running: Rendered, desired: Rendered, { capabilities }: RuntimeState): Planner {
  const isThere = backendNames(desired.sections);
  return {
    section(old, now) {
      // A map that comes or goes needs a reload, like the line that names it.
      if (old === null || now === null || !isMap(now)) return null;
      return inOneMoment(old, change(old, now, isThere), capabilities);
    },
  };
}

/**
 * What commands make of a map while a reload waits. Where the frontend that reads it waits as well, entries come and change with
 * it: a route may move between frontends, or rely on a new line. What discovery alone has changed does not wait: the lines that run
 * were there for it, too. What leads to a backend that goes, goes; and where a backend waits that another service had
 * under its name, nothing may lead to that one's.
 */
export function beforeReload(old: Section, now: Section, { desired, waitsFor, isTakenOver }: Rest): Section {
  const waits = waitsFor(now.name);
  const isByDiscovery = (waits && old.origin && now.origin?.discoveredSince(old.origin)) || null;
  const { keys, before, after } = entriesOfBoth(old, now);
  const waiting = new Set(
    [...keys].filter((key) => {
      if (waits && !isByDiscovery?.(key)) return true;
      const value = after.values.get(key);
      return value !== undefined && isTakenOver(backendOf(value));
    }),
  );
  if (waiting.size === 0) return now;
  const backends = new Set(desired.sections.filter(isBackend).map(({ name }) => name));
  const isKept = (key: string): boolean =>
    after.values.has(key) || backends.has(backendOf(before.values.get(key) ?? ''));
  const text = textWithout(waiting, now) + textOf(new Set([...waiting].filter(isKept)), old);
  // Where an edit has to do with it, what comes next is compared with what was before the edit.
  return waits && isByDiscovery === null ? { ...old, text } : { ...now, text };
}

/** Whether an entry of the map leads to this backend. */
export function leadsTo({ text }: Section, backend: string): boolean {
  return text.includes(` ${backend}\n`) || text.includes(` ${backend}|`);
}

function change(old: Section, now: Section, isThere: (backend: string) => boolean): Change {
  const { before, after, keys } = entriesOfBoth(old, now);
  const commands: MapCommand[] = [];
  const obstacles: Obstacle[] = [];
  /** Keys that stay as they are. */
  const waiting = new Set<string>();
  const about = (key: string) => ({ kind: 'map', map: now.name, key }) as const;
  const wait = (key: string, why: string): void => {
    waiting.add(key);
    obstacles.push({ code: 'map_changed', detail: `${key} ${why}` });
  };
  for (const key of keys) {
    const value = after.values.get(key);
    const action = value === undefined ? 'delete' : actionFor(key, value, before);
    if (action === null) continue;
    const copies = Math.min(before.repeated.get(key) ?? 1, mostCopies);
    if (after.repeated.has(key)) wait(key, 'stands there more than once');
    else if (!canBeSaid(key, value ?? '-')) wait(key, 'cannot be a word of a runtime command');
    else if (value === undefined || action === 'delete') commands.push({ ...about(key), action: 'delete', copies });
    else if (!isThere(backendOf(value))) wait(key, `waits for backend ${backendOf(value)}`);
    else commands.push({ ...about(key), value, ...(action === 'replace' ? { action, copies } : { action }) });
  }
  return { commands, obstacles, after: () => (waiting.size === 0 ? now : except(waiting, old, now)) };
}

/** Where a version costs HAProxy less than a command for each entry, it is a version. */
function inOneMoment(old: Section, planned: Change, { mapVersions, maxPayloadBytes }: Capabilities): Change {
  const { commands, obstacles, after } = planned;
  if (!mapVersions || commands.length < manyEntries) return planned;
  const now = after();
  const entries = [...entriesIn(now.text)];
  const isSmallPart = commands.length * 4 < Math.max(entries.length, entriesOf(old).values.size);
  if (isSmallPart || !entries.every((entry) => fits(entry, maxPayloadBytes))) return planned;
  const text = entries.map(lineOf).join('');
  return { commands: [{ kind: 'map', map: now.name, action: 'version', text }], obstacles, after };
}

/** Below this single commands take some tens of milliseconds at most. */
const manyEntries = 500;

function fits(entry: Entry, maxPayloadBytes: number): boolean {
  const line = lineOf(entry);
  return canBeSaid(entry.key, entry.value) && isPayload(line) && line.length <= maxPayloadBytes;
}

/** The most entries of one key that one command deletes; the next reading back finds the others. */
const mostCopies = 50;

/** null: the entry is as desired. */
function actionFor(key: string, value: string, before: Entries): 'add' | 'set' | 'replace' | null {
  if (before.repeated.has(key)) return 'replace';
  const is = before.values.get(key);
  if (is === undefined) return 'add';
  return is === value ? null : 'set';
}

/** `now`, with the values of these keys from `old`. */
function except(keys: ReadonlySet<string>, old: Section, now: Section): Section {
  return { ...now, text: textWithout(keys, now) + textOf(keys, old) };
}

function textOf(keys: ReadonlySet<string>, { text }: Section): string {
  return linesWhere(text, (line) => keys.has(readEntry(line)?.key ?? ''));
}

function textWithout(keys: ReadonlySet<string>, { text }: Section): string {
  return linesWhere(text, (line) => line !== '' && !keys.has(readEntry(line)?.key ?? ''));
}

function linesWhere(text: string, isWanted: (line: string) => boolean): string {
  return linesOf(text)
    .filter(isWanted)
    .map((line) => `${line}\n`)
    .join('');
}
