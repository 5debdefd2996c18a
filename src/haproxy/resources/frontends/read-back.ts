/** Whether the frontends of a running HAProxy listen, and where that differs from what is desired. */
import type { FrontendDrift, Rendered, Section } from '../../../model.ts';
import type { Ask } from '../../cli/ask.ts';
import type { Frame } from '../../cli/framing.ts';
import { withOthers } from '../parts.ts';
import { readStatus } from '../proxy-status.ts';
import type { Finding, Findings, Observation, Owner, Seen } from '../resource.ts';
import { frontendOf, ownerOf, partsOf } from './parts.ts';

export type SeenFrontend = Seen & { readonly said: 'listens' | FrontendDrift['kind'] };

/** Throws an AppError where a query was not answered. */
export async function readFrontends(
  ask: Ask,
  owners: readonly Owner[],
  count: number,
  frame?: Frame,
): Promise<Observation<SeenFrontend>> {
  const names = owners.map(frontendOf);
  const { from, status } = await readStatus(ask, 'frontend', names, count, frame);
  const seen = names.map((name): [Owner, SeenFrontend] => [ownerOf(name), { said: saidOf(status.get(name)) }]);
  return { from, seen: new Map(seen) };
}

/** 2.2 says `STOP` of one that is disabled, and nothing of one that is shut down; later versions say `PAUSED` and `STOP`. */
function saidOf(status: string | undefined): SeenFrontend['said'] {
  if (status === undefined) return 'missing';
  return status === 'STOP' || status === 'PAUSED' ? 'disabled' : 'listens';
}

/** Marks a disabled frontend for the plan: what runs is kept in words of the file, in which `disabled` would be for good. */
const mark = '    # stopped while HAProxy runs\n';

export function isDisabled({ text }: Section): boolean {
  return text.endsWith(mark);
}

export function withoutMark(section: Section): Section {
  return isDisabled(section) ? { ...section, text: section.text.slice(0, -mark.length) } : section;
}

const none: ReturnType<typeof partsOf> = new Map();

export function findDrift(running: Rendered, seen: ReadonlyMap<Owner, SeenFrontend>): Findings {
  const findings: Finding[] = [];
  const others = new Map<Section, Section | null>();
  const parts = seen.size === 0 ? none : partsOf(running);
  for (const [owner, { said }] of seen) {
    const section = parts.get(owner);
    if (section === undefined) continue;
    const plain = withoutMark(section);
    if (said === 'listens') {
      if (plain !== section) others.set(section, plain);
      continue;
    }
    const { name: frontend } = section;
    const drift = { frontend, kind: said, detail: '' };
    findings.push({ owner, identity: frontend, what: `${said} of ${frontend}`, drift });
    others.set(section, said === 'missing' ? null : { ...plain, text: plain.text + mark });
  }
  return { findings, running: withOthers(running, others), leaving: new Map() };
}
