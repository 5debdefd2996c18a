/**
 * Compares two states of the file section by section, as HAProxy reads them, and lists commands and reasons for a reload.
 * Equal sections cost nothing.
 */

import type { Change, Planner } from '../haproxy/resources/resource.ts';
import { isFile } from '../haproxy/text/layout/files.ts';
import { significantLines } from '../haproxy/text/significant-lines.ts';
import { readServer } from '../haproxy/text/text.ts';
import { nextCommon } from '../lib/difference.ts';
import { listNames } from '../lib/list-names.ts';
import type { ReloadCode, ReloadReason, RuntimeCommand, Section } from '../model.ts';

type Difference = {
  readonly reasons: readonly ReloadReason[];
  /** Where there are no reasons, the commands make every difference. */
  readonly commands: readonly RuntimeCommand[];
};

/** `planner` plans what commands can do about a section; the rest becomes reasons. */
export function compare(running: readonly Section[], desired: readonly Section[], planner: Planner): Difference {
  const [before, after] = withoutCommon(...trim(running, desired));
  const old = keyed([...before.keys()]);
  const now = keyed([...after.keys()]);
  const commands: RuntimeCommand[] = [];
  const obstaclesOf = (section: Section, { commands: its, obstacles }: Change): ReloadReason[] => {
    for (const command of its) commands.push(command);
    return obstacles.map(({ code, detail }) => ({ code, section: title(section), detail }));
  };
  const added = [...now].flatMap(([key, section]) => {
    if (old.has(key)) return [];
    const outcome = planner.section(null, section);
    return outcome === null || outcome === 'structure' ? [reason('added', section)] : obstaclesOf(section, outcome);
  });
  const removed = [...old].flatMap(([key, section]) => {
    if (now.has(key)) return [];
    const outcome = planner.section(section, null);
    return outcome === null || outcome === 'structure' ? [reason('removed', section)] : obstaclesOf(section, outcome);
  });
  const changed = [...now].flatMap(([key, section]) => {
    const other = old.get(key);
    if (other === undefined || isSame(other, section)) return [];
    const outcome = planner.section(other, section);
    if (outcome === null && isFile(section)) return [reason('changed', section)];
    if (outcome === null) return [...structureReasons(other, section), ...serverReasons(other, section)];
    // A change of servers alone is no reason for a reload.
    if (outcome === 'structure') return structureReasons(other, section);
    return obstaclesOf(section, outcome);
  });
  const reasons = [...changed, ...added, ...removed];
  if (orderOf(old, now, before) !== orderOf(now, old, after)) reasons.push({ code: 'order_changed' });
  return { reasons, commands };
}

/** How many sections that both have stand before each of the others. */
type Places = ReadonlyMap<Section, number>;

/** Drops the sections that both have in the same order: where one of thousands comes or goes, nothing is done for each of them. */
function withoutCommon(a: readonly Section[], b: readonly Section[]): readonly [Places, Places] {
  return withoutCommonNearby(a, b) ?? withoutCommonAnywhere(a, b);
}

/** null: too many come and go in one place, or one has another place. */
function withoutCommonNearby(a: readonly Section[], b: readonly Section[]): readonly [Places, Places] | null {
  const [placesInA, placesInB] = [new Map<Section, number>(), new Map<Section, number>()];
  let common = 0;
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const [one, other] = [a[i], b[j]];
    if (one === other && one !== undefined) {
      if (!isFile(one)) common++;
      i++;
      j++;
      continue;
    }
    const next = nextCommon(a, i, b, j);
    if (next === null) return null;
    for (const section of a.slice(i, i + next.gone)) placesInA.set(section, common);
    for (const section of b.slice(j, j + next.come)) placesInB.set(section, common);
    i += next.gone;
    j += next.come;
  }
  for (const section of placesInA.keys()) if (placesInB.has(section)) return null;
  return [placesInA, placesInB];
}

function withoutCommonAnywhere(a: readonly Section[], b: readonly Section[]): readonly [Places, Places] {
  const [inA, inB] = [new Set(a), new Set(b)];
  const [placesInA, placesInB] = [new Map<Section, number>(), new Map<Section, number>()];
  let common = 0;
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const [one, other] = [a[i], b[j]];
    if (one !== undefined && one === other) {
      if (!isFile(one)) common++;
      i++;
      j++;
    } else if (one !== undefined && !inB.has(one)) {
      placesInA.set(one, common);
      i++;
    } else if (other !== undefined && !inA.has(other)) {
      placesInB.set(other, common);
      j++;
    } else return [new Map(a.map((section) => [section, 0])), new Map(b.map((section) => [section, 0]))];
  }
  return [placesInA, placesInB];
}

/** The order of sections that `others` have too, among each other and among common ones. Files have no order. */
function orderOf(sections: Keyed, others: Keyed, places: Places): string {
  return [...sections]
    .flatMap(([key, section]) => {
      const other = others.get(key);
      return other === undefined || isFile(other) ? [] : [`${key} ${places.get(section)}`];
    })
    .join('\n');
}

/** Drops the sections that are the same at both ends, which are nearly all. */
export function trim(a: readonly Section[], b: readonly Section[]): readonly [readonly Section[], readonly Section[]] {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && isSameAt(a, start, b, start)) start++;
  let end = 0;
  while (end < shorter - start && isSameAt(a, a.length - 1 - end, b, b.length - 1 - end)) end++;
  return [a.slice(start, a.length - end), b.slice(start, b.length - end)];
}

