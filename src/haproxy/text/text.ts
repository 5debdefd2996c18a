/** HAProxy's config language, as far as Myelin reads it: words, sections, `server` and `bind` lines. */
import type { Section } from '../../model.ts';

/** The words that open a section, in any version. HAProxy takes them for that wherever they begin a line. */
export const sectionKeywords: ReadonlySet<string> = new Set([
  'acme',
  'backend',
  'cache',
  'crt-store',
  'defaults',
  'fcgi-app',
  'frontend',
  'global',
  'healthcheck',
  'http-errors',
  'listen',
  'log-forward',
  'log-profile',
  'mailers',
  'peers',
  'program',
  'resolvers',
  'ring',
  'traces',
  'userlist',
]);

export type Line = {
  readonly words: readonly string[];
  /**
   * false where HAProxy's reading does not follow from the text alone (environment variables) or is an error or a trap
   * (open quotes, an empty word, which ends the line for it).
   */
  readonly isExact: boolean;
  /** Where its words end; a comment may follow. */
  readonly end: number;
};

/** One `server` line of a backend or listen section. */
export type ServerLine = {
  readonly name: string;
  /** IPv6 without brackets; otherwise as written, a prefix such as `unix@` included. */
  readonly address: string;
  /** null where there is none, as for a unix socket, or where it is an offset such as `+1000`. */
  readonly port: number | null;
  /** The whole line, `server` included. */
  readonly words: readonly string[];
  readonly isExact: boolean;
};

/** Splits one line into words as HAProxy does: bare, "weak" and 'strong' quoting, escapes, comments. */
export function tokenise(line: string): Line {
  // Most lines hold nothing special, and files have a hundred thousand of them.
  if (!/["'\\#\r\0]/.test(line))
    return { words: line.split(/[ \t\v\f\n]+/).filter(Boolean), isExact: true, end: line.length };
  const words: string[] = [];
  let word: string | null = null;
  let quote: '"' | "'" | null = null;
  let isExact = true;
  let at = 0;
  for (; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === '\n' || char === '\r' || char === '\0') break;
    if (char === quote) {
      quote = null;
    } else if (quote === "'") {
      word += char;
    } else if (char === '\\') {
      const escaped = readEscape(line, at, quote);
      word = (word ?? '') + escaped.text;
      at += escaped.length - 1;
      isExact &&= escaped.isExact;
    } else if (quote === '"') {
      word += char;
      if (char === '$') isExact = false;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= '';
    } else if (char === '#') {
      break;
    } else if (/[ \t\v\f]/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (word !== null) words.push(word);
  return { words, isExact: isExact && quote === null && !words.includes(''), end: at };
}

/**
 * Cuts a file into its sections; concatenated, they are the file again. Comments and blank lines right above a
 * section's keyword are part of that section, as people mean them; macros such as `.if` stay in the section they stand in.
 */
export function splitSections(text: string, service: string | null = null): Section[] {
  const sections: Section[] = [];
  let kind = '';
  let name = '';
  let start = 0;
  /** Where the comments and blank lines begin that the next section may claim. */
  let claim = 0;
  for (let at = 0; at < text.length; ) {
    const feed = text.indexOf('\n', at);
    const next = feed === -1 ? text.length : feed + 1;
    const line = text.slice(at, next);
    const opened = openedBy(line);
    if (opened !== null) {
      if (claim > start) sections.push({ kind, name, text: text.slice(start, claim), service });
      [kind, name] = opened;
      start = claim;
    }
    if (!isFiller(line)) claim = next;
    at = next;
  }
  if (start < text.length) sections.push({ kind, name, text: text.slice(start), service });
  return sections;
}

/** The lines of a section, without their line feeds. */
export function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** The `server` lines of a backend or listen section; `server-template` and the peers' servers are not among them. */
export function serverLines(section: Section): ServerLine[] {
  if (section.kind !== 'backend' && section.kind !== 'listen') return [];
  return linesOf(section.text).flatMap((line) => {
    // Cheap first: tokenising is needed for the lines that may be meant.
    if (!line.includes('server')) return [];
    const server = readServer(tokenise(line));
    return server === null ? [] : [server];
  });
}

/** A line that takes its server out of service says so last. */
export function isTakenOut({ words }: Pick<ServerLine, 'words'>): boolean {
  return words.length > 3 && words.at(-1) === 'disabled';
}

/** What stands after `bind` in each such line of the section, as it is written. */
export function bindLines(section: Section): string[] {
  return linesOf(section.text).flatMap((line) => {
    const [, text] = /^[ \t\v\f]*bind[ \t\v\f]+(.*?)\s*$/.exec(line) ?? [];
    return text === undefined ? [] : [text];
  });
}

/** Reads a line that is a `server` line; null for any other. */
export function readServer({ words, isExact }: Line): ServerLine | null {
  const [keyword, name, place] = words;
  if (keyword !== 'server' || name === undefined || place === undefined) return null;
  const colon = place.lastIndexOf(':');
  const port = /^[1-9]\d{0,4}$/.exec(place.slice(colon + 1))?.[0];
  if (colon === -1 || port === undefined || place.includes('/'))
    return { name, address: place, port: null, words, isExact };
  const address = place.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { name, address, port: Number(port), words, isExact };
}

/** Reads a character escaped by a backslash; where there is none, the backslash stands for itself. */
function readEscape(line: string, at: number, quote: '"' | null): { text: string; length: number; isExact: boolean } {
  const next = line.charAt(at + 1);
  if (next === 'x') {
    const hex = /^[0-9a-fA-F]{2}/.exec(line.slice(at + 2))?.[0];
    // Bytes above 7f are parts of characters, and NUL cuts the word.
    const code = hex === undefined ? 0 : Number.parseInt(hex, 16);
    if (code === 0 || code > 0x7f) return { text: '\\x', length: 2, isExact: false };
    return { text: String.fromCharCode(code), length: 4, isExact: true };
  }
  const control = { n: '\n', r: '\r', t: '\t' }[next];
  if (control !== undefined) return { text: control, length: 2, isExact: true };
  const escapes = quote === null ? ' \\#"\'' : ' \\#"\'$';
  if (next !== '' && escapes.includes(next)) return { text: next, length: 2, isExact: true };
  return { text: '\\', length: 1, isExact: true };
}

function openedBy(line: string): readonly [kind: string, name: string] | null {
  // Lines of a section begin with a blank, as a rule, and then with a word that opens nothing.
  const first = /^[ \t\v\f]*([^ \t\v\f\r\n]*)/.exec(line)?.[1] ?? '';
  if (!sectionKeywords.has(first) && !/["'\\#]/.test(first)) return null;
  const [kind = '', name = ''] = tokenise(line).words;
  return sectionKeywords.has(kind) ? [kind, name] : null;
}

function isFiller(line: string): boolean {
  return /^[ \t\v\f]*(#|\r?\n?$)/.test(line);
}
