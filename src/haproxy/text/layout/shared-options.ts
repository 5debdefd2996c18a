/**
 * What backends have in common: their lines but for the servers. A set of such lines is written once, as a `defaults` section
 * with a name made of it, and each backend that has them says `from` and that name. Here a backend's section is taken apart
 * and its set named; `layout.ts` writes them.
 */
import { createHash } from 'node:crypto';
import type { Section } from '../../../model.ts';
import { linesOf, tokenise } from '../text.ts';
import { whyNotShareable } from './shareable.ts';

/** A named `defaults` section that backends can be made from. */
export type OptionSet = {
  readonly name: string;
  /** As it stands in the file; equal for two that are the same. */
  readonly text: string;
  /** The one that it inherits from in turn: what `defaults` says of every backend. */
  readonly base: Base;
};

export type Base = { readonly name: string; readonly text: string };

/** A backend as it is written with a set. */
export type SharedBackend = { readonly set: OptionSet; readonly text: string };

/** Why it is written whole. */
type Whole = { readonly because: string };

type Parts = {
  /** Comments above it, and `backend web`. */
  readonly opening: string;
  readonly options: string;
  /** The servers, with what stands between them. */
  readonly rest: string;
};

/** Cached for each section, so that one change does not cost as much as all sections. */
const parts = new WeakMap<Section, Parts | Whole>();
const shared = new WeakMap<Section, { readonly base: Base; readonly backend: SharedBackend }>();
const bases = new WeakMap<Section, Base | Whole>();

/** `defaults` is the section that the backend inherits from; equal sets are one object in `known`, by their content. */
export function shareOptions(
  section: Section,
  defaults: Section,
  known: Map<string, OptionSet> = new Map(),
): SharedBackend | Whole {
  const base = baseOf(defaults);
  if ('because' in base) return base;
  const before = shared.get(section);
  if (before?.base.text === base.text) return before.backend;
  const its = partsOf(section);
  if ('because' in its) return its;
  const content = `${base.name}\n${its.options}`;
  const set = known.get(content) ?? optionSet(its.options, base);
  known.set(content, set);
  const backend = { set, text: `${its.opening} from ${set.name}\n${its.rest}` };
  shared.set(section, { base, backend });
  return backend;
}

/** Whether a `defaults` section has a name that is made here. */
export function isSharedName(name: string): boolean {
  return /^(?:base|[a-z]+-[a-z_-]+)-[0-9a-f]{8}$/.test(name);
}

/** The lines of a set, without the one that opens it; null: `text` is of no set. */
export function optionsIn(text: string): string | null {
  const [opening] = /^(?:[ \t]*(?:#.*)?\n)*defaults \S+ from \S+\n/.exec(text) ?? [];
  return opening === undefined ? null : text.slice(opening.length);
}

/** A backend that was written with a set of these lines, whole again; null where `text` is none. */
export function wholeBackend(text: string, optionsOf: (set: string) => string | null): string | null {
  const [all, opening = '', set = ''] = /^((?:[ \t]*(?:#.*)?\n)*backend[ \t]+\S+) from (\S+)\n/.exec(text) ?? [];
  const options = all === undefined ? null : optionsOf(set);
  return all === undefined || options === null ? null : `${opening}\n${options}${text.slice(all.length)}`;
}

function optionSet(options: string, base: Base): OptionSet {
  const lines = [...linesOf(base.text), ...linesOf(options)].map((line) => tokenise(line).words);
  const last = (keyword: string): string | undefined => lines.findLast(([first]) => first === keyword)?.[1];
  const algorithm = /^[a-z_-]+/.exec(last('balance') ?? '')?.[0] ?? 'roundrobin';
  const name = `${last('mode') === 'http' ? 'http' : 'tcp'}-${algorithm}-${hash(`${base.name}\n${options}`)}`;
  return { name, base, text: `\ndefaults ${name} from ${base.name}\n${options}` };
}

function partsOf(section: Section): Parts | Whole {
  let known = parts.get(section);
  if (known === undefined) {
    known = takeApart(section);
    parts.set(section, known);
  }
  return known;
}

function takeApart({ kind, name, text }: Section): Parts | Whole {
  if (kind !== 'backend') return { because: `a section \`${kind}\` is no backend` };
  const [all, opening = '', its] = /^((?:[ \t]*(?:#.*)?\n)*backend[ \t]+(\S+))\n/.exec(text) ?? [];
  if (all === undefined || its !== name) return { because: 'more than the name stands in the line that opens it' };
  let end = all.length;
  let hasServers = false;
  for (let at = all.length; at < text.length; ) {
    const feed = text.indexOf('\n', at);
    if (feed === -1) return { because: 'its last line has no end' };
    const line = text.slice(at, feed);
    const [word] = /^[ \t]*([^ \t#]*)/.exec(line)?.slice(1) ?? [];
    if (word === 'server') hasServers = true;
    else if (word !== '') {
      if (hasServers) return { because: `\`${word}\` stands after a server` };
      const because = whyNotShareable(line);
      if (because !== null) return { because };
      end = feed + 1;
    }
    at = feed + 1;
  }
  return { opening, options: text.slice(all.length, end), rest: text.slice(end) };
}

/** The lines of a `defaults` section again, under a name: an anonymous one cannot be referred to. */
function baseOf(section: Section): Base | Whole {
  let known = bases.get(section);
  if (known === undefined) {
    known = copyOf(section);
    bases.set(section, known);
  }
  return known;
}

/** No rules in a `defaults` that another inherits from; and the effect of a macro is not known here. */
const notInherited =
  /^[ \t]*(?:\.|(?:acl|http-request|http-response|http-after-response|tcp-request|tcp-response)(?:[ \t]|$))/;

function copyOf({ text }: Section): Base | Whole {
  const [first = '', ...lines] = linesOf(text).filter((line) => !/^[ \t]*(?:#|\r?$)/.test(line));
  if (!/^defaults(?:[ \t]+[^ \t#]+)?[ \t]*$/.test(first))
    return { because: 'the `defaults` section that it inherits from inherits itself' };
  if (lines.some((line) => notInherited.test(line)))
    return { because: 'the `defaults` section that it inherits from has rules or macros' };
  const content = lines.map((line) => `${line}\n`).join('');
  const name = `base-${hash(content)}`;
  return {
    name,
    text: `\n# What backends have in common is written once: each says \`from\` and its name.\ndefaults ${name}\n${content}`,
  };
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
