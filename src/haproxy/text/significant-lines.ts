/** The lines of a section that HAProxy acts on. */

import type { Section } from '../../model.ts';
import { type Line, linesOf, tokenise } from './text.ts';

/** `text` is the same for two lines that HAProxy reads alike. */
export type ReadLine = { readonly line: Line; readonly text: string };

export function significantLines({ text }: Section): ReadLine[] {
  return linesOf(text).flatMap((written) => {
    const line = tokenise(written);
    if (line.words.length === 0) return [];
    return [{ line, text: line.isExact ? line.words.join('\0') : written.trim() }];
  });
}
