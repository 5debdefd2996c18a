/** The CA certificates that a running HAProxy has, and where they differ from what is desired. */
import { createHash } from 'node:crypto';
import type { Rendered, Section } from '../../../model.ts';
import { type Ask, askEach, unreadable } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import { cliWord } from '../../cli/words.ts';
import { partsOfKind, withOthers } from '../parts.ts';
import type { Finding, Findings, Observation, Owner, Seen } from '../resource.ts';
import { names } from './plan.ts';

/** `said` are the fingerprints; '' where the process has no such file. */
export type SeenCaFile = Seen;

export function ownerOf(path: string): Owner {
  return `ca-file ${path}`;
}

/** Those that `bind` lines name. Of the others the servers have their own. */
export function partsOf(running: Rendered, among?: Iterable<Owner>): ReadonlyMap<Owner, Section> {
  const all = partsOfKind('ca-file', running, among);
  if (all.size === 0) return all;
  const frontends = running.sections.filter(({ kind }) => kind === 'frontend' || kind === 'listen');
  const isOfClients = ({ name }: Section): boolean =>
    frontends.some((each) => names(each, name, (word) => word === 'bind'));
  return new Map([...all].filter(([, section]) => isOfClients(section)));
}

/** Throws an AppError where a query was not answered. */
export async function readCaFiles(ask: Ask, owners: readonly Owner[], frame?: Frame): Promise<Observation<SeenCaFile>> {
  const command = (owner: Owner): string => `show ssl ca-file ${cliWord(owner.slice(owner.indexOf(' ') + 1))}`;
  const { from, replies } = await askEach(ask, owners, command, frame);
  const seen = owners.map((owner, at): [Owner, SeenCaFile] => [owner, { said: readCaFile(replies[at] ?? null) }]);
  return { from, seen: new Map(seen) };
}

function readCaFile(reply: string | null): string {
  const fingerprints = [...(reply ?? '').matchAll(/^SHA1 FingerPrint: ([0-9A-F]{40})$/gm)].map(([, hash = '']) => hash);
  if (fingerprints.length > 0) return inOrder(fingerprints);
  if (reply !== null && /not found/i.test(reply)) return '';
  throw unreadable('CA certificates', reply);
}

const known = new WeakMap<Section, string>();

/** SHA-1 of each certificate, as HAProxy shows them; it sorts them in its own way. */
function fingerprintsOf(section: Section): string {
  let fingerprints = known.get(section);
  if (fingerprints === undefined) {
    const all = [...section.text.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)/g)].map(([, base64 = '']) =>
      createHash('sha1').update(Buffer.from(base64, 'base64')).digest('hex').toUpperCase(),
    );
    fingerprints = inOrder(all);
    known.set(section, fingerprints);
  }
  return fingerprints;
}

function inOrder(fingerprints: readonly string[]): string {
  return [...new Set(fingerprints)].sort().join(' ');
}

export function findCaFileDrift(running: Rendered, seen: ReadonlyMap<Owner, SeenCaFile>): Findings {
  const findings: Finding[] = [];
  const others = new Map<Section, Section>();
  for (const [owner, section] of partsOfKind('ca-file', running, seen.keys())) {
    const said = seen.get(owner)?.said ?? '';
    if (said === '' || said === fingerprintsOf(section)) continue;
    const drift = { caFile: section.name, kind: 'content', detail: said } as const;
    findings.push({ owner, identity: section.name, what: drift.kind, drift });
    others.set(section, { ...section, text: `${said}\n` });
  }
  return { findings, running: withOthers(running, others), leaving: new Map() };
}
