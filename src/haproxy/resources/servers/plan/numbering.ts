/**
 * The generated ids of servers, which their lines have only where a consistent hash uses them: a server that
 * goes into a different structure than it was rendered for is numbered like the servers there.
 */
import { amendLine } from '../../../text/servers/amend.ts';
import { isGeneratedId, serverId } from '../../../text/servers/server-id.ts';
import { tokenise } from '../../../text/text.ts';

export type NamedLine = readonly [name: string, line: string];

export function numberedLike(
  there: readonly NamedLine[],
  isHashed: boolean,
  lines: readonly NamedLine[],
): readonly NamedLine[] {
  const ids = new Map(there.flatMap(([name, line]) => entryOf(name, idOf(line))));
  const isNumbered = isHashed || [...ids.values()].some(isGeneratedId);
  const taken = new Set([...ids.values(), ...lines.flatMap(([, line]) => idOf(line) ?? [])]);
  return lines.map(([name, line]) => {
    const id = idOf(line);
    if (!isNumbered) return [name, id !== null && isGeneratedId(id) ? line.replace(` id ${id}`, '') : line];
    if (id !== null) return [name, line];
    const given = ids.get(name) ?? serverId(name, taken);
    taken.add(given);
    return [name, amendLine(line, `id ${given}`)];
  });
}

function entryOf(name: string, id: number | null): readonly (readonly [string, number])[] {
  return id === null ? [] : [[name, id]];
}

function idOf(line: string): number | null {
  const { words } = tokenise(line);
  const at = words.lastIndexOf('id');
  return at < 3 ? null : Number(words[at + 1]);
}
