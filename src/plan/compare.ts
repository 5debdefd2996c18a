/**
 * How two states of the file differ, section by section, by what HAProxy reads in them; and what that is a reason for.
 * Sections that are equal cost nothing.
 */

import type { Change, Planner } from '../haproxy/resources/resource.ts';
import { isFile } from '../haproxy/text/files.ts';
import { significantLines } from '../haproxy/text/significant-lines.ts';
import { readServer } from '../haproxy/text/text.ts';
import { listNames } from '../lib/list-names.ts';
import type { ReloadCode, ReloadReason, RuntimeCommand, Section } from '../model.ts';

type Difference = {
  readonly reasons: readonly ReloadReason[];
  /** Where there are no reasons, they do it all. */
  readonly commands: readonly RuntimeCommand[];
};

/** `planner` is asked first about every section that differs. */
export function compare(running: readonly Section[], desired: readonly Section[], planner: Planner): Difference {
  const [before, after] = trim(running, desired);
  const old = keyed(before);
  const now = keyed(after);
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
    // Its servers alone are no reason for a reload.
    if (outcome === 'structure') return structureReasons(other, section);
    return obstaclesOf(section, outcome);
  });
  const reasons = [...changed, ...added, ...removed];
  // Where files beside the config stand among the sections is of no account.
  const common = (keys: Iterable<string>, others: ReadonlyMap<string, Section>): string =>
    [...keys]
      .filter((key) => {
        const other = others.get(key);
        return other !== undefined && !isFile(other);
      })
      .join('\n');
  if (common(old.keys(), now) !== common(now.keys(), old)) reasons.push({ code: 'order_changed' });
  return { reasons, commands };
}

/** Without what is the same at both ends, which is nearly everything: equal sections cost nothing. */
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

/** By kind and name; sections that have neither for themselves (`defaults`) are counted. What only holds comments is left out. */
export function keyed(sections: readonly Section[]): ReadonlyMap<string, Section> {
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

/** The code for any other difference of the section. */
function codeOf(section: Section): ReloadCode {
  if (section.kind === 'global') return 'global_changed';
  if (section.kind === 'defaults') return 'defaults_changed';
  if (section.kind === 'map') return 'map_changed';
  if (isFile(section)) return 'certificate_changed';
  return isProxy(section) ? 'option_changed' : 'section_changed';
}

/** All but the servers. */
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
  // Where they stand matters too: among each other, and after which `default-server` or `.if`.
  const isSame = reasons.length > 0 || before.structure !== after.structure || before.all === after.all;
  return isSame ? reasons : reasonsOf(now, [[codeOf(now), 'order']]);
}

/** Those that have a detail. */
function reasonsOf(now: Section, found: readonly (readonly [code: ReloadCode, detail: string])[]): ReloadReason[] {
  return found.flatMap(([code, detail]) => (detail === '' ? [] : [{ code, section: title(now), detail }]));
}

type Sorted = {
  readonly binds: readonly string[];
  /** The line of each server, by its name. */
  readonly servers: ReadonlyMap<string, string>;
  readonly others: readonly string[];
  /** All but the servers, and all, as they stand. */
  readonly structure: string;
  readonly all: string;
};

/** The section's lines by what they are, each as HAProxy reads it. */
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

/** What the lines begin with of which there are not as many in the one list as in the other. */
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

/** Never the values: a line may hold a password, and reasons go to logs. */
function keywordOf(line: string): string {
  const [first = '', second = ''] = line.split(/[\0 ]/);
  const pair = ['no', 'option', 'timeout', 'stats', 'http-request', 'http-response', 'http-check', 'tcp-request'];
  return pair.includes(first) ? `${first} ${second}` : first;
}
