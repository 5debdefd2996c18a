/** Commands about entries of maps as HAProxy's command line takes them, and what its replies mean. */
import type { MapCommand, MapEntryCommand } from '../../../model.ts';
import { withPayload } from '../../cli/payload.ts';
import { cliWord, isCliWord } from '../../cli/words.ts';
import type { Verdict } from '../resource.ts';

/** A map as a whole has a name that no entry has, whose keys are not empty. */
export function identity(command: Pick<MapEntryCommand, 'map' | 'key'> | Pick<MapCommand, 'map'>): string {
  return `${command.map} ${'key' in command ? command.key : ''}`;
}

/** Whether the command line can express the entry: there, a value ends at a blank. */
export function canBeSaid(key: string, value: string): boolean {
  return [key, value].every((word) => isCliWord(word) && !/\s/.test(word));
}

/** The number of a version is HAProxy's reply to the first line (`version.ts`). */
export function say(command: MapCommand): readonly string[] {
  const map = cliWord(command.map);
  if (command.action === 'version') {
    const filled = command.text === '' ? [] : [withPayload(`add map @VERSION ${map}`, command.text)];
    return [`prepare map ${map}`, ...filled, `commit map @VERSION ${map}`];
  }
  const key = cliWord(command.key);
  // HAProxy 3.4 deletes one entry of the key at a time, older versions delete all of them.
  const deleted = (copies: number): readonly string[] => Array.from({ length: copies }, () => `del map ${map} ${key}`);
  switch (command.action) {
    case 'add':
    case 'set':
      return [`${command.action} map ${map} ${key} ${cliWord(command.value)}`];
    case 'replace':
      return [...deleted(command.copies), `add map ${map} ${key} ${cliWord(command.value)}`];
    case 'delete':
      return deleted(command.copies);
  }
}

/** A successful command has an empty reply, in every version. */
export function classify(command: MapCommand, replies: readonly string[]): Verdict {
  for (const [at, line] of say(command).entries()) {
    const reply = replies[at];
    const isDone = reply === '' || (line.startsWith('del ') && reply === notThere);
    if (!isDone) return { kind: 'unexpected', command, reply: reply ?? '' };
  }
  return { kind: 'done' };
}

const notThere = 'Key not found.';
