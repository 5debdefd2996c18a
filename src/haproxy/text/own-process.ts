/** What HAProxy must not be told where Myelin starts it itself and watches the process that it has started. */
import type { Problem, Section } from '../../model.ts';
import { placedLines } from './layout/layout.ts';
import { tokenise } from './text.ts';

const words: ReadonlyMap<string, string> = new Map([
  [
    'master-worker',
    'it makes HAProxy serve from another process than the one that Myelin starts and watches: leave it out, ' +
      'or start HAProxy with -W yourself and set `control: master`',
  ],
]);

/** Why a line of the global section cannot stand; null where nothing is wrong with it. */
export function whyNotOurs(line: string): string | null {
  const [word = ''] = tokenise(line).words;
  const why = words.get(word);
  return why === undefined ? null : `\`${word}\`: ${why}`;
}

/** The same of a whole file, whichever template or setting the lines come from. */
export function notOurs(sections: readonly Section[]): readonly Problem[] {
  // Whether what stands in an `.if` is read is not known here.
  return placedLines(sections.filter(({ kind }) => kind === 'global'))
    .filter(({ isConditional }) => !isConditional)
    .flatMap(({ text }) => {
      const message = whyNotOurs(text);
      return message === null ? [] : [{ message: `global: ${message}`, service: null }];
    });
}
