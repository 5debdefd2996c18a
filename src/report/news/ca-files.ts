/** Files of CA certificates that are newly left out, those whose problem is over, and certificates in them that end soon. Pure. */
import type { CaFileState } from '../../certificates/ca-files.ts';
import { few } from '../facts.ts';
import type { Message } from '../messages.ts';

type States = readonly CaFileState[];

export function caFileNews(before: States, now: States): readonly Message[] {
  const known = new Map(before.map((each) => [keyOf(each), each]));
  const current = new Map(now.map((each) => [keyOf(each), each]));
  const wrong = now.flatMap((each): Message[] => {
    const { frontend, file, problem, notAfter } = each;
    if (problem === null || known.get(keyOf(each))?.problem === problem) return [];
    return [{ kind: 'ca_file_left_out', frontend, file, reason: problem, isServed: notAfter !== null }];
  });
  const ending = now.flatMap((each) => {
    const told = new Set((known.get(keyOf(each))?.expiring ?? []).map(idOf));
    const { frontend, file, expiring } = each;
    return expiring.flatMap((one): Message[] =>
      told.has(idOf(one)) ? [] : [{ kind: 'ca_certificate_expires', frontend, file, ...one }],
    );
  });
  const mended = before.flatMap((old): Message[] => {
    const isOver = old.problem !== null && (current.get(keyOf(old))?.problem ?? null) === null;
    return isOver ? [{ kind: 'ca_file_left_out_no_more', frontend: old.frontend, file: old.file }] : [];
  });
  return [...few(wrong).list, ...few(ending).list, ...few(mended).list];
}

function keyOf({ frontend, file }: CaFileState): string {
  return `${frontend ?? ''}\n${file}`;
}

function idOf({ subject, notAfter }: CaFileState['expiring'][number]): string {
  return `${subject} ${notAfter}`;
}
