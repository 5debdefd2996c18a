/** Sections of our own backends: which are ours, and their text after commands. */

import type { Section } from '../../../../model.ts';
import type { File } from '../../../text/inherited-config.ts';
import { amendLine, amendServers, editServers } from '../../../text/servers/amend.ts';
import { type Backend, consistent, readBackend } from './backend.ts';
import { type NamedLine, numberedLike } from './numbering.ts';

/** What the commands make of a server. */
export type Becomes =
  /** As its desired line says. */
  | { readonly kind: 'desired' }
  /** The same, with the weight that it has. */
  | { readonly kind: 'unweighed'; readonly weight: number }
  | { readonly kind: 'gone' }
  /** Still there, and out of service. */
  | { readonly kind: 'disabled' };

/** A backend that was rendered for a service. */
export function isOurs({ kind, service }: Section): boolean {
  return kind === 'backend' && service !== null;
}

export function areOurs(old: Section, now: Section): boolean {
  return isOurs(old) && isOurs(now) && old.service === now.service;
}

/** null where it is no backend, or not in the file. */
export function backendIn(file: File, section: Section): Backend | null {
  const around = file.inheritedBy(section);
  return around === null ? null : readBackend(section, around);
}

/** What commands can make of `old`: its own structure with the servers of `now`; `old` itself where it is not ours. */
export function withServersOf(old: Section, now: Section): Section {
  if (!areOurs(old, now)) return old;
  const [before, after] = [old, now].map((section) => readBackend(section, nothing));
  if (before?.structure === after?.structure) return now;
  // Servers from a different query may speak TLS, for example, like the new structure: the old one must not get them.
  if (old.queryKey !== now.queryKey && old.queryKey !== undefined && now.queryKey !== undefined) return old;
  // Outside its `.if`, a server would stand where none is desired.
  if (after?.notPlain !== null) return old;
  const there = serverTexts(old);
  const isHashed = before?.algorithm.endsWith(consistent) === true;
  const lines = numberedLike(there, isHashed, serverTexts(now));
  const [had, has] = [there, lines].map((each) => each.map(([, line]) => `${line}\n`).join(''));
  return had === has ? old : { ...old, text: editServers(old.text, () => null) + has };
}

/** `old` after the commands that change its servers to `becomes`, on the way to `target`. */
export function changed(old: Section, target: Section, becomes: ReadonlyMap<string, Becomes>): Section {
  const lines = new Map(serverTexts(target));
  const there = amendServers(old.text, ({ name }) => (becomes.get(name)?.kind === 'disabled' ? 'disabled' : ''));
  const edited = editServers(there, ({ name }, line) => {
    const desired = lines.get(name);
    lines.delete(name);
    const what = becomes.get(name);
    if (what?.kind === 'gone') return null;
    if (desired === undefined) return line;
    if (what?.kind === 'unweighed') return amendLine(desired, `weight ${what.weight}`);
    return what?.kind === 'desired' ? desired : line;
  });
  const added = [...lines].flatMap(([name, line]) => (becomes.get(name)?.kind === 'desired' ? [`${line}\n`] : []));
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
