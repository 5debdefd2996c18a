/**
 * Why a service, or one of its servers, gets traffic or none: what is known of it from source to socket, in that order. Pure.
 */
import { hostPort } from '../lib/net/address.ts';
import type { SourceInstance } from '../model.ts';
import type { ServerStatus } from './servers.ts';
import { stateReasons } from './state.ts';
import type { ServiceStatus, Status } from './status.ts';
import { ofNobody, problemText } from './text/problem-text.ts';

/** `isLost`: here it goes no further, so that there is no traffic. */
export type WhyStep = {
  readonly stage: 'config' | 'source' | 'catalog' | 'route' | 'apply' | 'operator' | 'haproxy';
  readonly isLost: boolean;
  readonly text: string;
  /** What can be done about it; null: nothing, or nothing is needed. */
  readonly remedy: string | null;
};

export type Why = {
  /** `SERVICE` or `SERVICE/SERVER`. */
  readonly about: string;
  readonly serves: boolean;
  readonly steps: readonly WhyStep[];
};

export type WhyFacts = {
  readonly service: string;
  /** null: the whole service. */
  readonly server: string | null;
  readonly status: Status;
  /** Of the service. */
  readonly servers: readonly ServerStatus[];
  /** What its sources say now. */
  readonly explanations: readonly {
    readonly watcher: string;
    readonly instances: readonly SourceInstance[] | null;
    readonly failure: string | null;
  }[];
  /** Where clients reach it: its own binds, and its routes. */
  readonly ways: readonly string[];
};

type Told = { readonly text: string; readonly remedy?: string };

export function why(facts: WhyFacts): Why {
  const { service, server, status } = facts;
  const about = server === null ? service : `${service}/${server}`;
  const known = status.services.find(({ name }) => name === service);
  const steps = known === undefined ? [unknown(facts)] : stepsOf(facts, known);
  return { about, serves: !steps.some(({ isLost }) => isLost), steps };
}

function unknown({ service, status }: WhyFacts): WhyStep {
  const leftOut = status.unserved.find((one) => one.service === service);
  if (leftOut !== undefined)
    return lost('config', {
      text: `${leftOut.watcher} offers ${service}, and it is left out: ${leftOut.reason}`,
      remedy: 'change what it asks for at its source, or the limits under `discover`',
    });
  return lost('config', {
    text: `no service is named ${JSON.stringify(service)}`,
    remedy: '`myelin status` lists the services, and those that are left out',
  });
}

function stepsOf(facts: WhyFacts, service: ServiceStatus): readonly WhyStep[] {
  return [
    ...facts.explanations.map((each) => ofSource(facts, each)),
    ...ofCatalog(facts, service),
    ...ofRoutes(facts),
    ...ofApply(facts, service),
    ...ofServers(facts),
  ];
}

function ofSource(facts: WhyFacts, { watcher, instances, failure }: WhyFacts['explanations'][number]): WhyStep {
  const down = facts.status.sources.find(({ name }) => name === watcher)?.down ?? null;
  if (down !== null || failure !== null)
    return note('source', {
      text: `${watcher} does not answer (${down?.reason ?? failure}): its last answer serves on`,
    });
  if (instances === null) return note('source', { text: `${watcher} answers` });
  const meant = instances.filter((instance) => isMeant(facts, instance));
  const fit = meant.filter(({ unfit }) => unfit === null);
  if (instances.length === 0)
    return lost('source', { text: `${watcher} knows no instance of ${facts.service}`, remedy: 'register one' });
  if (meant.length === 0) return lost('source', { text: `${watcher} names no such instance any more`, remedy: null });
  const words = meant
    .filter(({ unfit }) => unfit !== null || facts.server !== null)
    .map(({ id, unfit, said }) => (unfit === null ? `${id}: ${said.join('; ')}` : `${id} gets no traffic: ${unfit}`));
  const summary = `${watcher} names ${count(meant.length, 'instance')}, ${fit.length} of which may get traffic`;
  const text = facts.server === null ? [summary, ...words].join('\n') : words.join('\n');
  return fit.length === 0 ? lost('source', { text }) : note('source', { text });
}

function ofCatalog({ server, service: name }: WhyFacts, service: ServiceStatus): readonly WhyStep[] {
  const { endpoints, unanswered, stale, kept, refused } = service;
  const isEmpty = endpoints.ready + endpoints.draining + endpoints.kept === 0;
  const steps: WhyStep[] = [];
  if (unanswered.length > 0) {
    const told = { text: `no answer from ${unanswered.join(', ')} about it yet` };
    steps.push(isEmpty ? lost('catalog', told) : note('catalog', told));
  }
  if (stale !== null) steps.push(note('catalog', { text: `its endpoints may be out of date: ${stale.reason}` }));
  if (kept !== null)
    steps.push(
      note('catalog', {
        text: `${count(endpoints.kept, 'endpoint')} of it serve on although no source names them any more (${kept.reason})`,
        remedy: `\`myelin accept ${name}\` lets them go`,
      }),
    );
  for (const { id, part, reason } of refused.filter(
    (each) => each.part === 'endpoint' && (server === null || each.id === server),
  )) {
    const told = { text: `${part} ${JSON.stringify(id)} is left out: ${reason}` };
    steps.push(server !== null || isEmpty ? lost('catalog', told) : note('catalog', told));
  }
  if (isEmpty && steps.every(({ isLost }) => !isLost)) steps.push(lost('catalog', { text: 'it has no endpoint' }));
  return steps;
}

