/** Services that are newly quarantined, or for another problem than before, and those that no longer are. Pure. */
import type { Quarantined } from '../../reconcile/quarantine/quarantine.ts';
import type { Message } from '../messages.ts';
import { ofNobody, problemText } from '../text/problem-text.ts';

export function quarantineNews(before: readonly Quarantined[], now: readonly Quarantined[]): readonly Message[] {
  const known = new Map(before.map((each) => [each.service, problemText(each.problems)]));
  const current = new Set(now.map(({ service }) => service));
  const fresh = now.filter(({ service, problems }) => known.get(service) !== problemText(problems));
  const gone = before.map(({ service }) => service).filter((service) => !current.has(service));
  return [
    ...[...Map.groupBy(fresh, faultOf).values()].map(newlyHeld),
    ...(gone.length === 0 ? [] : [{ kind: 'quarantine_ended', services: gone } as const]),
  ];
}

/** The same for all services that a fault of a template concerns. */
function faultOf({ problems }: Quarantined): string {
  return problemText(ofNobody(problems));
}

function newlyHeld(its: readonly Quarantined[]): Message {
  return {
    kind: 'quarantined',
    services: its.map(({ service }) => service),
    problems: ofNobody(its[0]?.problems ?? []),
  };
}
