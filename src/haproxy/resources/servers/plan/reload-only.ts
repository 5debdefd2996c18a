/** Obstacles to adding any server while HAProxy runs. */
import type { Section } from '../../../../model.ts';
import { readFile } from '../../../text/inherited-config.ts';
import { wordsOf } from './options.ts';
import { backendIn, isOurs } from './section.ts';
import { maxOptionWords } from './steps.ts';

/** Backends of ours to which no server can be added by a command, by what stands there, and what that is. */
export function reloadOnly(sections: readonly Section[]): ReadonlyMap<string, string> {
  const file = readFile(sections);
  const isSpread = sections.some(({ kind, text }) => (kind === 'defaults' ? isSuspect(text) : text.includes('.if')));
  const suspects = sections.filter((section) => isOurs(section) && (isSpread || isSuspect(section.text)));
  return new Map(
    suspects.flatMap((section) => {
      const backend = backendIn(file, section);
      const servers = [...(backend?.servers.values() ?? [])];
      const isTooLong = servers.some(({ options }) => wordsOf(options).length > maxOptionWords);
      const why = backend?.notPlain ?? (isTooLong ? 'more options than a runtime command holds' : null);
      return why === null ? [] : [[section.name, why] as const];
    }),
  );
}

/** A cheap test first: most files have no obstacle, and ten thousand backends. */
function isSuspect(text: string): boolean {
  return /^[ \t]*(?:\.|server-template|(?:default-)?server.{100}|(?:server|default-server|balance|hash-type|mode)\b.*["'$\\])/m.test(
    text,
  );
}
