/** Services that are newly quarantined, or for another problem than before, and those that no longer are. Pure. */
import type { Quarantined } from '../../reconcile/quarantine/quarantine.ts';
import type { Message } from '../messages.ts';
import { problemText } from './problems.ts';

export function quarantineNews(before: readonly Quarantined[], now: readonly Quarantined[]): readonly Message[] {
  const known = new Map(before.map(({ service, problems }) => [service, problemText(problems)]));
  const current = new Set(now.map(({ service }) => service));
  return [
    ...now
      .filter(({ service, problems }) => known.get(service) !== problemText(problems))
      .map(({ service, problems }): Message => ({ kind: 'quarantined', service, problems })),
    ...before
      .filter(({ service }) => !current.has(service))
      .map(({ service }): Message => ({ kind: 'quarantine_ended', service })),
  ];
}
