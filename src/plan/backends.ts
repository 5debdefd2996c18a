/**
 * Which changed sections are backends of ours in which only servers differ, and what those changes take. Hand-written
 * sections are never touched, and a `listen` section is no backend here.
 */

import type { Capabilities } from '../haproxy/binary/capabilities.ts';
import { amendLine, amendServers, editServers } from '../haproxy/text/amend.ts';
import type { LeavingServer, RuntimeCommand, Section } from '../model.ts';
import { type Backend, consistent, readBackend } from './backend.ts';
import { type NamedLine, numberedLike } from './numbering.ts';
import { agentOf, wordsOf } from './options.ts';
import { type Change, changeServers, maxOptionWords } from './runtime.ts';
import { type File, readFile } from './surroundings.ts';

export type Runtime = {
  /** Of the process that runs. */
  readonly capabilities: Capabilities;
  /** Servers that were removed and are still there. */
  readonly leaving: readonly LeavingServer[];
  /** What that process was started with; null where it is not known. */
  readonly started: readonly Section[] | null;
};

/** `structure`: more than servers differs. null: it is no backend of ours. */
export type Changer = (old: Section, now: Section) => Change | 'structure' | null;

export function changeBackends(
  running: readonly Section[],
  wanted: readonly Section[],
  { capabilities, leaving, started }: Runtime,
): Changer {
  const before = readFile(running);
  const after = readFile(wanted);
  const proven = startedBackends(started ?? []);
  const left = Map.groupBy(leaving, ({ backend }) => backend);
  return (old, now) => {
    if (!areOurs(old, now)) return null;
    const a = backendIn(before, old);
    const b = backendIn(after, now);
    if (a === null || b === null) return null;
    if (a.structure !== b.structure) return 'structure';
    return changeServers(a, b, {
      capabilities,
      leaving: left.get(b.name) ?? [],
      started: () => proven(b.name),
      isMentioned: (server) => after.mentions(b.name, server),
    });
  };
}

/** Backends of ours to which no server can be added by a command, by what stands there, and what that is. */
export function reloadOnly(sections: readonly Section[]): ReadonlyMap<string, string> {
  const file = readFile(sections);
  const isSpread = sections.some(({ kind, text }) => (kind === 'defaults' ? isSuspect(text) : text.includes('.if')));
  const suspects = sections.filter((section) => isOurs(section) && (isSpread || isSuspect(section.text)));
  return new Map(
    suspects.flatMap((section) => {
      const backend = backendIn(file, section);
      const servers = [...(backend?.servers.values() ?? [])];
      const isTooLong = servers.some(({ options }) => wordsOf(options).length > maxOptionWords);
      const why = backend?.notPlain ?? (isTooLong ? 'more options than a runtime command holds' : null);
      return why === null ? [] : [[section.name, why] as const];
    }),
  );
}

/** Most files have nothing of the kind, and ten thousand backends. */
function isSuspect(text: string): boolean {
  return /^[ \t]*(?:\.|server-template|(?:default-)?server.{100}|(?:server|default-server|balance|hash-type|mode)\b.*["'$\\])/m.test(
    text,
  );
}

/** What there is to be made of `old` by commands: its own structure with the servers of `now`; `old` itself where they are not ours. */
export function withServersOf(old: Section, now: Section): Section {
  if (!areOurs(old, now)) return old;
  const [before, after] = [old, now].map((section) => readBackend(section, nothing));
  if (before?.structure === after?.structure) return now;
  // Those that another question found speak TLS, say, as the new structure does: into the old one they are not put.
  if (old.asked !== now.asked && old.asked !== undefined && now.asked !== undefined) return old;
  // Out of its `.if` a server would be where none is wanted.
  if (after?.notPlain !== null) return old;
  const there = serverTexts(old);
  const isHashed = before?.algorithm.endsWith(consistent) === true;
  const lines = numberedLike(there, isHashed, serverTexts(now));
  const [had, has] = [there, lines].map((each) => each.map(([, line]) => `${line}\n`).join(''));
  return had === has ? old : { ...old, text: editServers(old.text, () => null) + has };
}

/** `old` after the commands of `change`, which was to lead to `target`. */
export function changed(old: Section, target: Section, { obstacles, becomes }: Change): Section {
  if (obstacles.length === 0) return target;
  const lines = new Map(serverTexts(target));
  const there = amendServers(old.text, ({ name }) => (becomes.get(name)?.kind === 'disabled' ? 'disabled' : ''));
  const edited = editServers(there, ({ name }, line) => {
    const wanted = lines.get(name);
    lines.delete(name);
    const what = becomes.get(name);
    if (what?.kind === 'gone') return null;
    if (wanted === undefined) return line;
    if (what?.kind === 'unweighed') return amendLine(wanted, `weight ${what.weight}`);
    return what?.kind === 'wanted' ? wanted : line;
  });
  const added = [...lines].flatMap(([name, line]) => (becomes.get(name)?.kind === 'wanted' ? [`${line}\n`] : []));
  const text = edited + added.join('');
  return text === old.text ? old : { ...target, text };
}

/** The lines of its servers, by their names. */
function serverTexts({ text }: Section): readonly NamedLine[] {
  const lines: NamedLine[] = [];
  editServers(text, ({ name }, line) => {
    lines.push([name, line]);
    return line;
  });
  return lines;
}

const nothing = { inherited: [], isConditional: false };

/** A backend that was rendered for a service. */
export function isOurs({ kind, service }: Section): boolean {
  return kind === 'backend' && service !== null;
}

function areOurs(old: Section, now: Section): boolean {
  return isOurs(old) && isOurs(now) && old.service === now.service;
}

/**
 * What a process has to be told that was started from these sections: no word in the file keeps an agent from calling a
 * server ready that its line takes out.
 */
export function silencedAgents(sections: readonly Section[]): readonly RuntimeCommand[] {
  const file = readFile(sections);
  return sections
    .filter((section) => isOurs(section) && section.text.includes('disabled'))
    .flatMap((section) =>
      [...(backendIn(file, section)?.servers.values() ?? [])].map((server) => ({ section, server })),
    )
    .flatMap(({ section, server: { name, isDisabled, options } }): readonly RuntimeCommand[] => {
      const agent = agentOf(options);
      return isDisabled && agent.hasAgent ? [{ kind: 'maint', backend: section.name, server: name, ...agent }] : [];
    });
}

/** null where it is no backend, or not in the file. */
export function backendIn(file: File, section: Section): Backend | null {
  const around = file.around(section);
  return around === null ? null : readBackend(section, around);
}

/** Read only where it is asked for: most changes need none of it. */
function startedBackends(sections: readonly Section[]): (name: string) => Backend | null {
  let byName: ReadonlyMap<string, Section> | null = null;
  const file = readFile(sections);
  return (name) => {
    byName ??= new Map(sections.filter(({ kind }) => kind === 'backend').map((section) => [section.name, section]));
    const section = byName.get(name);
    return section === undefined ? null : backendIn(file, section);
  };
}
