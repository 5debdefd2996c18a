/** Computes how long a line of the runtime API may be, from `tune.bufsize` in the config. */
import type { Section } from '../../model.ts';
import { linesOf, tokenise } from '../text/text.ts';
import { defaultMaxLineBytes } from './framing.ts';

/** For a process that was started with these sections. */
export function maxLineBytes(sections: readonly Section[]): number {
  const words = sections
    .filter(({ kind, text }) => kind === 'global' && text.includes('tune.bufsize'))
    .flatMap(({ text }) => linesOf(text).map((line) => tokenise(line).words))
    .findLast(([keyword]) => keyword === 'tune.bufsize');
  const bufferBytes = Number.parseInt(words?.[1] ?? '', 10);
  return Number.isNaN(bufferBytes) ? defaultMaxLineBytes : Math.min(defaultMaxLineBytes, Math.floor(bufferBytes / 2));
}
