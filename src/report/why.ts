/**
 * Why a service, or one of its servers, gets traffic or none: what is known of it from source to socket, in that order. Pure.
 */
import type { ServiceStatus } from './status.ts';
import { ofCatalog } from './why/catalog.ts';
import { ofApply, ofHaproxy, ofRender } from './why/haproxy.ts';
import { ofRoutes } from './why/routes.ts';
import { ofDiscovery, ofSources } from './why/source.ts';
import { lost, type WhyFacts, type WhyStep } from './why/step.ts';

export type Why = {
  /** `SERVICE`, `SERVICE/SERVER`, or `HOST/PATH`. */
  readonly about: string;
  readonly serves: boolean;
  readonly steps: readonly WhyStep[];
};

export function why(facts: WhyFacts): Why {
  const { service, server, status } = facts;
  const about = server === null ? service : `${service}/${server}`;
  const known = status.services.find(({ name }) => name === service);
  const steps = known === undefined ? unknown(facts) : stepsOf(facts, known);
  return { about, serves: !steps.some(({ isLost }) => isLost), steps };
}

function unknown(facts: WhyFacts): readonly WhyStep[] {
  const { service, status } = facts;
  const leftOut = status.unserved.find((one) => one.service === service);
  if (leftOut !== undefined) {
    const text = `${leftOut.watcher} offers ${service}, and it is left out: ${leftOut.reason}`;
    const remedy = 'change what it asks for at its source, or the limits under `discover`';
    return [lost('config', { text, remedy })];
  }
  const found = ofDiscovery(facts);
  if (found.some(({ isLost }) => isLost)) return found;
  const text = `no service is named ${JSON.stringify(service)}`;
  return [
    lost('config', { text, remedy: '`myelin status` lists the services, and those that are left out' }),
    ...found,
  ];
}

function stepsOf(facts: WhyFacts, service: ServiceStatus): readonly WhyStep[] {
  return [
    ...ofSources(facts, service),
    ...ofCatalog(facts, service),
    ...ofRoutes(facts),
    ...ofRender(facts, service),
    ...ofApply(facts),
    ...ofHaproxy(facts),
  ];
}
