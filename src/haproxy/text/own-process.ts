/** Settings that HAProxy must not have where Myelin starts it and watches its process. */
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

/** Why a line of the global section is not allowed; null where it is. */
export function whyNotOurs(line: string): string | null {
  const [word = ''] = tokenise(line).words;
  const why = words.get(word);
  return why === undefined ? null : `\`${word}\`: ${why}`;
}

/** The same for a whole file, from whichever template or setting the lines come. */
export function notOurs(sections: readonly Section[]): readonly Problem[] {
  // HAProxy may skip lines inside an `.if`, so they are not judged.
  return placedLines(sections.filter(({ kind }) => kind === 'global'))
    .filter(({ isConditional }) => !isConditional)
    .flatMap(({ text }) => {
      const message = whyNotOurs(text);
      return message === null ? [] : [{ message: `global: ${message}`, service: null }];
    });
}
