/** Adds words to `server` lines: behind the others, where the last one counts, and before a comment. */
import { linesOf, readServer, type ServerLine, tokenise } from './text.ts';

/** `wordsFor` says what a line gets; '' leaves it as it is. */
export function amendServers(text: string, wordsFor: (server: ServerLine) => string): string {
  return linesOf(text)
    .map((line) => {
      const read = line.includes('server') ? tokenise(line) : null;
      const server = read === null ? null : readServer(read);
      const words = server === null ? '' : wordsFor(server);
      if (read === null || words === '') return `${line}\n`;
      const comment = line.slice(read.end).trim();
      return `${line.slice(0, read.end).trimEnd()} ${words}${comment === '' ? '' : ` ${comment}`}\n`;
    })
    .join('');
}
