/** Finds the service at fault when HAProxy refuses a file, and the sections that replace the service meanwhile. */

import type { Problem, Rendered, Section } from '../../model.ts';
import { servicesAtLine, servicesWith, textOf } from './layout/layout.ts';
import { linesOf, tokenise } from './text.ts';

/**
 * `rendered` with other sections for the services in `held`: their last good ones, or an empty backend of their name
 * where there are none. They stand where the service's first section stood; all others keep place and identity.
 */
export function substitute(rendered: Rendered, held: ReadonlyMap<string, readonly Section[] | null>): Rendered {
  if (held.size === 0) return rendered;
  const placed = new Set<string>();
  /** Another section has the name, which is what the service is refused for: nothing stands in for it, and no route leads there. */
  const nameless: string[] = [];
  const sections = rendered.sections.flatMap((section) => {
    const { service } = section;
    const substitute = service === null ? undefined : held.get(service);
    if (service === null || substitute === undefined) return [section];
    if (placed.has(service)) return [];
    placed.add(service);
    if (substitute === null && isTaken(service, rendered.sections)) {
      nameless.push(service);
      return [];
    }
    return substitute ?? [emptyBackend(service, modeOf(rendered.sections, service))];
  });
  // A removed service may have to stay for now: its sections stand at the end.
  const rest = [...held].flatMap(([service, substitute]) => (placed.has(service) ? [] : (substitute ?? [])));
  const all = [...sections, ...rest];
  return { sections: nameless.length === 0 ? all : all.map((section) => withoutRoutesTo(nameless, section)) };
}

function withoutRoutesTo(backends: readonly string[], section: Section): Section {
  if (section.kind !== 'map') return section;
  const leads = (line: string): boolean =>
    backends.some((backend) => line.endsWith(` ${backend}`) || line.includes(` ${backend}|`));
  const lines = linesOf(section.text).filter((line) => !leads(line));
  return { ...section, text: lines.map((line) => `${line}\n`).join('') };
}

function isTaken(service: string, sections: readonly Section[]): boolean {
  return sections.some(
    ({ kind, name, service: its }) => its !== service && name === service && (kind === 'backend' || kind === 'listen'),
  );
}

/**
 * A backend that is valid in any file, and answers 503. It has no servers: without the rules of its
 * service no server is to get anything there.
 */
export function emptyBackend(service: string, mode: 'http' | 'tcp'): Section {
  const text = `\n# Quarantined: see the status of this service.\nbackend ${service}\n    mode ${mode}\n`;
  return { kind: 'backend', name: service, text, service, queryKey: '' };
}

/**
 * The services that a message of HAProxy is about: by the line of the file where it has one, else by the proxy that it
 * names. A message about shared sections is about all services that share them.
 */
export function attribute(message: string, line: number | undefined, sections: readonly Section[]): readonly string[] {
  if (line !== undefined) return servicesAtLine(sections, line);
  const owners = new Map(sections.filter(isProxy).map(({ name, service }) => [name, service]));
  // 'web' and 'web/a' in quotes; frontend web, Proxy web: and server web/a without.
  for (const [, quoted, bare] of message.matchAll(
    /'([\w.:-]+)(?:\/[^']*)?'|\b(?:proxy|frontend|backend|listen|server|defaults) ([\w.:-]+)/gi,
  )) {
    const name = quoted ?? bare ?? '';
    const owner = owners.get(name) ?? owners.get(name.replace(/[.:]+$/, ''));
    if (owner !== undefined && owner !== null) return [owner];
    const users = servicesWith(sections, name);
    if (users.length > 0) return users;
  }
  return [];
}

/** The words of these problems, and of the lines that they are about. */
export function wordsOf(problems: readonly Problem[], sections: readonly Section[]): ReadonlySet<string> {
  const lines = linesOf(textOf(sections));
  const texts = problems.map(({ message, line }) => `${message} ${line === undefined ? '' : (lines[line - 1] ?? '')}`);
  const words = texts.join(' ').match(/[\w.:-]+/g) ?? [];
  return new Set(words.flatMap((word) => [word, word.replace(/[.:]+$/, '')]));
}

export function isProxy({ kind }: Section): boolean {
  return kind === 'frontend' || kind === 'backend' || kind === 'listen';
}

export function modeOf(sections: readonly Section[], service: string): 'http' | 'tcp' {
  const isTcp = sections
    .filter((section) => section.service === service)
    .some(({ text }) => linesOf(text).some((line) => tokenise(line).words.join(' ') === 'mode tcp'));
  return isTcp ? 'tcp' : 'http';
}
