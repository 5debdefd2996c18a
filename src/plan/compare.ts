/**
 * How two states of the file differ, section by section, by what HAProxy reads in them; and what that is a reason for.
 * Sections that are equal cost nothing.
 */
import { readServer } from '../haproxy/text.ts';
import type { ReloadCode, ReloadReason, RuntimeCommand, Section } from '../model.ts';
import type { Changer } from './backends.ts';
import { meaning } from './lines.ts';
import { names } from './names.ts';

const serverCodes: ReadonlySet<ReloadCode> = new Set(['server_added', 'server_removed', 'server_changed']);

type Difference = {
  readonly reasons: readonly ReloadReason[];
  readonly commands: readonly RuntimeCommand[];
  /** The wanted sections that differ only in servers of ours, and yet not so that commands would do. */
  readonly blocked: ReadonlySet<Section>;
};

/** `change` is asked first about every section that differs. */
export function compare(running: readonly Section[], wanted: readonly Section[], change: Changer): Difference {
  const [before, after] = trim(running, wanted);
  const old = keyed(before);
  const now = keyed(after);
  const added = [...now].flatMap(([key, section]) => (old.has(key) ? [] : [reason('added', section)]));
  const removed = [...old].flatMap(([key, section]) => (now.has(key) ? [] : [reason('removed', section)]));
  const commands: RuntimeCommand[] = [];
  const blocked = new Set<Section>();
  const changed = [...now].flatMap(([key, section]) => {
    const other = old.get(key);
    if (other === undefined || isSame(other, section)) return [];
    const outcome = change(other, section);
    if (outcome === null) return compareSection(other, section);
    // Its servers would not be worth a reload.
    if (outcome.kind === 'structure')
      return compareSection(other, section).filter(({ code }) => !serverCodes.has(code));
    if (outcome.kind === 'obstacles') {
      blocked.add(section);
      return outcome.obstacles.map(({ code, detail }) => ({ code, section: title(section), detail }));
    }
    for (const command of outcome.commands) commands.push(command);
    return [];
  });
  const reasons = [...changed, ...added, ...removed];
  const kept = (keys: Iterable<string>, others: ReadonlyMap<string, Section>): string =>
    [...keys].filter((key) => others.has(key)).join('\n');
  if (kept(old.keys(), now) !== kept(now.keys(), old)) reasons.push({ code: 'order_changed' });
  return { reasons, commands, blocked };
}

/** Without what is the same at both ends, which is nearly everything: equal sections cost nothing. */
function trim(a: readonly Section[], b: readonly Section[]): readonly [readonly Section[], readonly Section[]] {
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
    if (section.kind === '' && meaning(section).length === 0) continue;
    let key = title(section);
    for (let count = 2; keyed.has(key); count++) key = `${title(section)} #${count}`;
    keyed.set(key, section);
  }
  return keyed;
}

function title({ kind, name }: Section): string {
  return name === '' ? kind : `${kind} ${name}`;
}

function reason(what: 'added' | 'removed', section: Section): ReloadReason {
  const proxy = what === 'added' ? 'proxy_added' : 'proxy_removed';
  return { code: isProxy(section) ? proxy : codeOf(section), section: title(section), detail: what };
}

function isProxy({ kind }: Section): boolean {
  return kind === 'frontend' || kind === 'backend' || kind === 'listen';
}

/** For a difference that is not told apart any further. */
function codeOf(section: Section): ReloadCode {
  if (section.kind === 'global') return 'global_changed';
  if (section.kind === 'defaults') return 'defaults_changed';
  return isProxy(section) ? 'option_changed' : 'section_changed';
}

function compareSection(old: Section, now: Section): ReloadReason[] {
  const before = sort(old);
  const after = sort(now);
  const section = title(now);
  const reasons: ReloadReason[] = [];
  const add = (code: ReloadCode, detail: string): void => {
    if (detail !== '') reasons.push({ code, section, detail });
  };
  add('bind_changed', differing(before.binds, after.binds, addressOfBind));
  add(codeOf(now), differing(before.others, after.others, keywordOf));
  add('server_added', names([...after.servers.keys()].filter((name) => !before.servers.has(name))));
  add('server_removed', names([...before.servers.keys()].filter((name) => !after.servers.has(name))));
  const altered = [...after.servers].filter(([name, line]) => (before.servers.get(name) ?? line) !== line);
  add('server_changed', names(altered.map(([name]) => name)));
  // Where lines stand matters too: servers among each other, and after which `default-server` or `.if`.
  const read = (of: Section): string =>
    meaning(of)
      .map(({ text }) => text)
      .join('\n');
  if (reasons.length === 0 && read(old) !== read(now)) add(codeOf(now), 'order');
  return reasons;
}

type Sorted = {
  readonly binds: readonly string[];
  /** The line of each server, by its name. */
  readonly servers: ReadonlyMap<string, string>;
  readonly others: readonly string[];
};

/** The section's lines by what they are, each as HAProxy reads it. */
function sort(section: Section): Sorted {
  const binds: string[] = [];
  const servers = new Map<string, string>();
  const others: string[] = [];
  const hasServers = section.kind === 'backend' || section.kind === 'listen';
  for (const { line, text } of meaning(section)) {
    const server = hasServers ? readServer(line) : null;
    // A second server of the same name is HAProxy's to refuse; it must not go unnoticed here.
    if (server !== null && !servers.has(server.name)) servers.set(server.name, text);
    else if (isProxy(section) && line.words[0] === 'bind') binds.push(text);
    else others.push(text);
  }
  return { binds, servers, others };
}

/** What the lines that are in one list and not in the other begin with. */
function differing(before: readonly string[], after: readonly string[], short: (line: string) => string): string {
  const different = [
    ...after.filter((line) => !before.includes(line)),
    ...before.filter((line) => !after.includes(line)),
  ];
  return names([...new Set(different.map(short))]);
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
