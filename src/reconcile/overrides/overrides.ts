/**
 * Servers that an operator has taken out (`myelin server`): their lines say so. So the file tells anyone who starts
 * HAProxy from it, and an ordinary plan takes the servers out, and back, in every process.
 */
import { amendServers, editServers } from '../../haproxy/text/servers/amend.ts';
import type { Rendered, Section, ServerOverride } from '../../model.ts';

/** By `backend/server`. */
export type Overrides = ReadonlyMap<string, ServerOverride>;

const mark = '# by `myelin server`';
const words: Readonly<Record<ServerOverride, string>> = { maint: 'disabled', drain: 'weight 0' };
const marked = new RegExp(` (?:${Object.values(words).join('|')}) ${mark}`, 'g');

export function overridden<T extends Rendered>(rendered: T, overrides: Overrides): T {
  if (overrides.size === 0) return rendered;
  const backends = new Set([...overrides.keys()].map((key) => key.slice(0, key.indexOf('/'))));
  return {
    ...rendered,
    sections: rendered.sections.map((section) => {
      const { kind, name: backend, service, text } = section;
      if (kind !== 'backend' || service === null || !backends.has(backend)) return section;
      const amended = amendServers(text, ({ name }) => {
        const override = overrides.get(`${backend}/${name}`);
        return override === undefined ? '' : `${words[override]} ${mark}`;
      });
      return amended === text ? section : { ...section, text: amended };
    }),
  };
}

/** Whether the line of this server says that it is taken out. */
export function isOverridden(sections: readonly Section[], backend: string, server: string): boolean {
  const section = sections.find(({ kind, name }) => kind === 'backend' && name === backend);
  let isMarked = false;
  editServers(section?.text ?? '', ({ name }, line) => {
    isMarked ||= name === server && line.includes(mark);
    return line;
  });
  return isMarked;
}

/** The sections without the marks of overrides, as they were rendered. */
export function withoutOverrides(sections: readonly Section[]): readonly Section[] {
  return sections.map((section) =>
    section.text.includes(mark) ? { ...section, text: section.text.replace(marked, '') } : section,
  );
}
