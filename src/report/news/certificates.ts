/** Certificates that are newly left out, or end soon, and those whose problem is over. Pure. */
import type { CertificateState } from '../../certificates/certificates.ts';
import { few } from '../facts.ts';
import type { Message } from '../messages.ts';

type States = readonly CertificateState[];

export function certificateNews(before: States, now: States): readonly Message[] {
  const known = new Map(before.map((each) => [keyOf(each), each]));
  const wrong = now.flatMap((each) => {
    const { frontend, name: certificate, file, problem, notAfter } = each;
    if (problem === null || known.get(keyOf(each))?.problem === problem) return [];
    return [{ frontend, certificate, file, reason: problem, isServed: notAfter !== null }];
  });
  const ending = now.flatMap((each) => {
    const { frontend, name: certificate, notAfter, isExpiring } = each;
    const old = known.get(keyOf(each));
    if (!isExpiring || notAfter === null || (old?.isExpiring === true && old.notAfter === notAfter)) return [];
    return [{ frontend, certificate, notAfter }];
  });
  const mended = before.filter((old) => {
    const its = now.find((each) => keyOf(each) === keyOf(old));
    return old.problem !== null && (its === undefined || its.problem === null);
  });
  return [
    ...few(wrong).list.map((facts): Message => ({ kind: 'certificate_left_out', ...facts })),
    ...few(ending).list.map((facts): Message => ({ kind: 'certificate_expires', ...facts })),
    ...few(mended).list.map(
      ({ frontend, name }): Message => ({ kind: 'certificate_left_out_no_more', frontend, certificate: name }),
    ),
  ];
}

function keyOf({ frontend, name }: CertificateState): string {
  return `${frontend} ${name}`;
}
