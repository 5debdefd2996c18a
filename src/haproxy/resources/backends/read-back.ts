/** Which backends a running HAProxy has, whether they are published, and where that differs from what is desired. */
import type { BackendDrift, Rendered, Section } from '../../../model.ts';
import type { Ask } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import { withOthers } from '../parts.ts';
import { readStatus } from '../proxy-status.ts';
import type { Finding, Findings, Observation, Owner, Seen } from '../resource.ts';
import { partsOf } from '../servers/parts.ts';
import { backendOf, ownerOf } from '../servers/read-back.ts';

export type SeenBackend = Seen & { readonly said: 'published' | 'unpublished' | 'missing' };

/** Reads some of about `count` backends. Throws an AppError where a query was not answered. */
export async function readPublished(
  ask: Ask,
  owners: readonly Owner[],
  count: number,
  frame?: Frame,
): Promise<Observation<SeenBackend>> {
  const backends = owners.map(backendOf);
  const { from, status } = await readStatus(ask, 'backend', backends, count, frame);
  const seen = backends.map((backend): [Owner, SeenBackend] => [
    ownerOf(backend),
    { said: saidOf(status.get(backend)) },
  ]);
  return { from, seen: new Map(seen) };
}

function saidOf(status: string | undefined): SeenBackend['said'] {
  if (status === undefined) return 'missing';
  return status.includes('(UNPUB)') ? 'unpublished' : 'published';
}

/** Marks an unpublished backend for the plan: what runs is kept in words of the file, which has none for this. */
const mark = '    # unpublished\n';

export function isUnpublished({ text }: Section): boolean {
  return text.endsWith(mark);
}

export function findDrift(running: Rendered, seen: ReadonlyMap<Owner, SeenBackend>): Findings {
  const findings: Finding[] = [];
  const note = ({ name: backend }: Section, kind: BackendDrift['kind']): void => {
    const drift = { backend, kind, detail: '' };
    findings.push({ owner: ownerOf(backend), identity: backend, what: `${kind} of ${backend}`, drift });
  };
  const others = new Map<Section, Section | null>();
  for (const [owner, section] of partsOf(running, seen.keys())) {
    const said = seen.get(owner)?.said;
    if (said === undefined) continue;
    const plain = isUnpublished(section) ? { ...section, text: section.text.slice(0, -mark.length) } : section;
    if (said !== 'published') note(section, said);
    const is = said === 'published' ? plain : said === 'missing' ? null : { ...plain, text: plain.text + mark };
    if (is !== section) others.set(section, is);
  }
  return { findings, running: withOthers(running, others), leaving: new Map() };
}
