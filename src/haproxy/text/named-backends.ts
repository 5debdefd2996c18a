/** Which sections name a backend: without it, HAProxy would not start from them. */
import type { Section } from '../../model.ts';
import { type Line, linesOf, tokenise } from './text.ts';

/** What the name of a backend, or of a server in it, stands behind. */
const before: ReadonlySet<string> = new Set([
  'attach-srv',
  'default_backend',
  'scope',
  'table',
  'track',
  'use-server',
  'use_backend',
]);

/** What a name stands behind, an escape or a quote within a word that may hide it, or a function that may take the name. */
const mayName = /_backend|table|track|attach-srv|use-server|scope|\\|\w["']+\w|(?<!\b(?:req|res)\.f?(?:hdr|cook)\w*)\(/;

/** Cheap first: most sections name none, and files have ten thousand of them. */
export function mayNameBackends({ text }: Section): boolean {
  return mayName.test(text);
}

/** Whether a rule or an expression of the section leads to this backend, reads its state or uses its table. */
export function namesBackend(section: Section, backend: string): boolean {
  if (!section.text.includes(backend) && !mayHideNames(section)) return false;
  return linesOf(section.text).some((line) => isNamedIn(tokenise(line), backend));
}

/** Whether a name may be written with quotes, escapes or a variable in it. */
function mayHideNames(section: Section): boolean {
  let known = hiding.get(section);
  if (known === undefined) {
    known = /(?:_backend|table|track|attach-srv|\().*["'\\$]/.test(section.text);
    hiding.set(section, known);
  }
  return known;
}

const hiding = new WeakMap<Section, boolean>();

function isNamedIn({ words, isExact }: Line, backend: string): boolean {
  return words.some((word, at) => {
    const isName = before.has(words[at - 1] ?? '');
    if (isName && (word.split('/', 1)[0] === backend || (!isExact && word.includes('$')))) return true;
    return argumentsIn(word).includes(backend);
  });
}

/** The arguments of the functions in an expression; of `BACKEND/SERVER` the backend. */
function argumentsIn(word: string): readonly string[] {
  return word.includes('(') ? [...word.matchAll(/(?<=[(,])\s*["']?([\w.:-]+)/g)].map(([, name = '']) => name) : [];
}

export function isBackend({ kind }: Pick<Section, 'kind'>): boolean {
  return kind === 'backend' || kind === 'listen';
}

/** Whether there is a backend of a name. */
export function backendNames(sections: readonly Section[]): (name: string) => boolean {
  let backends: ReadonlySet<string> | null = null;
  let asked = 0;
  return (name) => {
    // Searches before it builds an index: most changes concern one name or two, and files have ten thousand backends.
    if (++asked < fewNames) return sections.some((section) => section.name === name && isBackend(section));
    backends ??= new Set(sections.filter(isBackend).map((section) => section.name));
    return backends.has(name);
  };
}

const fewNames = 20;
