/**
 * Replaces all entries of a map in one moment: a version of it is filled beside the one that is looked up, and then takes its
 * place. Until then it is nobody's, and where it never comes to that, the next one that does ends it too.
 */
import type { MapVersionCommand } from '../../../model.ts';
import { withPayload } from '../../cli/payload.ts';
import { cliWord } from '../../cli/words.ts';
import type { Send, Verdict } from '../resource.ts';

export async function replaceAll(send: Send, command: MapVersionCommand, maxBytes: number): Promise<Verdict> {
  const map = cliWord(command.map);
  const [prepared = ''] = await send([`prepare map ${map}`]);
  const [, version] = /^New version created: (\d+)$/.exec(prepared) ?? [];
  if (version === undefined) return { kind: 'unexpected', command, reply: prepared };
  const fills = chunks(command.text, maxBytes).map((text) => withPayload(`add map @${version} ${map}`, text));
  for (const line of [...fills, `commit map @${version} ${map}`]) {
    const [reply = ''] = await send([line]);
    if (reply === '') continue;
    await send([`clear map @${version} ${map}`]);
    return { kind: 'unexpected', command, reply };
  }
  return { kind: 'done' };
}

/** Whole lines, as many as fit. */
function chunks(text: string, maxBytes: number): readonly string[] {
  const all: string[] = [];
  for (let at = 0; at < text.length; ) {
    const end = text.length - at <= maxBytes ? text.length : text.lastIndexOf('\n', at + maxBytes - 1) + 1;
    if (end <= at) throw new TypeError('a line is longer than a payload');
    all.push(text.slice(at, end));
    at = end;
  }
  return all;
}
