/** The certificates that a running HAProxy has, its lists of them, and where they differ from what is desired. */
import type { CertificateDrift, CrtListDrift, Rendered, Section } from '../../../model.ts';
import { type Ask, askEach, unreadable } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import { cliWord } from '../../cli/words.ts';
import { partsOfKind, withOthers } from '../parts.ts';
import type { Finding, Findings, Observation, Owner, Seen } from '../resource.ts';
import { type Entry, entriesOf, isAsShown, type Shown, textOf } from './entries.ts';

/** null: there is no such certificate, or nothing in it. */
export type SeenCertificate = Seen & { readonly shown: Shown | null };

/** null: the process has no such list. */
export type SeenCrtList = Seen & { readonly entries: readonly Entry[] | null };

export function ownerOf(kind: 'certificate' | 'crt-list', path: string): Owner {
  return `${kind} ${path}`;
}

function pathOf(owner: Owner): string {
  return owner.slice(owner.indexOf(' ') + 1);
}

/** Throws an AppError where a query was not answered. */
export async function readCertificates(
  ask: Ask,
  owners: readonly Owner[],
  frame?: Frame,
): Promise<Observation<SeenCertificate>> {
  const { from, replies } = await askEach(ask, owners, (owner) => `show ssl cert ${cliWord(pathOf(owner))}`, frame);
  const seen = owners.map((owner, at): [Owner, SeenCertificate] => [owner, readCertificate(replies[at])]);
  return { from, seen: new Map(seen) };
}

function readCertificate(reply: string | null | undefined): SeenCertificate {
  const [, fingerprint] = /^SHA1 FingerPrint: ([0-9A-F]{40})$/m.exec(reply ?? '') ?? [];
  if (fingerprint !== undefined) {
    const chain = [...(reply ?? '').matchAll(/^Chain Subject: (.*)$/gm)].map(([, subject = '']) => subject);
    return { said: [fingerprint, ...chain].join('\n'), shown: { fingerprint, chain } };
  }
  if (reply != null && (/not found/i.test(reply) || /^Status: Empty/m.test(reply))) return { said: '', shown: null };
  throw unreadable('a certificate', reply);
}

/** Throws an AppError where a query was not answered. */
export async function readCrtLists(
  ask: Ask,
  owners: readonly Owner[],
  frame?: Frame,
): Promise<Observation<SeenCrtList>> {
  const { from, replies } = await askEach(
    ask,
    owners,
    (owner) => `show ssl crt-list -n ${cliWord(pathOf(owner))}`,
    frame,
  );
  const seen = owners.map((owner, at): [Owner, SeenCrtList] => [owner, readList(replies[at])]);
  return { from, seen: new Map(seen) };
}

function readList(reply: string | null | undefined): SeenCrtList {
  if (reply?.includes("didn't find the specified filename")) return { said: reply, entries: null };
  const [header, ...lines] = (reply ?? '').split('\n');
  if (header?.startsWith('# ') !== true) throw unreadable('a list of certificates', reply);
  const found = lines.map((line) => {
    const [, certificate, number] = /^(.+):(\d+)(?: .*)?$/.exec(line) ?? [];
    if (certificate === undefined) throw unreadable('a list of certificates', line);
    return { certificate, line: Number(number) };
  });
  const counts = Map.groupBy(found, ({ certificate }) => certificate);
  const entries = found.map(
    (entry): Entry => (counts.get(entry.certificate)?.length === 1 ? { certificate: entry.certificate } : entry),
  );
  return { said: textOf(entries), entries };
}

/** Of a chain, as somebody may have set any. */
const mostShown = 5;

export function findCertificateDrift(running: Rendered, seen: ReadonlyMap<Owner, SeenCertificate>): Findings {
  const findings: Finding[] = [];
  const others = new Map<Section, Section | null>();
  for (const [owner, section] of partsOfKind('certificate', running, seen.keys())) {
    const found = seen.get(owner);
    if (found === undefined || (found.shown !== null && isAsShown(section, found.shown))) continue;
    const { shown, said } = found;
    const drift: CertificateDrift = {
      certificate: section.name,
      kind: shown === null ? 'missing' : 'content',
      detail: said.split('\n').slice(0, mostShown).join(', then '),
    };
    findings.push({ owner, identity: section.name, what: drift.kind, drift });
    // HAProxy does not say what its key is, and takes none that is not the certificate's.
    others.set(section, shown === null ? null : { ...section, text: `${said}\n` });
  }
  return { findings, running: withOthers(running, others), leaving: new Map() };
}

export function findCrtListDrift(running: Rendered, seen: ReadonlyMap<Owner, SeenCrtList>): Findings {
  const findings: Finding[] = [];
  const others = new Map<Section, Section>();
  for (const [owner, section] of partsOfKind('crt-list', running, seen.keys())) {
    const [wanted, found] = [entriesOf(section), seen.get(owner)?.entries ?? null];
    if (wanted === null || found === null) continue;
    const drift = compare(section.name, wanted, found);
    for (const each of drift)
      findings.push({
        owner,
        identity: `${each.list} ${each.entry}`,
        what: `${each.kind} of ${each.entry}`,
        drift: each,
      });
    if (drift.length > 0) others.set(section, { ...section, text: textOf(found) });
  }
  return { findings, running: withOthers(running, others), leaving: new Map() };
}

function compare(list: string, wanted: readonly Entry[], found: readonly Entry[]): readonly CrtListDrift[] {
  const drift: CrtListDrift[] = [];
  const note = (entry: string, kind: CrtListDrift['kind']): void => {
    drift.push({ list, entry, kind, detail: '' });
  };
  const [desired, is] = [
    new Set(wanted.map(({ certificate }) => certificate)),
    new Set(found.map(({ certificate }) => certificate)),
  ];
  for (const certificate of desired) if (!is.has(certificate)) note(certificate, 'missing');
  for (const certificate of is) {
    if (!desired.has(certificate)) note(certificate, 'extra');
    else if (found.some((entry) => entry.certificate === certificate && entry.line !== undefined))
      note(certificate, 'duplicate');
  }
  return drift;
}