function ofRoutes({ ways, status, service }: WhyFacts): readonly WhyStep[] {
  const left = status.routesLeftOut
    .filter((one) => one.service === service)
    .map(({ route, frontend, holder }) =>
      note('route', { text: `its route ${route} of ${frontend} is left out: ${holder} has it` }),
    );
  const reached =
    ways.length > 0
      ? note('route', { text: `clients reach it at ${ways.join(', ')}` })
      : lost('route', { text: 'nothing leads to it', remedy: 'give it a `bind`, or `routes` of a shared frontend' });
  return [...left, reached];
}

function ofApply({ status, service: name }: WhyFacts, { quarantined }: ServiceStatus): readonly WhyStep[] {
  const { haproxy, pending, lastApply, waitingConfig } = status;
  const steps: WhyStep[] = [];
  if (quarantined !== null) {
    const problems = problemText(ofNobody(quarantined.problems));
    const told = { text: `it is quarantined with its last good structure: ${problems}` };
    steps.push(quarantined.servers === 0 ? lost('apply', told) : note('apply', told));
  }
  if (waitingConfig?.services.includes(name) === true)
    steps.push(lost('apply', { text: 'the config that has it waits for answers of its source' }));
  if (pending !== null) steps.push(note('apply', { text: `a reload waits (${pending.why})` }));
  if (lastApply?.error != null) steps.push(note('apply', { text: `the last update failed: ${lastApply.error}` }));
  if (haproxy === null) steps.push(lost('haproxy', { text: 'no HAProxy of Myelin’s runs' }));
  else if (haproxy.unresponsive !== null)
    steps.push(
      lost('haproxy', {
        text: `${stateReasons.haproxy_unresponsive}: ${haproxy.unresponsive.reason}`,
        remedy: `see what its process ${haproxy.pid} does; \`haproxy.onHang: replace\` has another started in its place`,
      }),
    );
  return steps;
}

function ofServers({ server, servers, service, status: { haproxy } }: WhyFacts): readonly WhyStep[] {
  // Nobody can say what it has.
  if (haproxy === null || haproxy.unresponsive !== null) return [];
  const its = servers.filter((one) => server === null || one.server === server || one.address === server);
  if (its.length === 0)
    return [
      server === null
        ? lost('haproxy', { text: `HAProxy has no server of ${service}` })
        : lost('haproxy', {
            text: `HAProxy has no server ${service}/${server}`,
            remedy: `\`myelin servers ${service}\` lists them`,
          }),
    ];
  const told = its.map(ofServer);
  // A service serves with any of its servers.
  const isLost = told.every((step) => step.isLost);
  return told.map((step) => ({ ...step, isLost: step.isLost && isLost }));
}

function ofServer({ backend, server, address, order, health }: ServerStatus): WhyStep {
  const name = `${backend}/${server} (${address})`;
  if (order !== null)
    return lost('operator', {
      text: `an operator set ${name} to ${order}`,
      remedy: `\`myelin server ready ${backend}/${server}\` gives it back`,
    });
  if (health === null) return lost('haproxy', { text: `HAProxy does not have ${name} yet` });
  const { condition, status, check, sessions, weight } = health;
  const said = check === null ? '' : `: ${check.code}, ${check.words}`;
  switch (condition) {
    case 'up':
      return note('haproxy', { text: `HAProxy sends requests to ${name}: ${status}, ${count(sessions, 'session')}` });
    case 'down':
      return lost('haproxy', {
        text: `HAProxy’s own check finds ${name} down${said}`,
        remedy: 'see that it answers the `check` of the service from this machine',
      });
    case 'draining':
      return lost('haproxy', { text: `${name} gets no new connections: its weight is ${weight} (${status})` });
    case 'maint':
      return lost('haproxy', { text: `${name} is in maintenance (${status})` });
  }
}

/** By the id at the source, the name in HAProxy, or the address. */
function isMeant({ server, servers }: WhyFacts, { id, address, port }: SourceInstance): boolean {
  if (server === null) return true;
  const place = hostPort(address, port);
  return id === server || place === server || servers.some((one) => one.server === server && one.address === place);
}

function count(number: number, what: string): string {
  return `${number} ${number === 1 ? what : `${what}s`}`;
}

function note(stage: WhyStep['stage'], { text, remedy }: Told): WhyStep {
  return { stage, isLost: false, text, remedy: remedy ?? null };
}

function lost(
  stage: WhyStep['stage'],
  { text, remedy }: Omit<Told, 'remedy'> & { readonly remedy?: string | null },
): WhyStep {
  return { stage, isLost: true, text, remedy: remedy ?? null };
}
