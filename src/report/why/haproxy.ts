/** What was rendered for a service, how it got into HAProxy, and what HAProxy does with it. Pure. */
import { frontendName } from '../../haproxy/text/names.ts';
import type { ReloadReason } from '../../model.ts';
import type { ServerStatus } from '../servers.ts';
import { stateReasons } from '../state.ts';
import type { ServiceStatus } from '../status.ts';
import { age, formatReason, formatWait } from '../text/format.ts';
import { ofNobody, problemText } from '../text/problem-text.ts';
import { count, lost, meantServers, note, step, type WhyFacts, type WhyStep } from './step.ts';

export function ofRender(
  { rendered, status, service: name }: WhyFacts,
  { quarantined }: ServiceStatus,
): readonly WhyStep[] {
  const steps: WhyStep[] = [];
  if (quarantined !== null) {
    const problems = problemText(ofNobody(quarantined.problems));
    steps.push(
      step(quarantined.servers === 0, 'render', {
        text: `it is quarantined with its last good structure: ${problems}`,
        remedy:
          'correct what HAProxy refuses: it is tried again by itself, and at once when the config or templates change',
      }),
    );
  }
  if (status.waitingConfig?.services.includes(name) === true)
    steps.push(lost('render', { text: 'the config that has it waits for answers of its source' }));
  if (rendered !== null) steps.push(note('render', { text: [`${rendered.file} has`, ...rendered.lines].join('\n') }));
  return steps;
}

export function ofApply(facts: WhyFacts): readonly WhyStep[] {
  const { status, lastChange, pending, now, service } = facts;
  const { lastApply, lastReload } = status;
  const steps: WhyStep[] = [];
  if (lastChange !== null) {
    const because = lastChange.reasons.length === 0 ? '' : `: ${reasons(lastChange.reasons)}`;
    const how = lastChange.how === 'runtime' ? 'by commands' : 'by a reload';
    steps.push(
      note('apply', {
        text: `HAProxy was last changed for it ${how}, ${age(lastChange.at, now)} ago, in ${Math.round(lastChange.tookMs)} ms${because}`,
      }),
    );
  } else if (lastReload !== null)
    steps.push(note('apply', { text: `HAProxy was last reloaded ${age(lastReload.at, now)} ago, for others` }));
  if (lastApply?.error != null) steps.push(note('apply', { text: `the last update failed: ${lastApply.error}` }));
  if (pending !== null) {
    const { because, at } = pending;
    const own = pending.reasons.filter(({ section = '' }) => isOf(section, service));
    const wait = `${formatWait(because)}, ${age(now, at)} more`;
    steps.push(
      step(own.length > 0 && meantServers(facts).length === 0, 'apply', {
        text:
          own.length === 0
            ? `a reload waits, for others (${wait}): ${reasons(pending.reasons)}`
            : `it waits for a reload (${wait}): ${reasons(own)}`,
        remedy: own.length === 0 ? null : 'it comes by itself; `myelin reload` does not wait',
      }),
    );
  }
  return steps;
}

export function ofHaproxy(facts: WhyFacts): readonly WhyStep[] {
  const { haproxy } = facts.status;
  if (haproxy === null) return [lost('haproxy', { text: 'no HAProxy of Myelin’s runs' })];
  // What it said before it fell silent says nothing of now.
  if (haproxy.unresponsive !== null)
    return [
      lost('haproxy', {
        text: `${stateReasons.haproxy_unresponsive} for ${age(haproxy.unresponsive.since, facts.now)}: ${haproxy.unresponsive.reason}`,
        remedy: `see what its process ${haproxy.pid} does; \`haproxy.onHang: replace\` has another started in its place`,
      }),
    ];
  return ofServers(facts);
}

function ofServers(facts: WhyFacts): readonly WhyStep[] {
  const { server, service } = facts;
  const its = meantServers(facts);
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
  const isLost = told.every((each) => each.isLost);
  return told.map((each) => ({ ...each, isLost: each.isLost && isLost }));
}

function ofServer({ backend, server, address, source, order, health }: ServerStatus): WhyStep {
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
      return lost('haproxy', {
        text: `${name} gets no new connections: its weight is ${weight} (${status})${source === 'draining' ? ', as its source says' : ''}`,
        remedy: source === 'draining' ? 'give it a weight, or make it ready, at its source' : null,
      });
    case 'maint':
      return lost('haproxy', { text: `${name} is in maintenance (${status})` });
  }
}

function reasons(all: readonly ReloadReason[]): string {
  return all.map(formatReason).join('; ');
}

/** `backend web`: what is rendered for a service has its name. */
function isOf(section: string, service: string): boolean {
  const [, name = ''] = section.split(' ');
  return name === service || name === frontendName(service);
}
