/** What the catalog made of what the sources say. Pure. */
import type { ServiceStatus } from '../status.ts';
import { age, formatKept } from '../text/format.ts';
import { count, isKnown, lost, note, step, type WhyFacts, type WhyStep } from './step.ts';

export function ofCatalog(facts: WhyFacts, service: ServiceStatus): readonly WhyStep[] {
  const { server, now } = facts;
  const { endpoints, unanswered, stale, kept, refused, name } = service;
  const isEmpty = endpoints.ready + endpoints.draining + endpoints.kept === 0;
  const steps: WhyStep[] = [];
  if (unanswered.length > 0)
    steps.push(step(isEmpty, 'catalog', { text: `no answer from ${unanswered.join(', ')} about it yet` }));
  if (stale !== null)
    steps.push(
      step(isEmpty, 'catalog', {
        text: `its endpoints may be out of date, for ${age(stale.since, now)}: ${stale.reason}`,
      }),
    );
  if (kept !== null)
    steps.push(
      note('catalog', {
        text: `${count(endpoints.kept, 'endpoint')} of it serve on although ${formatKept(kept.reason)} (${kept.reason}, for ${age(kept.since, now)}${kept.until === null ? '' : `, ${age(now, kept.until)} more`})`,
        remedy: `${kept.reason === 'config' ? 'undo the edit of the config, or ' : ''}\`myelin accept ${name}\` lets them go`,
      }),
    );
  for (const { id, part, reason } of refused.filter(
    (each) => each.part === 'endpoint' && (server === null || each.id === server),
  )) {
    const isLost = server === null ? isEmpty : !isKnown(facts, service);
    steps.push(step(isLost, 'catalog', { text: `${part} ${JSON.stringify(id)} is left out: ${reason}` }));
  }
  if (isEmpty && steps.every(({ isLost }) => !isLost)) steps.push(lost('catalog', { text: 'it has no endpoint' }));
  return steps;
}
