/** What the sources say of a service or one of its servers. Pure. */
import { hostPort } from '../../lib/net/address.ts';
import type { SourceInstance } from '../../model.ts';
import type { ServiceStatus } from '../status.ts';
import { count, type Explanation, isKnown, lost, note, step, type WhyFacts, type WhyStep } from './step.ts';

export function ofSources(facts: WhyFacts, service: ServiceStatus): readonly WhyStep[] {
  return facts.explanations.map((each) => ofSource(facts, service, each));
}

/** What the catalog has all the same, as what it retains or another source names, is served: nothing is lost here. */
function ofSource(facts: WhyFacts, service: ServiceStatus, { watcher, answer, failure }: Explanation): WhyStep {
  const isLost = !isKnown(facts, service);
  const down = facts.status.sources.find(({ name }) => name === watcher)?.down ?? null;
  if (down !== null || failure !== null)
    return step(isLost, 'source', {
      text: `${watcher} does not answer (${failure ?? down?.reason}): ${isLost ? 'nothing is known from before' : 'its last answer serves on'}`,
    });
  if (answer === null) return note('source', { text: `${watcher} answers` });
  const { unfit, said, instances } = answer;
  const asWhole = said.map((words) => `\n${words}`).join('');
  if (unfit !== null)
    return step(isLost, 'source', {
      text: `${watcher}: ${unfit.reason}${isLost ? '' : '; what it said before serves on'}${asWhole}`,
      remedy: unfit.remedy,
    });
  if (instances.length === 0)
    return step(isLost, 'source', {
      text: `${watcher} knows no instance of ${facts.service}${asWhole}`,
      remedy: said.length === 0 ? 'register one' : null,
    });
  const meant = instances.filter((instance) => isMeant(facts, instance));
  if (meant.length === 0) return step(isLost, 'source', { text: `${watcher} names no such instance any more` });
  const fit = meant.filter((one) => one.unfit === null);
  const words = meant
    .filter((one) => one.unfit !== null || facts.server !== null)
    .map((one) =>
      onOneLine(one.unfit === null ? `${one.id}: ${one.said.join('; ')}` : `${one.id} gets no traffic: ${one.unfit}`),
    );
  const summary = `${watcher} names ${count(meant.length, 'instance')}, ${fit.length} of which may get traffic${asWhole}`;
  const text = facts.server === null ? [summary, ...few(words)].join('\n') : words.join('\n');
  return step(isLost && fit.length === 0, 'source', { text });
}

/** Of a service that is not served: what sources that discover services say of one with its name. */
export function ofDiscovery({ service, explanations }: WhyFacts): readonly WhyStep[] {
  return explanations.flatMap(({ watcher, answer, failure }) => {
    if (failure !== null) return [note('source', { text: `${watcher} does not answer (${failure})` })];
    if (answer === null) return [];
    const { unfit, instances } = answer;
    if (unfit !== null) return [lost('source', { text: `${watcher}: ${unfit.reason}`, remedy: unfit.remedy })];
    if (instances.length === 0) return [];
    const words = instances.flatMap((one) => (one.unfit === null ? [] : [onOneLine(`${one.id}: ${one.unfit}`)]));
    if (words.length < instances.length)
      return [
        note('source', { text: `${watcher} has ${service}, as \`discover\` wants it: it is to be served in a moment` }),
      ];
    const text = `${watcher} has ${service}, and \`discover\` leaves it out`;
    const remedy = 'register its instances with what `discover` asks for, or list it under `services`';
    return [lost('source', { text: [text, ...few(words)].join('\n'), remedy })];
  });
}

/** Ids, tags and the words of checks are anybody's. */
function onOneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ');
}

/** Whoever may register decides how many there are. */
const mostTold = 20;

function few(words: readonly string[]): readonly string[] {
  return words.length <= mostTold ? words : [...words.slice(0, mostTold), `and ${words.length - mostTold} more`];
}

/** By the id at the source, the name in HAProxy, or the address. */
function isMeant({ server, servers }: WhyFacts, { id, address, port }: SourceInstance): boolean {
  if (server === null) return true;
  const place = hostPort(address, port);
  return id === server || place === server || servers.some((one) => one.server === server && one.address === place);
}
