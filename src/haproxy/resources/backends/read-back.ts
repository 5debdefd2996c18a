/** Which backends a running HAProxy has, whether they are published, and where that differs from what is desired. */
import { AppError } from '../../../errors.ts';
import type { BackendDrift, Rendered, Section } from '../../../model.ts';
import { type Ask, askEach } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import { cliWord } from '../../cli/words.ts';
import type { Finding, Findings, Observation, Owner, Seen } from '../resource.ts';
import { isOurs } from '../servers/plan/section.ts';
import { backendOf, ownerOf } from '../servers/read-back.ts';

export type SeenBackend = Seen & { readonly said: 'published' | 'unpublished' | 'missing' };

/** The header of an answer is as long as the rows of this many backends. */
const rowsOfHeader = 16;

/** Reads some of `count` backends. Throws an AppError where a query was not answered. */
export async function readPublished(
  ask: Ask,
  owners: readonly Owner[],
  count: number,
  frame?: Frame,
): Promise<Observation<SeenBackend>> {
  const backends = owners.map(backendOf);
  const asked = owners.length * rowsOfHeader > count ? ['-1'] : backends.map((backend) => cliWord(backend));
  const { from, replies } = await askEach(ask, asked, (which) => `show stat ${which} 2 -1`, frame);
  const found = new Map(replies.flatMap(readReply));
  const seen = backends.map((backend): [Owner, SeenBackend] => [
    ownerOf(backend),
    { said: found.get(backend) ?? 'missing' },
  ]);
  return { from, seen: new Map(seen) };
}

/** The name and the state of each; none for a backend that is not there. */
function readReply(reply: string | null): readonly (readonly [string, 'published' | 'unpublished'])[] {
  const [header = '', ...lines] = (reply ?? '').split('\n');
  if (header === 'No such proxy.') return [];
  const status = header.split(',').indexOf('status');
  if (!header.startsWith('# pxname,svname,') || status === -1)
    throw new AppError('MYELIN_SOCKET_FAILED', `HAProxy’s runtime API says of a backend: ${header.slice(0, 100)}`);
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const values = line.split(',', status + 1);
      return [values[0] ?? '', values[status]?.includes('(UNPUB)') ? 'unpublished' : 'published'];
    });
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
  const sections = running.sections.flatMap((section) => {
    const said = isOurs(section) ? seen.get(ownerOf(section.name))?.said : undefined;
    if (said === undefined) return section;
    const plain = isUnpublished(section) ? { ...section, text: section.text.slice(0, -mark.length) } : section;
    if (said === 'published') return plain;
    note(section, said);
    return said === 'missing' ? [] : { ...plain, text: plain.text + mark };
  });
  return { findings, running: { ...running, sections }, leaving: new Map() };
}
