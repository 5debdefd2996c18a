/** The `defaults` sections that a section inherits from. */
import type { Section } from '../../../model.ts';
import { tokenise } from '../text.ts';

/**
 * The one named by `from`, else the nearest; and those that it inherits from in turn. The nearest is
 * last. `before` are the `defaults` sections that stand before it.
 */
export function defaultsOf(section: Section, before: readonly Section[]): readonly Section[] {
  const words = openingWords(section);
  const from = words.findIndex((word, at) => word === 'from' && at > (section.kind === 'defaults' ? 0 : 1));
  const name = from === -1 ? null : words[from + 1];
  if (name === null && section.kind === 'defaults') return [];
  const at = name === null ? before.length - 1 : before.findLastIndex((each) => each.name === name);
  const source = before[at];
  return source === undefined ? [] : [...defaultsOf(source, before.slice(0, at)), source];
}

/** The words of the section's first line only: sections are long, and each change needs this. */
function openingWords({ text }: Section): readonly string[] {
  for (let at = 0; at < text.length; ) {
    const feed = text.indexOf('\n', at);
    const end = feed === -1 ? text.length : feed;
    const { words } = tokenise(text.slice(at, end));
    if (words.length > 0) return words;
    at = end + 1;
  }
  return [];
}
