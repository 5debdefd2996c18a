/** The files that the sections of services name and HAProxy reads when it starts: certificates, error pages. */
import { isAbsolute, join } from 'node:path';
import type { Section } from '../../model.ts';
import { isFile } from './layout/files.ts';
import { type Line, linesOf, tokenise } from './text.ts';

/** A path, absolute. */
export type NamedFile = {
  readonly path: string;
  /** HAProxy looks for others beside a certificate: its key, its issuer. */
  readonly isCertificate: boolean;
};

type Found = NamedFile & {
  /** Which word of its line it is. */
  readonly at: number;
};

/** By what stands before a path, the directive of the global section that says where a relative one begins. */
const keywords: Readonly<Record<string, 'crt-base' | 'ca-base'>> = {
  crt: 'crt-base',
  'ca-file': 'ca-base',
  'ca-verify-file': 'ca-base',
  'crl-file': 'ca-base',
};
const lines: ReadonlySet<string> = new Set(['bind', 'server', 'default-server', 'server-template']);
/** Cheap first: most sections name none. */
const mayName = /\b(?:crt|ca-file|ca-verify-file|crl-file|errorfile)\b/;

type Bases = { readonly [directive in 'crt-base' | 'ca-base']: string | null };

/** Each of them once. */
export function namedFiles(sections: readonly Section[]): readonly NamedFile[] {
  const bases = basesOf(sections);
  // Files beside the config are copies already.
  const beside = new Set(sections.filter(isFile).map(({ name }) => name));
  const found = sections.flatMap((section) =>
    isOurs(section) ? linesOf(section.text).flatMap((line) => filesIn(tokenise(line), bases)) : [],
  );
  return [
    ...new Map(
      found.filter(({ path }) => !beside.has(path)).map(({ path, isCertificate }) => [path, { path, isCertificate }]),
    ).values(),
  ];
}

/** A file whose sections of `service` have other paths where `rename` knows one; all others stay the same objects. */
export function withOtherFiles(
  sections: readonly Section[],
  service: string,
  rename: (path: string) => string | null,
): readonly Section[] {
  const bases = basesOf(sections);
  return sections.map((section) => {
    if (section.service !== service || !isOurs(section)) return section;
    const text = linesOf(section.text)
      .map((line) => `${renamed(line, bases, rename)}\n`)
      .join('');
    return text === section.text ? section : { ...section, text };
  });
}

function isOurs({ service, text }: Section): boolean {
  return service !== null && mayName.test(text);
}

function renamed(line: string, bases: Bases, rename: (path: string) => string | null): string {
  if (!mayName.test(line)) return line;
  const { words, isExact } = tokenise(line);
  const others = new Map(filesIn({ words, isExact }, bases).map(({ at, path }) => [at, rename(path)]));
  if ([...others.values()].every((path) => path === null)) return line;
  const indent = /^[ \t]*/.exec(line)?.[0] ?? '';
  return indent + words.map((word, at) => encode(others.get(at) ?? word)).join(' ');
}

/** Leaves out names that do not follow from the text alone. */
function filesIn({ words, isExact }: Pick<Line, 'words' | 'isExact'>, bases: Bases): Found[] {
  // A line with a word that cannot be written back unchanged.
  if (!isExact || words.some((word) => /[\x00-\x1f\x7f]/.test(word))) return [];
  const [first = '', , page] = words;
  if (first === 'errorfile' && page !== undefined && isAbsolute(page))
    return [{ path: page, isCertificate: false, at: 2 }];
  if (!lines.has(first)) return [];
  return words.flatMap((word, at) => {
    const base = keywords[words[at - 1] ?? ''];
    const path = base === undefined || at < 2 ? null : absolute(word, bases[base]);
    return path === null || base === undefined ? [] : [{ path, isCertificate: base === 'crt-base', at }];
  });
}

/** `@system-ca`, `@store/alias` are no paths. */
function absolute(path: string, base: string | null): string | null {
  if (isAbsolute(path)) return path;
  return base === null || path.startsWith('@') ? null : join(base, path);
}

function basesOf(sections: readonly Section[]): Bases {
  const globals = sections.filter(({ kind }) => kind === 'global').flatMap(({ text }) => linesOf(text));
  const base = (directive: keyof Bases): string | null => {
    const words = globals.map((line) => tokenise(line).words).findLast(([first]) => first === directive);
    return words?.[1] !== undefined && isAbsolute(words[1]) ? words[1] : null;
  };
  return { 'crt-base': base('crt-base'), 'ca-base': base('ca-base') };
}

function encode(word: string): string {
  return /^[A-Za-z0-9_.:/@+=~^!*?,%()[\]{}<>|&;-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
