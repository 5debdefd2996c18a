/**
 * What a section gets from the rest of the file: the `defaults` that apply to it, whether a macro surrounds it, and
 * whether a server is named elsewhere. Results are cached as long as their section exists.
 */

import { commonEnds } from '../../lib/difference.ts';
import type { Section } from '../../model.ts';
import { isFile } from './layout/files.ts';
import { defaultsOf } from './layout/inheritance.ts';
import { mayNameBackends } from './named-backends.ts';
import { type ReadLine, significantLines } from './significant-lines.ts';
import { linesOf, tokenise } from './text.ts';

export type InheritedConfig = {
  /** The lines of the `defaults` sections that it inherits, the nearest last; their keyword lines are not among them. */
  readonly inherited: readonly ReadLine[];
  /** Whether an `.if` that was opened before it is not closed yet. */
  readonly isConditional: boolean;
};

export type File = {
  /** null where the section is not in the file. */
  inheritedBy(section: Section): InheritedConfig | null;
  /** Whether a rule, an expression or another server names this one. */
  mentions(backend: string, server: string): boolean;
};

export function readFile(sections: readonly Section[]): File {
  let places: ReadonlyMap<Section, Place> | null = null;
  let asked = 0;
  let mentioned: ReadonlySet<string> | null = null;
  return {
    inheritedBy(section) {
      // Most changes are about one section or two, and files have ten thousand of them.
      if (places === null && ++asked > fewSections) places = placesIn(sections);
      const place = places === null ? placeOf(section, sections) : places.get(section);
      if (place === undefined) return null;
      return {
        inherited: defaultsOf(section, place.defaults).flatMap((each) => traitsOf(each).lines.slice(1)),
        isConditional: place.isConditional,
      };
    },
    mentions(backend, server) {
      mentioned ??= new Set(notableIn(sections).flatMap(({ section }) => traitsOf(section).mentions));
      return mentioned.has(`${backend}/${server}`);
    },
  };
}

type Place = {
  /** Every `defaults` section before it, the nearest last. */
  readonly defaults: readonly Section[];
  readonly isConditional: boolean;
};

const fewSections = 20;

function placeOf(section: Section, sections: readonly Section[]): Place | undefined {
  const at = sections.indexOf(section);
  if (at === -1) return undefined;
  const before = notableIn(sections).filter((each) => each.at < at);
  const depth = before.reduce((sum, each) => sum + traitsOf(each.section).macroDepth, 0);
  const defaults = before.flatMap(({ section: each }) => (each.kind === 'defaults' ? each : []));
  return { defaults, isConditional: depth > 0 };
}

function placesIn(sections: readonly Section[]): ReadonlyMap<Section, Place> {
  const places = new Map<Section, Place>();
  let defaults: readonly Section[] = [];
  let depth = 0;
  for (const section of sections) {
    places.set(section, { defaults, isConditional: depth > 0 });
    if (section.kind === 'defaults') defaults = [...defaults, section];
    depth += traitsOf(section).macroDepth;
  }
  return places;
}

/** A section that says something about others, and its place. */
export type Notable = { readonly at: number; readonly section: Section };

const notable = new WeakMap<readonly Section[], readonly Notable[]>();
/** Of the file that was looked at last: another one differs in a few sections, as a rule. */
let last: { readonly sections: readonly Section[]; readonly notable: readonly Notable[] } = {
  sections: [],
  notable: [],
};

/** The sections that others inherit from, that name others or that hold macros: few, however long the file is. */
export function notableIn(file: readonly Section[]): readonly Notable[] {
  const known = notable.get(file);
  if (known !== undefined) return known;
  // Maps stand behind the rest, and change with it.
  const sections = file.slice(0, file.findLastIndex((section) => !isFile(section)) + 1);
  const { start, end } = commonEnds(last.sections, sections);
  const further = sections.length - last.sections.length;
  const found: Notable[] = last.notable.filter(({ at }) => at < start);
  for (let at = start; at < sections.length - end; at++) {
    const section = sections[at];
    if (section !== undefined && isNotable(section)) found.push({ at, section });
  }
  for (const { at, section } of last.notable)
    if (at >= last.sections.length - end) found.push({ at: at + further, section });
  notable.set(file, found);
  last = { sections, notable: found };
  return found;
}

function isNotable(section: Section): boolean {
  if (section.kind === 'defaults') return true;
  if (isFile(section)) return false;
  const { mentions, macroDepth, mayNameBackends } = traitsOf(section);
  return mentions.length > 0 || macroDepth !== 0 || mayNameBackends;
}

type Traits = {
  /** `backend/server` of every server that is named. */
  readonly mentions: readonly string[];
  /** Macros opened in it and not closed, or the other way round. */
  readonly macroDepth: number;
  /** Whether a rule or an expression in it may be about a backend. */
  readonly mayNameBackends: boolean;
  /** Of `defaults`, which each change of any backend asks for. */
  readonly lines: readonly ReadLine[];
};

/** A file beside the config has no lines of the config. */
const noTraits: Traits = { mentions: [], macroDepth: 0, mayNameBackends: false, lines: [] };

/** Macros that are opened in it and not closed, or the other way round. */
export function macroDepthOf(section: Section): number {
  return traitsOf(section).macroDepth;
}

const traits = new WeakMap<Section, Traits>();

function traitsOf(section: Section): Traits {
  if (isFile(section)) return noTraits;
  let known = traits.get(section);
  if (known === undefined) {
    known = {
      mentions: mentionsIn(section),
      macroDepth: openMacros(section),
      mayNameBackends: mayNameBackends(section),
      lines: section.kind === 'defaults' ? significantLines(section) : [],
    };
    traits.set(section, known);
  }
  return known;
}

/** The words behind which a server is named. */
const namesServer: ReadonlySet<string> = new Set(['attach-srv', 'track', 'use-server']);

function mentionsIn({ text, name }: Section): readonly string[] {
  // Most sections name none, and files have ten thousand of them.
  if (!/srv_|use-server|track|attach-srv/.test(text)) return [];
  const found = linesOf(text).flatMap((line) =>
    tokenise(line).words.flatMap((word, at, words) => [
      ...[...word.matchAll(/\bsrv_\w+\(\s*([^,)\s]+)/g)].map(([, server = '']) => server),
      ...(namesServer.has(word) && words[at + 1] !== undefined ? [words[at + 1] ?? ''] : []),
    ]),
  );
  return found.map((server) => (server.includes('/') ? server : `${name}/${server}`));
}

function openMacros({ text }: Section): number {
  if (!text.includes('.if') && !text.includes('.endif')) return 0;
  return linesOf(text).reduce((depth, line) => {
    const [word] = tokenise(line).words;
    return depth + (word === '.if' ? 1 : word === '.endif' ? -1 : 0);
  }, 0);
}
