/** Changes the `server` lines of a text, and nothing else in it. */
import { linesOf, readServer, type ServerLine, tokenise } from '../text.ts';

/** `edit` says what stands in the place of a server's line; null: nothing does. */
export function editServers(text: string, edit: (server: ServerLine, line: string) => string | null): string {
  return linesOf(text)
    .flatMap((line) => {
      // Cheap first: tokenising is needed for the lines that may be meant.
      const server = line.includes('server') ? readServer(tokenise(line)) : null;
      const edited = server === null ? line : edit(server, line);
      return edited === null ? [] : [`${edited}\n`];
    })
    .join('');
}

/** Adds words behind the others, where the last one counts, and before a comment; '' leaves a line as it is. */
export function amendServers(text: string, wordsFor: (server: ServerLine) => string): string {
  return editServers(text, (server, line) => {
    const words = wordsFor(server);
    return words === '' ? line : amendLine(line, words);
  });
}

export function amendLine(line: string, words: string): string {
  const { end } = tokenise(line);
  const comment = line.slice(end).trim();
  return `${line.slice(0, end).trimEnd()} ${words}${comment === '' ? '' : ` ${comment}`}`;
}