function isSameAt(a: readonly Section[], at: number, b: readonly Section[], other: number): boolean {
  const one = a[at];
  const two = b[other];
  return one !== undefined && two !== undefined && isSame(one, two);
}

function isSame(a: Section, b: Section): boolean {
  return a === b || (a.kind === b.kind && a.name === b.name && a.text === b.text);
}

export type Keyed = ReadonlyMap<string, Section>;

/** By kind and name; sections that have neither for themselves (`defaults`) are counted. What only holds comments is left out. */
export function keyed(sections: readonly Section[]): Keyed {
  const keyed = new Map<string, Section>();
  for (const section of sections) {
    if (section.kind === '' && significantLines(section).length === 0) continue;
    let key = title(section);
    for (let count = 2; keyed.has(key); count++) key = `${title(section)} #${count}`;
    keyed.set(key, section);
  }
  return keyed;
}

function title({ kind, name }: Section): string {
  return name === '' ? kind : `${kind} ${name}`;
}

function reason(what: 'added' | 'removed' | 'changed', section: Section): ReloadReason {
  const proxy = what === 'added' ? 'proxy_added' : 'proxy_removed';
  return { code: isProxy(section) ? proxy : codeOf(section), section: title(section), detail: what };
}

function isProxy({ kind }: Section): boolean {
  return kind === 'frontend' || kind === 'backend' || kind === 'listen';
}

/** The code for a difference of the section that has no code of its own. */
function codeOf(section: Section): ReloadCode {
  if (section.kind === 'global') return 'global_changed';
  if (section.kind === 'defaults') return 'defaults_changed';
  if (section.kind === 'map') return 'map_changed';
  if (isFile(section)) return 'certificate_changed';
  return isProxy(section) ? 'option_changed' : 'section_changed';
}

/** The reasons for everything but the servers. */
function structureReasons(old: Section, now: Section): ReloadReason[] {
  const before = sort(old);
  const after = sort(now);
  const reasons = reasonsOf(now, [
    ['bind_changed', differing(before.binds, after.binds, addressOfBind)],
    [codeOf(now), differing(before.others, after.others, keywordOf)],
  ]);
  return reasons.length > 0 || before.structure === after.structure
    ? reasons
    : reasonsOf(now, [[codeOf(now), 'order']]);
}

function serverReasons(old: Section, now: Section): ReloadReason[] {
  const before = sort(old);
  const after = sort(now);
  const altered = [...after.servers].filter(([name, line]) => (before.servers.get(name) ?? line) !== line);
  const reasons = reasonsOf(now, [
    ['server_added', listNames([...after.servers.keys()].filter((name) => !before.servers.has(name)))],
    ['server_removed', listNames([...before.servers.keys()].filter((name) => !after.servers.has(name)))],
    ['server_changed', listNames(altered.map(([name]) => name))],
  ]);
  // The order of the servers matters too, and after which `default-server` or `.if` they stand.
  const isSame = reasons.length > 0 || before.structure !== after.structure || before.all === after.all;
  return isSame ? reasons : reasonsOf(now, [[codeOf(now), 'order']]);
}

/** A reason for each code that has a detail. */
function reasonsOf(now: Section, found: readonly (readonly [code: ReloadCode, detail: string])[]): ReloadReason[] {
  return found.flatMap(([code, detail]) => (detail === '' ? [] : [{ code, section: title(now), detail }]));
}

type Sorted = {
  readonly binds: readonly string[];
  /** The line of each server, by its name. */
  readonly servers: ReadonlyMap<string, string>;
  readonly others: readonly string[];
  /** All lines without the servers, and all lines, in their order. */
  readonly structure: string;
  readonly all: string;
};

/** Sorts the lines of a section by kind, each as HAProxy reads it. */
function sort(section: Section): Sorted {
  const binds: string[] = [];
  const servers = new Map<string, string>();
  const others: string[] = [];
  const structure: string[] = [];
  const hasServers = section.kind === 'backend' || section.kind === 'listen';
  const lines = significantLines(section);
  for (const { line, text } of lines) {
    const server = hasServers ? readServer(line) : null;
    // HAProxy refuses a second server of the same name; here it must count as a difference.
    if (server !== null && !servers.has(server.name)) {
      servers.set(server.name, text);
      continue;
    }
    structure.push(text);
    if (isProxy(section) && line.words[0] === 'bind') binds.push(text);
    else others.push(text);
  }
  const all = lines.map(({ text }) => text).join('\n');
  return { binds, servers, others, structure: structure.join('\n'), all };
}

/** Lists the beginnings of the lines that the two lists do not hold equally often. */
function differing(before: readonly string[], after: readonly string[], short: (line: string) => string): string {
  const counts = new Map<string, number>();
  for (const line of after) counts.set(line, (counts.get(line) ?? 0) + 1);
  for (const line of before) counts.set(line, (counts.get(line) ?? 0) - 1);
  const different = [...counts].flatMap(([line, count]) => (count === 0 ? [] : [short(line)]));
  return listNames([...new Set(different)]);
}

function addressOfBind(line: string): string {
  return line.split(/[\0 ]/)[1] ?? '';
}

/** The keyword without its values: a line may hold a password, and reasons go to logs. */
function keywordOf(line: string): string {
  const [first = '', second = ''] = line.split(/[\0 ]/);
  const pair = ['no', 'option', 'timeout', 'stats', 'http-request', 'http-response', 'http-check', 'tcp-request'];
  return pair.includes(first) ? `${first} ${second}` : first;
}
